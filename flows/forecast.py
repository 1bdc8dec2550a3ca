"""Forecast: the newest forecast in the store and what must be known beside it; ``forecast_words`` tells it, and
``forecast_file`` writes it down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.reporting.freshness import SourceFreshness, freshness
from terracast.flows.reporting.wording import duration, stamp
from terracast.flows.settings import SettingsError, nanoseconds
from terracast.flows.workspace import Workspace
from terracast.streams.instant import instant
from terracast.streams.kinds.counts import as_counts, expected_of, is_counted
from terracast.streams.store import View

LOW, MEDIAN, HIGH = 0.1, 0.5, 0.9
EARLIEST = np.datetime64("1678-01-01", "ns")


@dataclass(frozen=True)
class Issued:
    """A forecast as it was issued, and what must be known beside it.

    ``values``: the target (lead, node, quantile) with ``valid_time`` (lead), stamps as people know them, UTC; ``zone``:
    the time zone that its source speaks of, or None; ``now``: the instant as of which it is looked at; ``sources``: how
    fresh each domain is then; ``chosen_of``: of how many nodes these were chosen, 0: they are all.
    """

    values: xr.DataArray
    issue_time: np.datetime64
    domain: str
    zone: str | None
    now: np.datetime64
    sources: tuple[SourceFreshness, ...] = ()
    chosen_of: int = 0

    @property
    def units(self) -> str:
        """As the data say it."""
        return str(self.values.attrs.get("units", "unknown"))

    @property
    def counts(self) -> bool:
        """Whether the target counts what happens in each step."""
        return is_counted(self.values)

    @property
    def expected(self) -> np.ndarray:
        """Of counts the mean (lead, node): where most cells expect none, the median says little."""
        quantiles = self.values.transpose("lead", "node", "quantile")
        return expected_of(quantiles.values.astype("float64"), [float(one) for one in quantiles["quantile"].values])

    @property
    def nodes(self) -> list[str]:
        """Names, in the stream's order."""
        return [str(node) for node in self.values["node"].values]

    @property
    def valid_times(self) -> np.ndarray:
        """What each lead is about, UTC."""
        times: np.ndarray = self.values["valid_time"].values
        return times

    @property
    def newest(self) -> np.datetime64 | None:
        """The stamp of the newest value of the target's domain that is known now."""
        return next((source.newest for source in self.sources if source.domain == self.domain), None)

    def at(self, level: float) -> np.ndarray:
        """The quantile ``level`` (lead, node), between the levels that were issued where it was not issued itself."""
        levels = self.values["quantile"].values
        place = np.interp(level, levels, np.arange(len(levels)))
        below, above = int(np.floor(place)), int(np.ceil(place))
        values = self.values.transpose("lead", "node", "quantile").values.astype("float64")
        found: np.ndarray = values[..., below] + (values[..., above] - values[..., below]) * (place - below)
        return as_counts(found) if self.counts else found

    @property
    def interval(self) -> str:
        """What the interval is called: 80 % where its levels were issued."""
        levels = self.values["quantile"].values
        share = min(HIGH, levels.max()) - max(LOW, levels.min())
        return f"{100 * share:.0f} % interval"


def newest_forecast(workspace: Workspace, now: np.datetime64, issue_time: np.datetime64 | None = None,
                    view: View | None = None) -> Issued | None:
    """The newest forecast that was issued by ``now``, or the one of ``issue_time``; None where there is none.

    Only the newest part of the ledger is read: O(leads × nodes × quantiles).
    """
    view, settings = view or workspace.store.read(), workspace.settings
    domain, target = settings.stream.domain, settings.stream.target
    entry = _entry(view, f"forecasts/{domain}", now if issue_time is None else issue_time, exact=issue_time is not None,
                   reach=4 * nanoseconds(settings.stream.cadence))
    if entry is None:
        return None
    values = entry[target].assign_coords(valid_time=("lead", entry["valid_time"].values))
    return Issued(values, instant(str(entry["issue_time"].values)), domain, workspace.zone, now,
                  freshness(workspace, view, now))


def _entry(view: View, name: str, upto: np.datetime64, *, exact: bool, reach: np.timedelta64) -> xr.Dataset | None:
    """The ledger's last entry at ``upto`` (exactly then, or before), looked for in ever longer parts of it."""
    while True:
        since = upto if exact else None if upto - EARLIEST < reach else upto - reach
        ledger = view.ledger(name, since)
        if ledger is None:
            return None
        times = ledger["issue_time"].values
        rows = np.flatnonzero(times == upto if exact else times <= upto)
        if len(rows):
            return ledger.isel(issue_time=int(rows[np.argmax(times[rows])]))
        if since is None or exact:
            return None
        reach = 8 * reach


def forecast(config: str | Path, now: np.datetime64, issue_time: np.datetime64 | None = None,
             nodes: Sequence[str] = (), lead: pd.Timedelta | None = None) -> Issued:
    """What ``terracast forecast`` shows; ``nodes``: names or patterns such as ``north-*``; ``lead``: the largest one.

    Raises ``SettingsError`` where there is no such forecast yet, no such node, or nothing so soon.
    """
    workspace = Workspace.open(config)
    issued = newest_forecast(workspace, now, issue_time)
    if issued is None:
        raise none_issued(workspace, str(config), now, issue_time)
    return chosen(issued, nodes, lead)


def none_issued(workspace: Workspace, where: str, now: np.datetime64,
                issue_time: np.datetime64 | None = None) -> SettingsError:
    """Why there is no such forecast."""
    asked = f"of {stamp(issue_time)} UTC" if issue_time is not None else f"by {stamp(now)} UTC"
    none = workspace.store.read().ledger(f"forecasts/{workspace.settings.stream.domain}", EARLIEST) is None
    return SettingsError("no forecast yet" if none else f"no forecast was issued {asked}", where=where,
                         expected="a stream in service" if none else "an instant at which one was issued",
                         remedy="run `terracast watch --once` first" if none
                         else "give another --issue-time or --now, or none for the newest")


def chosen(issued: Issued, nodes: Sequence[str] = (), lead: pd.Timedelta | None = None, mark: str = "--") -> Issued:
    """These nodes and leads alone; ``mark`` stands before the name of an option in an error. Raises ``SettingsError``
    where there is no such node, or nothing so soon."""
    if nodes:
        meant = [re.compile(translate(one)).match for one in nodes]  # fnmatch would keep 32,768 patterns for ever
        lost = [one for one, matches in zip(nodes, meant, strict=True)
                if one not in issued.nodes and not any(map(matches, issued.nodes))]
        if lost:
            known = ", ".join(issued.nodes[:6]) + (" …" if len(issued.nodes) > 6 else "")
            raise SettingsError(f"no node {lost[0]!r}", where=f"{mark}node", expected=f"some of {known}",
                                remedy="name one, or a pattern such as 'north-*'")
        kept = [name in nodes or any(matches(name) for matches in meant) for name in issued.nodes]
        issued = replace(issued, values=issued.values.isel(node=np.flatnonzero(kept)), chosen_of=len(issued.nodes))
    if lead is not None:
        near = issued.values["lead"].values <= np.timedelta64(lead.value, "ns")
        if not near.any():
            raise SettingsError(f"no lead of {duration(lead)} or less", where=f"{mark}lead",
                                expected=f"at least {duration(pd.Timedelta(issued.values['lead'].values[0]))}",
                                remedy="allow a longer one")
        issued = replace(issued, values=issued.values.isel(lead=np.flatnonzero(near)))
    return issued


def as_json(issued: Issued) -> dict[str, Any]:
    """One object: issue_time, target, units, rows (node, valid_time, median, low, high, of counts expected); times are
    UTC.

    Beside them: domain, what the interval is, the newest value's stamp, its age in seconds, and the sources.
    """
    median, low, high = issued.at(MEDIAN), issued.at(LOW), issued.at(HIGH)
    mean = issued.expected if issued.counts else None
    rows = [{"node": node, "valid_time": _iso(time), "median": _plain(median[row, column]),
             "low": _plain(low[row, column]), "high": _plain(high[row, column])}
            | ({} if mean is None else {"expected": _plain(round(float(mean[row, column]), 4))})
            for column, node in enumerate(issued.nodes) for row, time in enumerate(issued.valid_times)]
    newest = issued.newest
    age = None if newest is None else float((issued.now - newest) / np.timedelta64(1, "s"))
    sources = [{"domain": source.domain, "newest": None if source.newest is None else _iso(source.newest),
                "overdue": source.overdue, "silent_nodes": [one.node for one in source.nodes if one.overdue]}
               for source in issued.sources]
    return {"issue_time": _iso(issued.issue_time), "target": str(issued.values.name), "units": issued.units,
            "rows": rows, "domain": issued.domain, "interval": issued.interval, "local_time_zone": issued.zone,
            "newest_value": None if newest is None else _iso(newest), "newest_value_age_seconds": age,
            "sources": sources}


def _iso(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "s"))


def _plain(value: float) -> float:
    """A float32's own digits, not the noise behind them."""
    return float(f"{value:.7g}")
