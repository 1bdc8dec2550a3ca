"""Every example in a docstring is run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("stats", "streams", "stfm", "adapt", "causal", "drivers", "registry", "flows", "benchmarks")
FILES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
MODULES = sorted(".".join(("terracast", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES)


@pytest.mark.parametrize("name", ["terracast", *MODULES])
def test_examples_in(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0
