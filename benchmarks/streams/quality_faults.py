"""Faults to plant into a clean panel, one node and variable at a time: what each label should find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.panel import step_of
from terracast.streams.quality.units import alternatives

# Length of each fault in hours; 1: a single value.
HOURS = {"missing": 1, "outage": 36, "stuck": 48, "spike": 1, "range": 1, "unit": 168, "clock": 336,
         "duplicated": 120, "saturated": 240, "late": 1, "backfilled": 12, "revised": 1}
IMPOSSIBLE = {"degC": -273.15, "K": 0.0}
SPIKE_DEVIATIONS = 15.0  # standard deviations of the node's hour-to-hour changes
CEILING = 0.6  # quantile of the fault's own hours at which a saturated sensor stops


@dataclass(frozen=True)
class Planted:
    """A panel with one fault, where it is, and the ledger of revisions that goes with it."""

    fault_type: str
    panel: xr.Dataset
    variable: str
    node: int
    rows: slice
    revisions: pd.DataFrame | None = None


def plant(panel: xr.Dataset, fault_type: str, variable: str, node: int, at: int,
          random: np.random.Generator) -> Planted:
    """``panel`` (with ``known_time``) with one fault of ``fault_type`` that begins at row ``at``."""
    length = max(1, round(pd.Timedelta(hours=HOURS[fault_type]) / pd.Timedelta(step_of(panel))))
    rows = slice(at, min(at + length, panel.sizes["time"]))
    if fault_type == "clock":  # a clock belongs to the station: all its variables are shifted
        return _shifted(panel, variable, node, rows, int(random.choice([-1, 1])))
    values = panel[variable].values.astype(np.float64)
    known = np.array(panel["known_time"].broadcast_like(panel[variable]).transpose("time", "node").values)
    if fault_type in ("missing", "spike", "range", "late", "revised"):  # a single value: of the cells that have one
        rows = _next_present(values[:, node], at)
    revisions = None
    if fault_type in ("late", "backfilled"):
        hours = int(random.integers(3, 48)) if fault_type == "late" else 1
        known[rows, node] = known[rows, node].max() + np.timedelta64(hours, "h")
    elif fault_type == "revised":
        revisions = pd.DataFrame({"time": panel["time"].values[rows], "node": panel["node"].values[[node]],
                                  "variable": variable, "value": values[rows, node] * 1.2,
                                  "known_time": known[rows, node] + np.timedelta64(3, "D")})
    else:
        values[rows, node] = _faulty(panel, fault_type, variable, values, node, rows, random)
    planted = panel.assign({variable: (("time", "node"), values, panel[variable].attrs)})
    planted = planted.assign_coords(known_time=(("time", "node"), known))
    return Planted(fault_type, planted, variable, node, rows, revisions)


def _shifted(panel: xr.Dataset, variable: str, node: int, rows: slice, hours: int) -> Planted:
    """All variables of the node with stamps that run ahead by so many hours (negative: behind)."""
    rows, held = slice(rows.start, min(rows.stop, panel.sizes["time"] - abs(hours))), {}
    for name in panel.data_vars:
        values = panel[name].values.copy()
        values[rows, node] = panel[name].values[rows.start - hours : rows.stop - hours, node]
        held[name] = (("time", "node"), values, panel[name].attrs)
    return Planted("clock", panel.assign(held), variable, node, rows)


def _next_present(column: np.ndarray, at: int) -> slice:
    row = at + int(np.argmax(~np.isnan(column[at:])))
    return slice(row, row + 1)


def _faulty(panel: xr.Dataset, fault_type: str, variable: str, values: np.ndarray, node: int, rows: slice,
            random: np.random.Generator) -> np.ndarray | float:
    """What the node gives in the fault's rows."""
    own, true = values[:, node], values[rows, node]
    units, name = panel[variable].attrs["units"], panel[variable].attrs.get("standard_name", "")
    if fault_type in ("missing", "outage"):
        return np.nan
    if fault_type == "stuck":
        before = own[: rows.start]
        return float(before[~np.isnan(before)][-1])
    if fault_type == "spike":
        return true + SPIKE_DEVIATIONS * float(np.nanstd(np.diff(own[: rows.start])))
    if fault_type == "range":
        return IMPOSSIBLE.get(units, -50.0)
    if fault_type == "unit":
        others = alternatives(units, name)
        other = others[int(random.integers(len(others)))]
        return np.asarray((true - other.offset) / other.factor)
    if fault_type == "duplicated":
        unlike = [other for other in range(values.shape[1])
                  if other != node and not np.array_equal(values[:, other], own, equal_nan=True)]
        return np.asarray(values[rows, unlike[int(random.integers(len(unlike)))]])
    return np.minimum(true, np.nanquantile(true, CEILING))
