"""Boosted trees that are quick to fit, for tests that ask what is done with trees and not how good they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def few_rounds() -> Iterator[None]:
    """Within, trees have 20 rounds, not 200; processes that are started fit all of them."""
    from terracast.adapt.correction.experts.boosted_trees import BoostedTrees

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BoostedTrees.fit.__func__.__kwdefaults__, "rounds", 20)  # type: ignore[attr-defined]
        yield
