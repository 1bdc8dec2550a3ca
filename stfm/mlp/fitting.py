"""Fitting an MLP forecaster anew, and training a fitted one further without ever making it worse."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.design import Design, check_columns, layout_for
from terracast.stfm.mlp.fitted import Fitted
from terracast.stfm.mlp.network import Network
from terracast.stfm.mlp.scales import Scale, Scales, completed, measure
from terracast.stfm.mlp.training import TrainingEffort, examined, train, training

HELD_OUT = 0.2  # the newest share of a panel that ``continued`` is examined on
EXAMINATIONS = 6
RATE = 2e-3  # peak learning rate of a fit anew


def fitted_to(panel: xr.Dataset, request: Request, drivers: tuple[str, ...], effort: TrainingEffort,
              delay: pd.Timedelta | None, lookback: int, progress: Callable[[float], None] | None) -> Fitted:
    """See ``NativeModel.fit``."""
    check_columns(panel, request.target, drivers)
    step = pd.Timedelta(request.step)
    late = 1 if delay is None else math.ceil(delay / step)
    layout = layout_for(panel, request, drivers, max(lookback, late + 1))
    design = Design(layout, request.target, str(step), late)
    pooled = [measure(_values(panel, name).reshape(-1, 1)) for name in layout.drivers]
    driver_scale = completed(
        Scale(np.array([float(one.centre[0]) if np.isfinite(one.centre[0]) else 0.0 for one in pooled]),
              np.array([float(one.width[0]) for one in pooled])), np.full(len(pooled), 10**6), 1.0)
    begun = Fitted(design, _measured(panel, request.target), driver_scale, new_network(design, effort.seed))
    return begun.with_network(train(begun.network, begun.training_window(panel), effort, progress))


def continued(fitted: Fitted, panel: xr.Dataset, request: Request, effort: TrainingEffort) -> Fitted:
    """See ``NativeModel.continue_on``."""
    fitted.design.check(request)
    check_columns(panel, request.target, ())
    scales = fitted.scales.joined(_measured(panel, request.target))
    best = replace(fitted, scales=scales, network=copy.deepcopy(fitted.network))
    training_window = best.training_window(panel)
    rows = training_window.candidates()
    cut = int(rows[int(len(rows) * (1 - HELD_OUT))])
    past = replace(training_window,
                   last=cut - fitted.design.layout.horizon)  # its targets end before the held-out issues
    if past.last <= past.first or not effort.steps:
        return best
    held_out = replace(training_window, first=cut)
    least = examined(best.network, held_out)
    for step, mean in enumerate(training(copy.deepcopy(fitted.network), past, effort), start=1):
        if step * EXAMINATIONS // effort.steps > (step - 1) * EXAMINATIONS // effort.steps:
            loss = examined(mean, held_out)
            if loss < least:
                least, best = loss, best.with_network(copy.deepcopy(mean))
    return best


def new_network(design: Design, seed: int) -> Network:
    """An untrained network; no global random state is left changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(design.layout, design.width, design.depth, design.dropout).eval()


def _measured(panel: xr.Dataset, target: str) -> Scales:
    return Scales.measured(_values(panel, target), panel["node"].values, target)


def _values(panel: xr.Dataset, name: str) -> np.ndarray:
    """Values (time, node) as float64, NaN where not finite."""
    values = panel[name].transpose("time", "node").values.astype("float64")
    return np.where(np.isfinite(values), values, np.nan)
