"""The forecaster that serves, as the settings name it: for the workspace, the ablation of drivers, and its bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import xarray as xr

from flows.settings import BaseSettings
from stfm.forecaster import Forecaster, Request

if TYPE_CHECKING:  # what brings torch along is imported where it is needed
    from drivers.ablation import ForecasterFactory

WEEK = 168  # steps of an hour


def fit_base(base: BaseSettings, panel: xr.Dataset, request: Request, *, steps: int, seed: int,
             progress: Callable[[float], None] | None = None) -> Forecaster:
    """Fit the base that the settings name on a context panel; driver variables are those beside the target.
    ``progress`` hears the share that is done."""
    if base.model == "shipped":
        from stfm.base.model import Base

        return Base.shipped().continue_on(panel, request, steps=steps, seed=seed, progress=progress)
    from stfm.native import NativeModel

    drivers = tuple(str(name) for name in panel.data_vars if name != request.target)
    return NativeModel.fit(panel, request, drivers=drivers, steps=steps, seed=seed, progress=progress)


def forecaster_factory(base: BaseSettings, steps: int) -> ForecasterFactory:
    """Makes that base, fitted for ``steps`` steps."""
    def make(panel: xr.Dataset, request: Request) -> Forecaster:
        return fit_base(base, panel, request, steps=steps, seed=base.seed)
    return make


def steps_seen(base: BaseSettings) -> int:
    """How many steps of the past that base is given where no stream says so."""
    if base.model == "shipped":
        from stfm.base.window import MEMORY

        return MEMORY
    return WEEK
