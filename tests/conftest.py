"""What all tests share: comparing states to the bit, small trees, and no clock over an example: machines differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.few_trees import few_rounds

settings.register_profile("terracast", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("terracast")


@pytest.fixture
def few_trees() -> Iterator[None]:
    """See ``few_rounds``."""
    with few_rounds():
        yield


@pytest.fixture
def same_trees() -> Callable[[object, object], None]:
    """Asserts that two state trees are equal to the bit."""
    return _assert_same


def _assert_same(one: object, two: object, where: str = "state") -> None:
    """Two state trees are equal to the bit, NaN included."""
    if isinstance(one, dict) and isinstance(two, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            _assert_same(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list | tuple) and type(one) is type(two):
        assert len(one) == len(two), where
        for index, pair in enumerate(zip(one, two, strict=True)):
            _assert_same(*pair, f"{where}[{index}]")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=where)
    else:
        assert one == two or (one != one and two != two), f"{where}: {one} != {two}"
