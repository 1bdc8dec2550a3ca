"""Forecasts of what follows people's clocks: around a change of clocks the past is read by the hour that clocks showed.

A forecaster looks a day or a week back by counting steps. On the days after a change of clocks that is an hour off for
whatever people do. Here the rows before the change are moved by the hour, and leads beyond one are read accordingly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from terracast.stats.summer_time import summer_time
from terracast.stfm.forecaster import Forecaster, Request


def forecast_by_clock(model: Forecaster, context: xr.Dataset, request: Request) -> xr.Dataset:
    """What ``model`` forecasts, the past read by the clocks of ``request.clock_zone``; plainly where that is None, or
    where no change of clocks lies between the context's first row and the last lead.

    The hour that comes twice in autumn is read once, as it was the second time; the one that is left out in spring is a
    gap. A lead that would lie beyond the horizon says what the last one does.
    """
    zone = request.clock_zone
    if zone is None or not context.sizes["time"]:
        return model.forecast(context, request)
    issue = np.array([request.issue_time], "datetime64[ns]")
    times, valid = context["time"].values.astype("datetime64[ns]"), request.valid_times
    now = summer_time(issue, zone)[0]
    moved, ahead = summer_time(times, zone) - now, summer_time(valid, zone) - now
    none = np.timedelta64(0, "ns")
    if not ((moved != none).any() or (ahead != none).any()):
        return model.forecast(context, request)
    known = (times <= issue) | (times + moved > issue)  # what comes later must not lie before the issue
    plain = replace(request, clock_zone=None)  # a model that asks another must not move the rows again
    forecast = model.forecast(_moved(context.isel(time=known), (times + moved)[known]), plain)
    step = request.step.astype("timedelta64[ns]")
    leads = np.clip(np.arange(1, request.horizon + 1) + ahead // step, 1, request.horizon) - 1
    values = forecast[request.target]
    return forecast.assign({request.target: values.copy(data=values.values[:, leads])})


def _moved(context: xr.Dataset, times: np.ndarray) -> xr.Dataset:
    """The context at other stamps, rising, each once: of two the later row."""
    order = np.argsort(times, kind="stable")
    last = np.append(np.diff(times[order]) != np.timedelta64(0, "ns"), True)
    kept = order[last]
    return context.isel(time=kept).assign_coords(time=("time", times[kept], context["time"].attrs))
