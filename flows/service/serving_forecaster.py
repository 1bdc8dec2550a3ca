"""The forecaster that serves, as the settings name it: for the ablation of drivers, and its bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from terracast.flows.settings import BaseSettings
from terracast.stfm.bases import DEFAULT, context_steps, fit_base
from terracast.stfm.forecaster import Forecaster, Request

if TYPE_CHECKING:  # what brings torch along is imported where it is needed
    from terracast.drivers.ablation import ForecasterFactory

WEEK = 168  # steps of an hour


def forecaster_factory(base: BaseSettings, steps: int) -> ForecasterFactory:
    """Makes that base; one that is trained before it serves is trained for ``steps`` steps."""
    untrained = base.model == DEFAULT and base.steps is None

    def make(panel: xr.Dataset, request: Request) -> Forecaster:
        return fit_base(base.model, panel, request, steps=None if untrained else steps, seed=base.seed)
    return make


def steps_seen(base: BaseSettings) -> int:
    """How many steps of the past that base is given where no stream says so."""
    return context_steps(base.model) or WEEK
