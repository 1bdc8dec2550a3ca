"""Real changes that people know of: what the monitor says of them, on the data as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.adapt.data_faults.rewiring import Rewiring
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.alarm_text import Subject, finding
from terracast.adapt.monitoring.monitor import Monitor
from terracast.benchmarks.base.files import panel_of
from terracast.benchmarks.drift.backgrounds import LAYOUTS
from terracast.benchmarks.drift.bulk_replay import bulk_replay
from terracast.benchmarks.drift.expectation import Expectation
from terracast.benchmarks.drift.known_changes import KnownChange, known_changes

DAY = np.timedelta64(1, "D")
AFTER = 7 * DAY  # how long after its end an event may still be told
WIRED = "TEMP"


def answer(path: Path, truth: Path, command: str, per_month: float = 2.0) -> dict[str, Any]:
    """A row for each known change of the whole network: whether an alarm came from its start to a week after its end.

    The monitor is fitted to the first year and sees the rest once, in order, at ``per_month`` false alarms a month.
    """
    panel = panel_of(path)
    layout = LAYOUTS[path.stem]
    drifts = _alarms(panel, layout.variable, layout.logarithm, per_month)
    wide = [one for one in drifts if 2 * len(one.nodes) > panel.sizes["node"]]
    found = wide + _tickets(panel)
    times = panel["time"].values.astype("datetime64[ns]")
    begun = times[0] + 365 * DAY
    changes = known_changes(truth, begun, times[-1])
    rows = [_row(path.stem, one, found) for one in changes]
    days = int((times[-1] - begun) / DAY)
    starts = [begun + day * DAY for day in range(0, days - 14, 7)]
    chance = float(np.mean([any(start <= one.time < start + 14 * DAY for one in wide) for start in starts]))
    told = [row for row in rows if row["found"]]
    return {"bench": "drift", "data": path.stem, "rows": rows, "command": command,
            "protocol": {"reference": "first year", "false_alarms_per_month": per_month, "variable": layout.variable,
                         "found": "an alarm for most of the network between the start and a week after the end; "
                                  "re-wiring: a data ticket",
                         "chance": "share of all fortnights with an alarm for most of the network",
                         "timeline": [[str(one.start)[:10], str(one.end)[:10], one.what] for one in changes]},
            "summary": {"known": len(rows), "found": len(told), "chance": chance, "alarms": len(drifts),
                        "wide_alarms": len(wide)}}


def _row(data: str, change: KnownChange, found: list[Evidence]) -> dict[str, Any]:
    near = [one for one in found if change.start <= one.time <= change.end + AFTER
            and (one.ticket == "wiring") == change.rewired]
    best = max(near, key=lambda one: one.strength, default=None)
    words = "" if best is None else finding(best, Subject())
    return {"data": data, "method": "terracast", "event": change.what, "start": str(change.start)[:10],
            "end": str(change.end)[:10], "found": best is not None, "told": "" if best is None else str(best.time)[:10],
            "sort": "" if best is None else best.ticket or best.change_type, "words": words}


def _alarms(panel: xr.Dataset, variable: str, logarithm: bool, per_month: float) -> list[Evidence]:
    values = np.asarray(panel[variable].transpose("time", "node").values, float)
    values = np.log(np.maximum(values, 1.0)) if logarithm else values
    times = panel["time"].values.astype("datetime64[ns]")
    cut = int(np.searchsorted(times, times[0] + 365 * DAY))
    names = [str(one) for one in panel["node"].values]
    crossed = Expectation.crossed(values[:cut], times[:cut])
    monitor = Monitor.fit(crossed, times[:cut], per_month, seed=1, nodes=names)
    left = Expectation.fit(values[:cut], times[:cut]).residuals(values[cut:], times[cut:])
    return list(bulk_replay(monitor, times[cut:], left))


def _tickets(panel: xr.Dataset) -> list[Evidence]:
    """Tickets of who shows whose weather, a day at a time."""
    if WIRED not in panel:
        return []
    table = panel[WIRED].transpose("time", "node")
    days = table["time"].values.astype("datetime64[D]")
    each = [(day, table.values[days == day]) for day in np.unique(days)]
    wiring = Rewiring.fit([values for _, values in each[:365]], tuple(str(one) for one in panel["node"].values))
    return [one for day, values in each[365:] for one in wiring.update(day, values)]
