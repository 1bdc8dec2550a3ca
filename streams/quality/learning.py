"""Learning what is usual from a past panel: medians and largest values, so that a few faults in it do
little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.panel import check_panel, step_of
from terracast.streams.quality import clock_shift, spikes, unit_change
from terracast.streams.quality.check_context import CheckContext, day_class, still_runs
from terracast.streams.quality.gaps import typical_gap
from terracast.streams.quality.limits import is_direction
from terracast.streams.quality.neighbours import candidates, distinct, neighbour_median
from terracast.streams.quality.reference import Climatology, Reference
from terracast.streams.quality.saturation import ceiling_hits
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.stuck import STILL_SHARE, longest_runs
from terracast.streams.quality.units import alternatives, has_own_zero
from terracast.streams.quality.windows import nan_median, nan_quantile, shifted

FEWEST = 48  # values below which nothing is said about a node
FEWEST_DAYS = pd.Timedelta("7D")  # and of how long: a daily cycle is not learned from three days
SMALLEST_NOISE = 0.1  # in the node's deviations: twins explain each other to the bit, weather does not
OFFSET_SHARE = 0.5  # of the median: below it the logarithm turns into the value itself
MAD = 1.4826


def learn(panel: xr.Dataset, settings: QualitySettings | None = None) -> Reference:
    """What is usual in a panel of the past: a daily cycle, noise, memory, neighbours, delay.

    About a fortnight is the least that makes sense, three months are enough. O(values × log(time)).

    Parameters
    ----------
    panel : Dataset, dims (time, node)
        NaN where values are known to be bad.
    settings : QualitySettings, optional
        Windows and thresholds of the checks.

    Returns
    -------
    Reference
        For ``judge``.

    Raises
    ------
    PanelError
        Where the panel is none.

    Examples
    --------
    >>> hours = np.datetime64("2024-01-01", "ns") + np.arange(24 * 30) * np.timedelta64(1, "h")
    >>> level = 280.0 + np.sin(np.arange(24 * 30) / 4)[:, None] * [1.0, 2.0]
    >>> panel = xr.Dataset({"temp": (("time", "node"), level, {"units": "K", "long_name": "air temperature"})},
    ...                    {"time": hours, "node": ["a", "b"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> learn(panel).nodes
    ('a', 'b')
    """
    panel, settings = check_panel(panel), settings or QualitySettings()
    evidence: dict[int, list[np.ndarray]] = {}
    variables = {str(name): _learned(panel, str(name), settings, evidence) for name in panel.data_vars}
    window = settings.rows(settings.clock_window, step_of(panel), 48)
    around = np.max([(one.neighbours >= 0).sum(axis=1) for one in variables.values()], axis=0)
    together = [clock_shift.limit_from_past(clock_shift.pooled(cells), window, settings, around)
                for cells in evidence.values()]
    return Reference(tuple(panel["node"].values.tolist()), variables, _typical_delay(panel),
                     np.array(together).reshape(len(together), panel.sizes["node"]))


def _typical_delay(panel: xr.Dataset) -> int:
    """Median delay in ns, -1 where the panel does not say when a value was known."""
    if "known_time" not in panel.coords:
        return -1
    delay = (panel["known_time"] - panel["time"]).values.ravel()
    known = delay[~np.isnat(delay)].astype("timedelta64[ns]").astype(np.int64)
    return int(np.median(known)) if len(known) else -1


def _learned(panel: xr.Dataset, name: str, settings: QualitySettings,
             evidence: dict[int, list[np.ndarray]]) -> Climatology:
    values, step, time = panel[name].values, step_of(panel), panel["time"].values
    units, standard = str(panel[name].attrs["units"]), str(panel[name].attrs.get("standard_name", ""))
    usual = _first_look(values, time, step, _offset(values, units))
    sight = CheckContext(time, step, values, 0, settings, alternatives(units, standard), usual)
    chosen = distinct(candidates(panel, sight.anomalies, 2 * settings.neighbours), sight.anomalies,
                      settings.neighbours)
    usual = replace(usual, neighbours=chosen)
    share, noise, memory = _relation(sight.anomalies, neighbour_median(sight.anomalies, chosen))
    sight = replace(sight, usual=replace(usual, share=share, noise=noise, memory=memory))
    window = sight.rows(settings.saturation_window, 24)
    return replace(sight.known, spike=spikes.past_jumps(sight), unit=unit_change.past_evidence(sight),
                   clock=_clock_limits(sight, evidence, not is_direction(name, panel[name].attrs)),
                   hits=ceiling_hits(values, window).max(axis=0, initial=0))


def _clock_limits(sight: CheckContext, evidence: dict[int, list[np.ndarray]], counts: bool) -> np.ndarray:
    """The variable's own limits (shift, node); its evidence is put by for the limits of all together."""
    window, limits = sight.rows(sight.settings.clock_window, 48), []
    for shift in clock_shift.shifts(sight.step, sight.settings):
        cell = clock_shift.evidence(sight, shift)
        around = (sight.known.neighbours >= 0).sum(axis=1)
        limits.append(clock_shift.limit_from_past(cell, window, sight.settings, around))
        if counts:
            held = evidence.setdefault(shift, [])
            held[:] = [clock_shift.pooled([*held, cell])]
    return np.array(limits).reshape(len(limits), sight.values.shape[1])


def _offset(values: np.ndarray, units: str) -> float:
    """The offset of the logarithm: 0, no logarithm, for a scale without a zero of its own or negative
    values."""
    some = values[:: max(1, len(values) // 2000)]
    some = some[~np.isnan(some)]
    if not has_own_zero(units) or not len(some) or np.quantile(some, 0.01) < 0:
        return 0.0
    positive = some[some > 0]
    return float(OFFSET_SHARE * np.median(positive)) if len(positive) else 0.0


def _first_look(values: np.ndarray, time: np.ndarray, step: np.timedelta64, offset: float) -> Climatology:
    """All that a node's own values tell, without neighbours; limits still infinite."""
    nodes, empty = values.shape[1], np.zeros(values.shape[1], np.float32)
    usual = Climatology(offset, *([empty] * 19))
    transformed, classes = usual.transformed(values), day_class(time, step)
    profile = np.full((int(classes.max(initial=0)) + 1, nodes), np.nan, np.float32)
    for one in np.unique(classes):
        profile[one] = nan_median(transformed[classes == one])
    profile = np.where(np.isnan(profile), nan_median(transformed), profile)
    scale = _spread(transformed - profile[classes])
    few = (~np.isnan(values)).sum(axis=0) < max(FEWEST, round(FEWEST_DAYS / pd.Timedelta(step)))
    change = np.abs(np.diff(values, axis=0))
    still = STILL_SHARE * nan_median(np.where(change > 0, change, np.nan))
    run = still_runs(values, np.nan_to_num(still))
    floor = nan_quantile(values, 0.01)
    at_floor = values <= floor
    longest, longest_floor = longest_runs(run, at_floor)
    return replace(
        usual, profile=profile, scale=np.where(few, np.nan, scale).astype(np.float32), still=still,
        neighbours=np.full((nodes, 1), -1), longest=np.where(few, np.nan, longest),
        longest_floor=np.where(few, np.nan, longest_floor), floor=floor,
        floor_share=at_floor.sum(axis=0) / np.maximum((~np.isnan(values)).sum(axis=0), 1),
        noise=empty + 1, gap=typical_gap(values), reports=(~np.isnan(values)).mean(axis=0),
        top=highest(values)[0], top_hits=highest(values)[1])


def highest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest value of all nodes and in how many rows it was reached, each of shape (1,)."""
    top = float(np.nanmax(values, initial=-np.inf))
    return np.array([top]), np.array([float((values == top).any(axis=1).sum())])


def _spread(anomalies: np.ndarray) -> np.ndarray:
    """Robust standard deviation; the plain one where more than half the values are equal; NaN where all
    are."""
    robust = MAD * nan_median(np.abs(anomalies))
    count = np.maximum((~np.isnan(anomalies)).sum(axis=0), 1)
    plain = np.sqrt(np.nansum(anomalies.astype(np.float64) ** 2, axis=0) / count)
    scale = np.where(robust > 0, robust, plain)
    return np.where(scale > 0, scale, np.nan)


def _relation(anomalies: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the neighbours' anomaly, robust deviation of the rest, and the rest's lag-1 correlation."""
    own, theirs = np.clip(anomalies, -4, 4), np.clip(around, -4, 4)
    both = ~(np.isnan(own) | np.isnan(theirs))
    product = np.where(both, own * theirs, 0).sum(axis=0, dtype=np.float64)
    square = np.where(both, theirs * theirs, 0).sum(axis=0, dtype=np.float64)
    share = np.clip(product / np.maximum(square, 1e-9), 0.0, 1.2).astype(np.float32)
    rest = anomalies - np.nan_to_num(around * share)
    noise = np.maximum(np.nan_to_num(_spread(rest), nan=1.0), SMALLEST_NOISE).astype(np.float32)
    rest = np.clip(rest / noise, -4, 4)
    before = shifted(rest, 1)
    pairs = ~(np.isnan(rest) | np.isnan(before))
    lagged = np.where(pairs, rest * before, 0).sum(axis=0, dtype=np.float64)
    power = np.where(pairs, before * before, 0).sum(axis=0, dtype=np.float64)
    memory = np.clip(lagged / np.maximum(power, 1e-9), 0.0, 0.98).astype(np.float32)
    return share, noise, memory

