"""What the forecast page tells of each node, from the store: the past, the newest forecast, and last week's."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from terracast.flows.forecast import HIGH, LOW, MEDIAN, Issued
from terracast.flows.reporting.content import FAN_LEVELS
from terracast.flows.service.outlook import PAST_STEPS
from terracast.flows.settings import nanoseconds
from terracast.flows.site.content import Forecasts
from terracast.flows.workspace import Workspace
from terracast.streams.store import View

WEEK, MOST_STEPS = np.timedelta64(7, "D"), 1000  # of a stream of seconds a week would be too much to draw


def forecasts_of(workspace: Workspace, view: View, now: np.datetime64, issued: Issued | None) -> Forecasts | None:
    """All nodes as known at ``now``; None where nothing of the domain is stored. O(nodes × (week + leads))."""
    stream = workspace.settings.stream
    if stream.domain not in view.domains:
        return None
    step = nanoseconds(stream.step)
    span = min(WEEK.astype("timedelta64[ns]"), MOST_STEPS * step)
    past = max(span, int(np.clip(3 * round(stream.horizon / stream.step), *PAST_STEPS)) * step)
    panel = view.as_known_at(stream.domain, now, (now if issued is None else issued.issue_time) - past)
    nodes = [str(node) for node in panel["node"].values] if issued is None else issued.nodes
    observed = panel[stream.target].transpose("time", "node").reindex(node=nodes).values
    levels = np.zeros((0, len(nodes), len(FAN_LEVELS)))
    valid = np.array([], "datetime64[ns]")
    if issued is not None:
        valid, levels = issued.valid_times, np.stack([issued.at(level) for level in FAN_LEVELS], axis=2)
    week_times, week = _week(workspace, view, now, span, nodes)
    return Forecasts(tuple(nodes), panel["time"].values, observed, valid, levels, week_times, week,
                     None if issued is None else issued.issue_time)


def _week(workspace: Workspace, view: View, now: np.datetime64, span: np.timedelta64, nodes: list[str]
          ) -> tuple[np.ndarray, np.ndarray]:
    """Of each instant of the last week the newest forecast that was made before it: times (time,), values (time, node,
    level)."""
    stream = workspace.settings.stream
    held = view.ledger(f"forecasts/{stream.domain}", now - span - nanoseconds(stream.horizon))
    if held is None or not held.sizes["issue_time"]:
        return np.array([], "datetime64[ns]"), np.zeros((0, len(nodes), 3))
    values = held[stream.target].transpose("issue_time", "lead", "node", "quantile").reindex(node=nodes)
    valid = held["valid_time"].transpose("issue_time", "lead").values
    rows, leads = _newest_before(valid, held["issue_time"].values, now, span)
    chosen = _levels(values, rows, leads)
    return valid[rows, leads], chosen


def _newest_before(valid: np.ndarray, issued: np.ndarray, now: np.datetime64, span: np.timedelta64
                   ) -> tuple[np.ndarray, np.ndarray]:
    """Rows and leads of the ledger: one for each instant up to ``now``, in the order of time."""
    there = (valid > now - span) & (valid <= now) & (issued[:, None] < valid)
    rows, leads = np.nonzero(there)
    order = np.lexsort((issued[rows], valid[rows, leads]))
    rows, leads = rows[order], leads[order]
    last = np.append(np.diff(valid[rows, leads].astype(np.int64)) > 0, True) if len(rows) else np.zeros(0, bool)
    return rows[last], leads[last]


def _levels(values: xr.DataArray, rows: np.ndarray, leads: np.ndarray) -> np.ndarray:
    held: Any = values.values[rows, leads].astype("float64")
    quantiles = values["quantile"].values
    places = [int(np.argmin(np.abs(quantiles - level))) for level in (LOW, MEDIAN, HIGH)]
    chosen: np.ndarray = held[:, :, places]
    return chosen
