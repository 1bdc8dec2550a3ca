"""Calendar events (a holiday, a closing day) as candidates: they act by the day, and nothing drives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.causal.knowledge import Knowledge
from terracast.streams.panel import step_of

LEAST_DAYS = 3  # with the rarer value
WHOLE = 0.99  # least share of days with a single value


def with_calendar_events(graph: CausalGraph, drivers: Sequence[Driver], panels: Mapping[str, xr.Dataset],
                         target: Series, published: Mapping[str, int]) -> tuple[Driver, ...]:
    """``drivers``, and behind them the calendar events of other domains that are not among them.

    A holiday raises noon and lowers the morning: a search for links of one sign over all hours does not find it. It
    needs none, for only its existence is open: the direction is certain where no link leads from the target's domain
    into it. So it is a candidate, and the ablation tells whether it acts. Left out: events whose domain has no known
    delay, and those that knowledge forbids. O(values).

    >>> hours = pd.date_range("2024-01-01", periods=24 * 60, freq="h")
    >>> holiday = np.isin(hours.day_of_year, (5, 17, 40)).astype(float)
    >>> panel = xr.Dataset({"holiday": (("time", "node"), holiday[:, None])}, {"time": hours, "node": ["all"]},
    ...                    {"domain": "calendar", "kind": "sensor", "step": "1h"})
    >>> off, cars = Series("calendar", "holiday"), Series("city", "cars")
    >>> graph = CausalGraph((off, cars), (), "1h", "", 900)
    >>> event, = with_calendar_events(graph, (), {"calendar": panel}, cars, {"calendar": 0})
    >>> str(event.series), event.used, event.reason
    ('calendar.holiday', True, 'holiday is a mark of whole days that nothing here drives')
    """
    knowledge = Knowledge.parse(str(graph.settings.get("knowledge", "")))
    taken = {one.series for one in drivers if one.used}
    added = []
    for domain, panel in panels.items():
        for name in panel.data_vars if domain != target.domain and domain in published else ():
            one = Series(domain, str(name))
            back = any(link.cause.domain == target.domain and link.effect == one for link in graph.links)
            if (one in graph.series and one not in taken and not back and knowledge.allows(one, target, 0)
                and is_calendar_event(panel[str(name)], step_of(panel))):
                words = f"{graph.label(one).partition(':')[0]} is a mark of whole days that nothing here drives"
                added.append(Driver(one, target, 0, 0.0, True, words))
    known = {one.series for one in added}
    return tuple(one for one in drivers if one.used or one.series not in known) + tuple(added)


def is_calendar_event(values: xr.DataArray, step: pd.Timedelta | np.timedelta64 | str) -> bool:
    """Whether ``values`` (time, node), on a step of less than a day, hold two values, the same at all nodes and the
    same all day, the rarer one on three days at least."""
    if pd.Timedelta(step) >= pd.Timedelta(days=1):
        return False
    table = values.transpose("time", "node").values.astype("float64")
    seen = np.isfinite(table)
    if not seen.any() or len(np.unique(table[seen])) != 2:
        return False
    low, high = np.where(seen, table, np.inf).min(axis=1), np.where(seen, table, -np.inf).max(axis=1)
    days = pd.DataFrame({"low": low, "high": high}, pd.DatetimeIndex(values["time"].values))[seen.any(axis=1)]
    by_day = days.groupby(days.index.normalize()).agg({"low": "min", "high": "max"})
    single = by_day[by_day["low"] == by_day["high"]]["low"]
    return bool(len(single) >= WHOLE * len(by_day) and single.value_counts().min() >= LEAST_DAYS
                and single.nunique() == 2)
