"""Imputation: gaps filled from both sides, by forecasts into the gap and by forecasts of the past read backwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import QUANTILES, Forecaster, ForecastError, Request

LONGEST = 192  # steps of a gap that are filled from a side
HISTORY = 1536
LOW, MEDIAN, HIGH = (QUANTILES.index(level) for level in (0.1, 0.5, 0.9))


@dataclass(frozen=True)
class Gap:
    """Steps ``start`` … ``stop`` - 1 of a node, not observed."""

    node: int
    start: int
    stop: int


def gaps_of(values: np.ndarray) -> list[Gap]:
    """Every run of NaN in ``values`` (time, node), by node and start; nodes without any value have none.

    >>> gaps_of(np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, np.nan]]))
    [Gap(node=0, start=1, stop=2)]
    """
    found = []
    for node, column in enumerate(np.isnan(values).T):
        if column.all():
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]])))
        found += [Gap(node, int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    return found


def impute(panel: xr.Dataset, target: str, forecaster: Forecaster, *, longest: int = LONGEST) -> xr.Dataset:
    """The panel's ``target`` with its gaps filled: variables ``target``, ``low``, ``high`` (an 80 % interval) and
    ``filled``, on (time, node). Observed values stay as they are.

    A step inside a gap mixes the forecast from before with the one from after, each by its nearness (quantiles are
    averaged, not densities). Looks at both sides: for records, never for a live forecast. Steps farther than
    ``longest`` from both sides stay NaN, and so do nodes without any value. The panel needs its clock without
    missing rows. A call of the forecaster for each distinct edge of a gap.

    >>> from terracast.stfm.seasonal_naive import SeasonalNaive
    >>> values = np.tile(np.arange(24.0), 10)[:, None]
    >>> values[100:106] = np.nan
    >>> panel = xr.Dataset({"x": (("time", "node"), values)}, {"node": ["a"],
    ...                    "time": pd.date_range("2020-01-01", periods=240, freq="h")}, {"step": "1h"})
    >>> impute(panel, "x", SeasonalNaive()).x.values[100:106, 0].tolist()
    [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    """
    if target not in panel.data_vars:
        raise ForecastError(f"no variable {target!r}", where="imputation", remedy="name a variable of the panel",
                            expected="one of " + ", ".join(map(str, panel.data_vars)))
    step = pd.Timedelta(panel.attrs["step"]).to_timedelta64().astype("timedelta64[ns]")
    if (np.diff(panel["time"].values.astype("datetime64[ns]")) != step).any():
        raise ForecastError("the clock has missing rows", where="imputation", expected=f"a row every {step}",
                            remedy="reindex the panel to its clock; missing rows become NaN")
    values = panel[target].transpose("time", "node").values.astype("float64")
    gaps = gaps_of(values)
    forth = _from_one_side(panel[[target]], target, gaps, forecaster, step, longest)
    turned = [Gap(gap.node, len(values) - gap.stop, len(values) - gap.start) for gap in gaps]
    back = _from_one_side(_turned(panel[[target]], target), target, turned, forecaster, step, longest)[::-1]
    mixed = _mixed(forth, back, gaps)
    dims, attrs = ("time", "node"), panel[target].attrs
    missing = np.isnan(values)
    made = [np.where(missing, mixed[..., level], values) for level in (MEDIAN, LOW, HIGH)]
    filled = missing & np.isfinite(made[0])
    return xr.Dataset({target: (dims, made[0], attrs), "low": (dims, made[1], attrs), "high": (dims, made[2], attrs),
                       "filled": (dims, filled)}, {name: panel[name] for name in panel.coords}, panel.attrs)


def _turned(panel: xr.Dataset, target: str) -> xr.Dataset:
    """The panel read backwards on the same stamps: seasons keep their length, if not their shape."""
    values = panel[target].transpose("time", "node").values[::-1].copy()
    return panel.assign({target: (("time", "node"), values, panel[target].attrs)})


def _from_one_side(panel: xr.Dataset, target: str, gaps: list[Gap], forecaster: Forecaster, step: np.timedelta64,
                   longest: int) -> np.ndarray:
    """Quantiles (time, node, quantile) inside the gaps, from what lies before each; NaN elsewhere."""
    made = np.full((*panel[target].transpose("time", "node").shape, len(QUANTILES)), np.nan)
    known = np.isfinite(panel[target].transpose("time", "node").values)
    for start in sorted({gap.start for gap in gaps if gap.start > 0}):
        due = [gap for gap in gaps if gap.start == start]
        nodes = np.array([gap.node for gap in due])
        reached = min(longest, max(gap.stop - gap.start for gap in due))
        context = panel.isel(time=slice(max(0, start - HISTORY), start))
        told = known[max(0, start - HISTORY):start].any(axis=0)
        if not told[nodes].any():
            continue
        request = Request(target, panel["time"].values[start - 1], reached, step)
        answer = forecaster.forecast(context, request)[target].values[0]
        for gap in due:
            length = min(gap.stop - gap.start, reached)
            if told[gap.node]:
                made[start:start + length, gap.node] = answer[:length, gap.node]
    return made


def _mixed(forth: np.ndarray, back: np.ndarray, gaps: list[Gap]) -> np.ndarray:
    """Both sides by nearness; one alone where the other says nothing."""
    mixed = np.where(np.isnan(forth), back, forth)
    for gap in gaps:
        inside = slice(gap.start, gap.stop)
        share = (np.arange(gap.stop - gap.start, 0, -1) / (gap.stop - gap.start + 1))[:, None]
        both = share * forth[inside, gap.node] + (1 - share) * back[inside, gap.node]
        mixed[inside, gap.node] = np.where(np.isnan(both), mixed[inside, gap.node], both)
    return mixed
