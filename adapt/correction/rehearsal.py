"""A mixture that begins with what it would have learned: it goes through the base's hindcasts before it serves."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.streaming import rows_on_clock, stamp
from terracast.adapt.correction.hindcasts import Hindcasts
from terracast.adapt.correction.mixture import Mixture
from terracast.stfm.bases import Progress
from terracast.stfm.forecaster import Request
from terracast.streams.instant import nanoseconds


def begin_rehearsed(known: xr.DataArray, request: Request, *, per_issue: int, beside: xr.DataArray | None = None,
                    hindcasts: Hindcasts | None = None, progress: Progress = lambda share: None) -> Mixture:
    """A mixture that stands at ``request.issue_time``, its weights learned from hindcasts; what was gained there is not
    spent. ``Mixture.begin`` where there are none. See there for the arguments; ``progress`` hears the share done."""
    if hindcasts is None or not known.sizes["time"]:
        return Mixture.begin(known, request, per_issue=per_issue, beside=beside)
    rehearsed = hindcasts.since(known["time"].values[0].astype("datetime64[ns]"), request.issue_time)
    if not len(rehearsed.times):
        return Mixture.begin(known, request, per_issue=per_issue, beside=beside)
    start, rows = rehearsed.times[0], len(rows_on_clock(known, request.step, request.issue_time)[0])
    mixture = Mixture.begin(known, request.at(start), per_issue=per_issue, rows=rows,
                            beside=None if beside is None else _between(beside, 0, stamp(start)))
    _rehearse(mixture, known, request, rehearsed, beside, progress)
    mixture.enter_service(known, request.issue_time, beside)
    return mixture


def _rehearse(mixture: Mixture, known: xr.DataArray, request: Request, hindcasts: Hindcasts,
              beside: xr.DataArray | None, progress: Progress) -> None:
    """Go through hindcasts as if live: at each issue the labels that have come since are learned first."""
    values, first = rows_on_clock(known, request.step, request.issue_time)
    clock, leads = nanoseconds(request.step), np.arange(1, request.horizon + 1)
    before, waiting = stamp(hindcasts.times[0]) // clock, list[np.datetime64]()
    for number, (time, base) in enumerate(zip(hindcasts.times, hindcasts.quantiles, strict=True)):
        progress(number / len(hindcasts.times))
        now = stamp(time) // clock
        for issue in list(waiting):
            due = stamp(issue) // clock + leads
            fresh = (due > before) & (due <= now) & (due < first + len(values))
            rows = values[np.where(fresh, due - first, 0)]
            mixture.learn(issue, np.where(fresh[:, None], rows, np.nan))
            if due[-1] <= now:
                mixture.close(issue)
                waiting.remove(issue)
        others = None if beside is None else _between(beside, before * clock, stamp(time))
        mixture.apply(_between(known, before * clock, stamp(time)), request.at(time), base, others)
        waiting.append(time)
        before = now


def _between(held: xr.DataArray, first: int, last: int) -> xr.DataArray:
    """Rows (time, …) from the stamp ``first`` to ``last``, both included."""
    stamps = held["time"].values.astype("datetime64[ns]").astype(np.int64)
    begin, end = np.searchsorted(stamps, first), np.searchsorted(stamps, last, side="right")
    return held.isel(time=slice(int(begin), int(end)))
