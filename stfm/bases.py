"""Base models by name: the three that come along, and classes of other packages.

A base of your own is a class that fulfils ``CustomBase``. What it learnt must be arrays and JSON: nothing is pickled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol, cast

import numpy as np
import xarray as xr

from terracast.stfm.forecaster import Capabilities, Forecaster, ForecastError, Request
from terracast.streams.plugins import find_plugin, has_plugin

GROUP = "terracast.bases"
BUILT_IN = ("native", "shipped", "counts")
DEFAULT = "shipped"
STEPS = 800  # of training, where a base is trained and nobody says how long
NEEDED = ("capabilities", "forecast", "fit", "build", "config", "weights")
SERIALIZABLE = tuple(part for part in NEEDED if part != "fit")  # what a rung wraps around a base is not fitted
Progress = Callable[[float], None]


class CustomBase(Protocol):
    """What a base model of your own offers: a ``Forecaster`` with a way in and a way onto the shelf.

    Attributes
    ----------
    context_steps : int
        How many steps of the past a forecast reads; 0, or left out: what ``stream.history`` says.
    zero_shot : bool
        Whether ``fit`` learns nothing from the panel, so that service begins with the first value; left out: it does.
    """

    context_steps: ClassVar[int]
    zero_shot: ClassVar[bool]

    @classmethod
    def fit(cls, panel: xr.Dataset, request: Request, *, steps: int, seed: int,
            progress: Progress | None = None) -> CustomBase:
        """Fit to ``panel``, all of it known; variables beside ``request.target`` are drivers.

        ``steps`` and ``seed`` are ``base.steps`` and ``base.seed``; ``progress`` hears the share that is done.
        ``request.issue_time`` is not to be read.
        """
        ...

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> CustomBase:
        """What ``config()`` and ``weights()`` describe: its forecasts are the same to the bit."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """See ``stfm.forecaster.Forecaster``."""
        ...

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """See ``stfm.forecaster.Forecaster``."""
        ...

    def config(self) -> dict[str, object]:
        """JSON-ready; ``forecaster`` is the name under which the class is found."""
        ...

    def weights(self) -> Mapping[str, np.ndarray]:
        """Arrays of numbers by name; may be empty."""
        ...


def check_name(name: str) -> str:
    """The name of a base model, or ``ValueError`` where none can have it; nothing is imported.

    >>> check_name("native")
    'native'
    >>> check_name("oracle")
    Traceback (most recent call last):
    ValueError: 'oracle' is no base model: native, shipped, counts, an entry point of terracast.bases, or module:Class
    """
    if name in BUILT_IN or has_plugin(GROUP, name):
        return name
    raise ValueError(f"{name!r} is no base model: {', '.join(BUILT_IN)}, an entry point of {GROUP}, or module:Class")


def custom_base(name: str, needed: tuple[str, ...] = NEEDED) -> type[CustomBase]:
    """The class that a name leads to; ``ForecastError`` where it lacks a part of ``CustomBase`` that is needed."""
    found = find_plugin(GROUP, name, built_in=BUILT_IN)
    missing = [part for part in needed if not hasattr(found, part)]
    if missing:
        raise ForecastError(f"{found.__name__} has no {', '.join(missing)}", where=name,
                            expected="a class with " + ", ".join(needed), remedy="see docs/extend/base-model.md")
    return cast("type[CustomBase]", found)


def context_steps(name: str) -> int:
    """How many steps of the past the base reads; 0: what ``stream.history`` says."""
    if name == "shipped":
        from terracast.stfm.base.window import MEMORY

        return MEMORY
    if name == "counts":
        from terracast.stfm.poisson.forecaster import CountForecaster

        return CountForecaster.context_steps
    return 0 if name in BUILT_IN else int(getattr(custom_base(name), "context_steps", 0))


def is_zero_shot(name: str, steps: int | None) -> bool:
    """Whether a base forecasts without having learnt from the stream's own past, with so many ``steps`` of training
    asked for.

    >>> is_zero_shot("shipped", None), is_zero_shot("shipped", 800), is_zero_shot("native", None)
    (True, False, False)
    """
    if name in BUILT_IN:
        return name == "shipped" and steps is None
    return steps is None and bool(getattr(custom_base(name), "zero_shot", False))


def fit_base(name: str, panel: xr.Dataset, request: Request, *, steps: int | None = None, seed: int,
             progress: Progress | None = None) -> Forecaster:
    """Fit the base of this name to ``panel``, all of it known; variables beside the target are drivers.

    ``steps`` of training: None is ``STEPS`` for a base that must be trained. The shipped one forecasts untrained; its
    heads are continued on the panel where steps are given.

    Raises
    ------
    ForecastError
        A class of another package that could not be kept in the registry: told here, before anything is served.
    """
    if name == "shipped":
        from terracast.stfm.base.model import Base

        base = Base.shipped()
        return base.continue_on(panel, request, steps=steps, seed=seed, progress=progress) if steps else base
    steps = STEPS if steps is None else steps
    if name == "native":
        from terracast.stfm.mlp.forecaster import NativeModel

        drivers = tuple(str(one) for one in panel.data_vars if one != request.target)
        return NativeModel.fit(panel, request, drivers=drivers, steps=steps, seed=seed, progress=progress)
    if name == "counts":
        from terracast.stfm.poisson.forecaster import CountForecaster

        return CountForecaster.fit(panel, request, steps=steps, seed=seed, progress=progress)
    fitted = custom_base(name).fit(panel, request, steps=steps, seed=seed, progress=progress)
    _check_kept(fitted, name)
    return fitted


def _check_kept(fitted: CustomBase, name: str) -> None:
    """Refuse what is not the same class again once it was written and read."""
    from terracast.stfm import serialization as shelf

    with tempfile.TemporaryDirectory() as folder:
        again = shelf.load(shelf.save(fitted, Path(folder)))
    if type(again) is not type(fitted):
        raise ForecastError(f"config() of {type(fitted).__name__} leads to a {type(again).__name__}", where=name,
                            expected=f"'forecaster': {name!r} in it", remedy="correct config()")
