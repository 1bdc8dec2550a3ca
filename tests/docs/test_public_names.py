"""Public names are documented in sections: what goes in, what comes out, which errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest

import terracast

FUNCTIONS = [name for name in terracast.__all__ if inspect.isfunction(getattr(terracast, name))]
CLASSES = [name for name in terracast.__all__ if inspect.isclass(getattr(terracast, name))]
BY_MEMBERS = {"Detector", "Forecaster"}  # contracts: what goes in stands at their methods


def sections(thing: object) -> set[str]:
    return set(re.findall(r"^([A-Z][a-z]+)\n-{3,}$", inspect.getdoc(thing) or "", re.MULTILINE))


def section(thing: object, title: str) -> str:
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^[A-Z][a-z]+\n-{{3,}}$|\Z)", inspect.getdoc(thing) or "",
                      re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_names_every_argument_and_what_it_returns(name: str) -> None:
    function: Callable[..., object] = getattr(terracast, name)
    assert sections(function) >= {"Parameters", "Returns"}
    told = section(function, "Parameters")
    missing = [one for one in inspect.signature(function).parameters
               if not re.search(rf"^(?:\w+, )*(?:\*\*)?{one}(?:, \w+)* :", told, re.MULTILINE)]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in BY_MEMBERS])
def test_a_class_says_what_it_is_made_of(name: str) -> None:
    assert sections(getattr(terracast, name)) & {"Parameters", "Attributes"}


@pytest.mark.parametrize("name", sorted(BY_MEMBERS))
def test_a_contract_says_what_each_method_takes(name: str) -> None:
    methods = [one for key, one in vars(getattr(terracast, name)).items()
               if not key.startswith("_") and inspect.isfunction(one.__func__ if isinstance(one, classmethod) else one)]
    assert methods
    for one in methods:
        function = one.__func__ if isinstance(one, classmethod) else one
        if len(inspect.signature(function).parameters) > 1:
            assert "Parameters" in sections(function), function
