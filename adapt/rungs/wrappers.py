"""Forecasters around forecasters: what lies beneath a correction, and how both are kept as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terracast.stfm.forecaster import Forecaster
from terracast.streams.errors import TerracastError

BASE = "base/"


class LayerError(TerracastError):
    """A wrapped forecaster that cannot be kept."""


def bare(forecaster: Forecaster) -> Forecaster:
    """What is left without corrections of outputs and cuts of inputs: the forecaster that has weights, if any."""
    while isinstance(under_correction := getattr(forecaster, "base", None), Forecaster):
        forecaster = under_correction
    return forecaster


def config_of(forecaster: Forecaster) -> dict[str, object]:
    """The config of a forecaster that another is wrapped around."""
    if not (hasattr(forecaster, "config") and hasattr(forecaster, "weights")):
        raise LayerError(f"a {type(forecaster).__name__} cannot be kept", where="wrapped forecaster",
                         expected="a forecaster with config() and weights()", remedy="add them")
    return dict(forecaster.config())


def weights_of(forecaster: Forecaster) -> dict[str, np.ndarray]:
    """Its weights, under names that begin with ``base/``."""
    config_of(forecaster)
    return {BASE + name: value for name, value in forecaster.weights().items()}  # type: ignore[attr-defined]


def under_correction(weights: Mapping[str, np.ndarray], prefix: str = BASE) -> dict[str, np.ndarray]:
    """The arrays under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def parted(state: Mapping[str, Any], place: str = "") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A state tree of mappings as its JSON part and its arrays by path.

    >>> plain, arrays = parted({"a": np.zeros(2), "b": {"c": 0.1, "d": np.ones(1)}})
    >>> plain, sorted(arrays)
    ({'b': {'c': 0.1}}, ['a', 'b.d'])
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            arrays[place + name] = value
        elif isinstance(value, Mapping):
            plain[name], more = parted(value, f"{place}{name}.")
            arrays |= more
        else:
            plain[name] = value
    return plain, arrays


def joined(plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The state tree that ``parted`` took apart.

    >>> joined({"b": {"c": 0.1}}, {"a": np.zeros(1), "b.d": np.ones(1)})
    {'b': {'c': 0.1, 'd': array([1.])}, 'a': array([0.])}
    """
    state = {name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()}
    for path, value in arrays.items():
        *places, name = path.split(".")
        inside = state
        for one in places:
            inside = inside[one]
        inside[name] = value
    return state
