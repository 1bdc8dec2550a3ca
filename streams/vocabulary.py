"""Words of names of columns, by what they mean: ``words.toml`` has them in the languages of real exports."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    return tomllib.loads(Path(str(files(__package__) / "words.toml")).read_text(encoding="utf-8"))


def named(meaning: str) -> frozenset[str]:
    """The words that mean something.

    >>> "messstation" in named("place"), "fecha" in named("time")
    (True, True)
    """
    return frozenset(_table()[meaning].split())
