"""From panels as known at an instant to the matrix that discovery reads: one summary series per variable.

Each step is a pure function of the panels handed in: nothing later can change what was prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from terracast.causal.graph.graph import Series
from terracast.causal.preprocessing.deseasonalise import (
    TRANSFORMS,
    anomalies,
    calendar,
    chosen_transform,
    slot_statistics,
    transformed,
)
from terracast.causal.preprocessing.gaussianize import excess_kurtosis, normal_scores
from terracast.streams.errors import TerracastError
from terracast.streams.panel import check_panel, step_of

_LEAST_VALUES = 20
_LONG_TAILS = 1.0  # excess kurtosis of anomalies from which they are taken by rank


class PrepareError(TerracastError):
    """Panels that cannot be made into one matrix of series."""


@dataclass(frozen=True)
class DroppedSeries:
    """A series that is not in the matrix, and why."""

    series: Series
    reason: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """The matrix for discovery: ``values`` of shape (time, series), standardised, NaN where not observed.

    ``duplicates`` names pairs (kept, copy) of bit-identical series, ``dropped`` those left out, ``notes``
    what was done in plain sentences, ``labels`` the readers' names.
    """

    values: np.ndarray
    series: tuple[Series, ...]
    step: str
    time: np.ndarray
    dropped: tuple[DroppedSeries, ...] = ()
    duplicates: tuple[tuple[Series, Series], ...] = ()
    notes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    def column(self, series: Series) -> np.ndarray:
        """The values of one series, shape (time,)."""
        return np.asarray(self.values[:, self.series.index(series)])


@dataclass(frozen=True)
class Preparation:
    """How panels are prepared.

    ``transforms`` maps ``domain.variable`` to one of none, log1p, ranks, normal (left out: chosen from the values);
    ``remove_season`` False leaves the calendar in (to compare with); ``slow_window`` is the distance
    of the slow curve's knots (default: 30 days, at least 30 steps); ``step`` the matrix' clock (default: the finest
    of the panels).
    """

    transforms: Mapping[str, str] = field(default_factory=dict)
    remove_season: bool = True
    slow_window: pd.Timedelta | None = None
    step: str | None = None


def prepare(panels: Mapping[str, xr.Dataset], variables: Mapping[str, Sequence[str]] | None = None,
            how: Preparation | None = None) -> Prepared:
    """One standardised series per variable of each domain, on one clock.

    ``panels`` maps domain to its panel as known at the instant of interest; ``variables`` selects per domain
    (default: all). A variable's summary is the mean over nodes of standardised anomalies, so that a node's
    gap does not move it; bit-identical nodes count once. A coarser domain's value (stamp = start of its
    step) enters the finer clock only from the end of its step on; a finer domain is averaged over the
    coarser step. Raises ``PrepareError``. O(values).

    >>> hours = pd.date_range("2020-01-01", periods=24 * 20, freq="h")
    >>> noise = np.random.default_rng(0).normal(size=(480, 2))
    >>> sun = np.sin(np.arange(480) * np.pi / 12)[:, None]
    >>> air = xr.Dataset({"o3": (("time", "node"), noise + 9 * sun, {"units": "ppb", "long_name": "ozone"})},
    ...                  {"time": hours, "node": ["a", "b"]},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> done = prepare({"air": air})
    >>> done.series, bool(abs(np.corrcoef(done.values[:, 0], sun[:, 0])[0, 1]) < 0.01)
    ((Series(domain='air', variable='o3'),), True)
    """
    how = how or Preparation()
    checked = {domain: check_panel(panel) for domain, panel in panels.items()}
    chosen = {domain: _chosen_variables(domain, panel, variables) for domain, panel in checked.items()}
    _check_transforms(how, chosen)
    step = _common_step(checked, how)
    columns: dict[Series, np.ndarray] = {}
    dropped: list[DroppedSeries] = []
    notes: list[str] = []
    labels: dict[str, str] = {}
    time = _common_time(checked, step)
    for domain, panel in checked.items():
        own = max(step, pd.Timedelta(step_of(panel)))
        coarse = _at_step(panel[chosen[domain]], own)
        for name in chosen[domain]:
            series = Series(domain, name)
            labels[str(series)] = str(panel[name].attrs["long_name"])
            values, note = _summary(coarse[name].values, coarse["time"].values, own, how, series)
            reason = _unusable(coarse[name].values, values)
            if reason:
                dropped.append(DroppedSeries(series, reason))
                continue
            columns[series] = _onto_clock(values, coarse["time"].values, own, time, step)
            notes.append(f"{series}: {note}")
        if own > step:
            notes.append(f"{domain} has a step of {_words(own)}: each value is used from the end of its step "
                         "on, so its lags count from then.")
    return _assembled(columns, dropped, notes, labels, time, step)


def _assembled(columns: dict[Series, np.ndarray], dropped: list[DroppedSeries], notes: list[str],
               labels: dict[str, str], time: np.ndarray, step: pd.Timedelta) -> Prepared:
    for series in [one for one, values in columns.items() if np.isfinite(values).sum() < _LEAST_VALUES]:
        del columns[series]
        dropped.append(DroppedSeries(series, f"{series} is missing over the common time span"))
    values = np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(time), 0))
    seen_before: dict[bytes, Series] = {}
    duplicates = []
    for series, column in columns.items():
        first = seen_before.setdefault(column.tobytes(), series)
        if first != series:
            duplicates.append((first, series))
    values.setflags(write=False)
    return Prepared(values, tuple(columns), _words(step), time, tuple(dropped), tuple(duplicates),
                    tuple(notes), labels)


def _chosen_variables(domain: str, panel: xr.Dataset,
                      variables: Mapping[str, Sequence[str]] | None) -> list[str]:
    held = [str(name) for name in panel.data_vars]
    wanted = held if variables is None or domain not in variables else list(variables[domain])
    unknown = [name for name in wanted if name not in held]
    if unknown:
        raise PrepareError(f"no variable {unknown[0]!r}", where=domain, expected="one of " + ", ".join(held),
                           remedy="select another variable")
    return wanted


def _check_transforms(how: Preparation, chosen: Mapping[str, Sequence[str]]) -> None:
    known = [f"{domain}.{name}" for domain, names in chosen.items() for name in names]
    for name, transform in how.transforms.items():
        if name not in known:
            raise PrepareError(f"a transform for unknown series {name!r}", where="transforms",
                               expected="one of " + ", ".join(known), remedy="write domain.variable")
        if transform not in TRANSFORMS:
            raise PrepareError(f"transform {transform!r}", where=name,
                               expected="one of " + ", ".join(TRANSFORMS),
                               remedy="choose one of them or leave it out")


def _common_step(panels: Mapping[str, xr.Dataset], how: Preparation) -> pd.Timedelta:
    if not panels:
        raise PrepareError("no panel", where="prepare", expected="at least one domain",
                           remedy="hand in a panel")
    steps = {domain: pd.Timedelta(step_of(panel)) for domain, panel in panels.items()}
    step = min(steps.values()) if how.step is None else pd.Timedelta(how.step)
    for domain, own in steps.items():
        if max(own, step) % min(own, step) != pd.Timedelta(0):
            raise PrepareError(f"steps {_words(own)} and {_words(step)} do not nest", where=domain,
                               expected="steps that are multiples of each other",
                               remedy="set Preparation.step")
    return step


def _common_time(panels: Mapping[str, xr.Dataset], step: pd.Timedelta) -> np.ndarray:
    """The regular clock over the span that all panels cover."""
    empty = [domain for domain, panel in panels.items() if not panel.sizes["time"]]
    if empty:
        raise PrepareError("no rows", where=empty[0], expected="a panel with data",
                           remedy="wait for data or drop it")
    clocks = [(panel.indexes["time"], pd.Timedelta(step_of(panel))) for panel in panels.values()]
    first = max(clock[0] for clock, _ in clocks).ceil(step)
    last = min(clock[-1] + own for clock, own in clocks)
    time = pd.date_range(first, last - step, freq=step).to_numpy().astype("datetime64[ns]")
    if len(time) < _LEAST_VALUES:
        raise PrepareError(f"the panels share {len(time)} steps of {_words(step)}", where=", ".join(panels),
                           expected=f"at least {_LEAST_VALUES}", remedy="choose domains that overlap in time")
    return np.asarray(time)


def _at_step(panel: xr.Dataset, step: pd.Timedelta) -> xr.Dataset:
    """The panel on a regular clock of ``step``: means over the step where it is finer and half observed."""
    own = pd.Timedelta(step_of(panel))
    if own < step:
        need = max(1, int(step / own) // 2)
        windows = panel.resample(time=step)
        panel = windows.mean().where(windows.count() >= need).transpose("time", "node", ...)
    clock = panel.indexes["time"]
    regular = pd.date_range(clock[0], clock[-1], freq=step).to_numpy().astype("datetime64[ns]")
    return panel.reindex(time=regular)


def _summary(raw: np.ndarray, time: np.ndarray, step: pd.Timedelta, how: Preparation,
             series: Series) -> tuple[np.ndarray, str]:
    """The regional series of one variable (values (time, node) in, (time,) out) and what was done to it."""
    nodes = np.unique(np.nan_to_num(raw.astype("float64"), nan=np.inf), axis=1)  # copies of a node count once
    nodes = np.where(np.isinf(nodes), np.nan, nodes)
    transform = how.transforms.get(str(series)) or chosen_transform(nodes)
    nodes = transformed(nodes, transform)
    told = [f"mean of {nodes.shape[1]} distinct nodes of {raw.shape[1]}" if nodes.shape[1] < raw.shape[1]
            else f"mean of {raw.shape[1]} nodes", f"transform {transform}"]
    rhythm = calendar(time, step)
    slots = rhythm.slots if how.remove_season else np.zeros(len(time), dtype=int)
    mean, _ = slot_statistics(nodes, slots)
    _, spread = slot_statistics(nodes - mean, np.zeros(len(time), dtype=int))
    scaled = (nodes - mean) / np.where(spread > 0, spread, np.nan)
    seen = np.isfinite(scaled).sum(axis=1)
    region = (np.where(seen, np.nansum(scaled, axis=1), np.nan) / np.maximum(seen, 1))[:, None]
    if how.remove_season and np.isfinite(region).any():
        window = how.slow_window or max(pd.Timedelta(days=30), 30 * step)
        region = anomalies(region[:, 0], slots, window / step)[:, None]
        told.append(f"what is slower than {window.days} days removed")
        told.append(f"mean and spread by {rhythm.words} removed" if rhythm.words else "no season removed")
        if excess_kurtosis(region) > _LONG_TAILS:
            region = normal_scores(region)
            told.append("long tails taken by rank")
    else:
        told.append("season left in")
    spread_now = np.nanstd(region) if np.isfinite(region).any() else 0.0
    return region[:, 0] / (spread_now or 1.0), ", ".join(told) + "."


def _unusable(raw: np.ndarray, summary: np.ndarray) -> str:
    seen = raw[np.isfinite(raw)]
    if len(seen) == 0:
        return "never observed"
    if float(seen.max()) == float(seen.min()):
        return f"constant at {float(seen[0]):g}"
    if np.isfinite(summary).sum() < _LEAST_VALUES:
        return f"observed at fewer than {_LEAST_VALUES} steps"
    if float(np.nanstd(summary)) < 1e-6:
        return "nothing left after the season was removed"
    return ""


def _onto_clock(values: np.ndarray, stamps: np.ndarray, own: pd.Timedelta, time: np.ndarray,
                step: pd.Timedelta) -> np.ndarray:
    """Values stamped at the start of their step on the finer clock ``time``, each from its end on."""
    shift = own if own > step else pd.Timedelta(0)
    known_from = stamps + shift.to_timedelta64()
    place = np.searchsorted(known_from, time, side="right") - 1
    inside = place >= 0
    fresh = inside & (time - known_from[np.maximum(place, 0)] < own.to_timedelta64())
    return np.where(fresh, values[np.maximum(place, 0)], np.nan)


def _words(step: pd.Timedelta) -> str:
    """A duration as a short text that pandas reads back."""
    for unit, length in (("D", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if step.total_seconds() % length == 0:
            return f"{int(step.total_seconds() // length)}{unit}"
    return str(step)
