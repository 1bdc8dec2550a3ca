"""Quality control in service: at each step what is new is flagged, with the context that the checks need.

The flags of a step follow from what was known then, and are known from then on: nothing that was said before is
rewritten. What is usual is learned anew every ``QualitySettings.relearn``, from values that were not flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import History, RecordedDomain
from terracast.streams.instant import instant
from terracast.streams.panel import step_of
from terracast.streams.quality.flags import Flagged, judge
from terracast.streams.quality.known_flags import KNOWN, MASK, NODE, STAMP, VARIABLE, KnownFlags
from terracast.streams.quality.labels import SUSPECT, Label
from terracast.streams.quality.learning import highest, learn
from terracast.streams.quality.reference import Reference
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.stateful import Stateful

KEPT = int(SUSPECT | Label.DUPLICATED)  # what the times of the reports tell is read from them, and not kept twice
AGAIN = 3  # rows before the new ones that are judged again: what comes next tells a spike from a step
EVER = np.datetime64("1678-01-01", "ns")


Progress = Callable[[float], None]


def silent(share: float) -> None:
    """Tells nobody."""


class JudgedHistory(History, Protocol):
    """A history that also says when each value became known."""

    def recorded(self, domain: str) -> RecordedDomain:
        """All that is held of a domain, later knowledge included."""
        ...


@dataclass
class DomainControl(Stateful):
    """Quality control of one domain: what is flagged, what is usual and when that was ``learned``, up to when all was
    ``judged``, and how far back a check looks."""

    flags: KnownFlags = field(default_factory=KnownFlags)
    reference: Reference | None = None
    learned: np.datetime64 | None = None
    judged: np.datetime64 | None = None
    context: np.timedelta64 = field(default_factory=lambda: np.timedelta64(0, "ns"))

    def earliest(self, now: np.datetime64, settings: QualitySettings) -> np.datetime64:
        """From when on values are needed for steps up to ``now``."""
        if self.judged is None or self.learned is None:
            return EVER
        least, due = self.judged - 2 * self.context, self.learned + _span(settings.relearn)
        return min(least, due - _span(settings.history)) if due <= now else least

    def advance(self, history: JudgedHistory, domain: str, now: np.datetime64, settings: QualitySettings,
                progress: Progress = silent) -> None:
        """Flag what became known since the last step, as known at ``now``; the first time all of the past.
        O(values of the context)."""
        if self.judged is None:
            self._begin(history.recorded(domain), now, settings, progress)
        elif now > self.judged:
            first = _first_new(history.recorded(domain), self.judged, now, self.judged - self.context)
            if first is not None:
                self._judge(history, domain, now, first, settings)
        if self.learned is None or now - self.learned >= _span(settings.relearn):
            self._learn(history.as_known_at(domain, now, now - _span(settings.history)), now, settings)
        self.judged = now if self.judged is None else max(self.judged, now)

    def _begin(self, held: RecordedDomain, now: np.datetime64, settings: QualitySettings, progress: Progress) -> None:
        """Flag all of the past as it could have been flagged while it came in, from first reports."""
        panel = _first_reports(held, now)
        if not panel.sizes["time"]:
            return
        self.context = settings.context_rows(step_of(panel)) * step_of(panel)
        found = as_known(judge(panel, settings=settings, progress=progress), now)
        entries = found.entries.copy()
        moved = np.stack([_first_moved(panel[name].values, panel["known_time"].values) for name in found.variables])
        entries[entries[:, KNOWN] < moved[entries[:, VARIABLE], entries[:, NODE]], MASK] &= ~int(Label.STUCK)
        self.flags = replace(found, entries=_news(entries))

    def _judge(self, history: JudgedHistory, domain: str, now: np.datetime64, first: np.datetime64,
               settings: QualitySettings) -> None:
        begin = first - AGAIN * self.flags.step
        panel = history.as_known_at(domain, now, begin - self.context)
        if not panel.sizes["time"]:
            return
        nodes, time = _names(panel), panel["time"].values
        self.flags = self.flags.joined(tuple(map(str, panel.data_vars)), nodes)
        found = judge(panel, reference=self.reference, since=begin, settings=settings)
        held, masks, start = self.flags.masks(time, nodes, now), {}, int(np.searchsorted(time, begin))
        hindsight = found.hindsight()
        for name in map(str, panel.data_vars):
            mask = held.get(name, np.zeros((len(time), len(nodes)), np.uint16)).copy()
            mask[start:] = hindsight[name].values & np.where(self._moved(panel[name]), KEPT, KEPT & ~Label.STUCK)
            masks[name] = mask
        _put_earlier(masks, found.later[found.later["time"] < begin], time, nodes)
        self.flags = self.flags.changed(masks, time, nodes, now)

    def _moved(self, values: xr.DataArray) -> np.ndarray:
        """Which nodes ever showed more than one value, (node,): one that never did stands still by its nature, as far
        as anybody knows."""
        seen = np.isfinite(values.values)
        least = np.where(seen, values.values, np.inf).min(axis=0)
        most = np.where(seen, values.values, -np.inf).max(axis=0)
        usual = None if self.reference is None else self.reference.on(str(values.name), tuple(values["node"].values))
        return np.asarray((most > least) | (False if usual is None else usual.floor_share < 1.0))

    def _learn(self, panel: xr.Dataset, now: np.datetime64, settings: QualitySettings) -> None:
        """Learn what is usual from the values of ``QualitySettings.history`` that are not suspect."""
        self.learned = now
        if not panel.sizes["time"] or len(panel["time"]) * step_of(panel) < _span(settings.learn_after):
            return
        usual = learn(self.flags.set_aside(panel, now, int(SUSPECT)), settings)
        possible, tops = self.flags.set_aside(panel, now, int(Label.SPIKE | Label.RANGE)), {}
        for name, one in usual.variables.items():
            top, hits = highest(possible[name].transpose("time", "node").values)
            before = None if self.reference is None else self.reference.variables.get(name)
            if before is not None and before.top[0] > top[0]:  # a limit does not age
                top, hits = before.top, before.top_hits
            tops[name] = replace(one, top=top, top_hits=hits)
        self.reference = replace(usual, variables=tops)


@dataclass
class QualityControl(Stateful):
    """Quality control of all domains of a history, step by step.

    Parameters
    ----------
    settings : QualitySettings
        Windows and strictness of the checks.
    domains : dict
        What was learned and flagged, by domain; none to begin with.

    Examples
    --------
    >>> from terracast.streams.bitemporal import InMemoryHistory, known_after
    >>> hours = pd.date_range("2020-01-01", periods=24 * 30, freq="h")
    >>> level = 285 + np.random.default_rng(0).normal(size=(len(hours), 2))
    >>> level[-24:, 0] = 285.0
    >>> panel = xr.Dataset({"temp": (("time", "node"), level, {"units": "K", "long_name": "air temperature"})},
    ...                    {"time": hours, "node": ["a", "b"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> history, control = InMemoryHistory({"w": known_after(panel, pd.Timedelta("1h"))}), QualityControl()
    >>> for day in (28, 29, 30):
    ...     control.advance(history, hours[0].to_datetime64() + day * np.timedelta64(1, "D"))
    >>> known = Screened(history, control).as_known_at("w", control.domains["w"].judged)
    >>> known.temp.isnull().sum("time").values.tolist()
    [24, 0]
    """

    settings: QualitySettings = field(default_factory=QualitySettings)
    domains: dict[str, DomainControl] = field(default_factory=dict)
    NOT_KEPT = frozenset({"settings"})

    def restored(self) -> None:
        """The usual settings."""
        self.settings = QualitySettings()

    def advance(self, history: JudgedHistory, now: np.datetime64, progress: Progress = silent) -> None:
        """Bring the flags of every domain up to ``now``; does nothing for instants that were judged already.
        ``progress`` hears the share done, where all of a past is judged."""
        for number, domain in enumerate(history.domains):
            self.domains.setdefault(domain, DomainControl()).advance(
                history, domain, instant(now), self.settings, partial(_part, progress, number, len(history.domains)))

    def earliest(self, now: np.datetime64) -> np.datetime64:
        """From when on a history must hold values, for steps up to ``now``."""
        return min((one.earliest(now, self.settings) for one in self.domains.values()), default=EVER)

    def flags(self, domain: str) -> KnownFlags:
        """What is flagged of a domain; nothing where it was never judged."""
        return self.domains[domain].flags if domain in self.domains else KnownFlags()


@dataclass(frozen=True)
class Screened:
    """A history in which values that were set aside count as missing, from the instant at which that was known."""

    history: JudgedHistory
    control: QualityControl

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held."""
        return self.history.domains

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """The panel as known at ``now`` without what was set aside by then."""
        return self.control.flags(domain).set_aside(self.history.as_known_at(domain, now, since), now)

    def advance(self, now: np.datetime64, progress: Progress = silent) -> None:
        """Bring the flags up to ``now``, before it is read as known then."""
        self.control.advance(self.history, now, progress)

    def recorded(self, domain: str) -> RecordedDomain:
        """All that is held of a domain, as reported."""
        return self.history.recorded(domain)

    def flags(self, domain: str) -> KnownFlags:
        """What is flagged of a domain."""
        return self.control.flags(domain)


def _part(progress: Progress, number: int, count: int, share: float) -> None:
    """Tell the share of one part of so many as one of the whole."""
    progress((number + share) / count)


def _span(duration: str) -> np.timedelta64:
    return pd.Timedelta(duration).to_timedelta64().astype("timedelta64[ns]")


def _first_moved(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """When each node first showed another value than its first, (node,) in ns; never: the end of time."""
    seen = np.isfinite(values)
    first = values[np.argmax(seen, axis=0), np.arange(values.shape[1])]
    moved = seen & (values != first)
    at = known.astype("datetime64[ns]").astype(np.int64)[np.argmax(moved, axis=0)]
    return np.where(moved.any(axis=0), at, np.iinfo(np.int64).max)


def _names(panel: xr.Dataset) -> tuple[str, ...]:
    return tuple(map(str, panel["node"].values.tolist()))


def _first_new(held: RecordedDomain, before: np.datetime64, now: np.datetime64, oldest: np.datetime64
               ) -> np.datetime64 | None:
    """The first stamp, from ``oldest`` on, of which a value became known after ``before``, up to ``now``."""
    time = held.panel["time"].values
    start, stop = np.searchsorted(time, [oldest, now])
    known = held.panel["known_time"].values[start:stop + 1]
    rows = np.flatnonzero(((known > before) & (known <= now)).any(axis=1))
    told = held.revisions["known_time"].to_numpy("datetime64[ns]")
    stamps = held.revisions["time"].to_numpy("datetime64[ns]")[(told > before) & (told <= now)]
    firsts = [time[start + rows[0]]] if len(rows) else []
    firsts += [stamps[stamps >= oldest].min()] if (stamps >= oldest).any() else []
    return min(firsts) if firsts else None


def _first_reports(held: RecordedDomain, now: np.datetime64) -> xr.Dataset:
    """First reports known at ``now``. A row's ``known_time`` is when all that was reported up to it was known: flags
    of it rest on nothing that came later."""
    time = held.panel["time"].values
    panel = held.panel.isel(time=slice(0, int(np.searchsorted(time, now, side="right"))))
    known = panel["known_time"].values
    there = known <= now
    rows = np.flatnonzero(there.any(axis=1))
    panel = panel.isel(time=slice(0, int(rows[-1]) + 1 if len(rows) else 0))
    known, there = known[:panel.sizes["time"]], there[:panel.sizes["time"]]
    latest = np.where(there, known.astype("datetime64[ns]").astype(np.int64), np.iinfo(np.int64).min).max(
        axis=1, initial=np.iinfo(np.int64).min)
    latest = np.maximum(np.maximum.accumulate(latest), panel["time"].values.astype("datetime64[ns]").astype(np.int64))
    hidden = {str(name): (("time", "node"), np.where(there, one.transpose("time", "node").values, np.nan), one.attrs)
              for name, one in panel.data_vars.items()}
    return panel.drop_vars("known_time").assign(hidden).assign_coords(
        known_time=("time", latest.astype("datetime64[ns]")))


def as_known(found: Flagged, now: np.datetime64) -> KnownFlags:
    """What was judged, as a list of what became known up to ``now``."""
    first, later = found.first, found.later
    flags = KnownFlags(step=step_of(first)).joined(tuple(map(str, first.data_vars)), _names(first))
    known = first["known_time"].transpose("time", "node").values
    parts = []
    for number, name in enumerate(flags.variables):
        mask = first[name].values & KEPT
        rows, columns = np.nonzero(mask)
        parts.append(_listed(known[rows, columns], first["time"].values[rows], np.full(len(rows), number), columns,
                             mask[rows, columns]))
    places = {node: place for place, node in enumerate(flags.nodes)}
    parts.append(_listed(later["known_time"].to_numpy(), later["time"].to_numpy(),
                         later["variable"].map(flags.variables.index).to_numpy(np.int64),
                         later["node"].map(places).to_numpy(np.int64), later["value"].to_numpy(np.int64) & KEPT))
    every = np.concatenate(parts)
    every = every[every[:, KNOWN] <= instant(now).astype(np.int64)]
    return flags.followed_by(_news(every[np.argsort(every[:, KNOWN], kind="stable")]))


def _news(entries: np.ndarray) -> np.ndarray:
    """Those of ``entries``, by rising known time, that change what is said of their cell; 0 is said of all at first."""
    order = np.lexsort((np.arange(len(entries)), *entries[:, [STAMP, VARIABLE, NODE]].T))
    ordered = entries[order]
    same = (np.diff(ordered[:, [STAMP, VARIABLE, NODE]], axis=0, prepend=-1) == 0).all(axis=1)
    before = np.where(same, np.concatenate([[0], ordered[:-1, MASK]])[:len(ordered)], 0)
    return entries[np.sort(order[ordered[:, MASK] != before])]


def _listed(known: np.ndarray, stamps: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Entries in the order of ``streams.quality.known_flags``."""
    times = [one.astype("datetime64[ns]").astype(np.int64) for one in (known, stamps)]
    return np.stack([*times, *(one.astype(np.int64) for one in columns)], axis=1)


def _put_earlier(masks: Mapping[str, np.ndarray], later: pd.DataFrame, time: np.ndarray, nodes: tuple[str, ...]
                 ) -> None:
    """Write into ``masks`` what became known about rows before those judged."""
    places = {node: place for place, node in enumerate(nodes)}
    for one in later.itertuples():
        row, column = int(np.searchsorted(time, np.datetime64(one.time, "ns"))), places[str(one.node)]
        bits, change = masks[one.variable], int(one.change)
        bits[row, column] = (bits[row, column] | change if change >= 0 else bits[row, column] & ~-change) & KEPT
