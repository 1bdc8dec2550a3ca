"""What the data-quality page tells: the faults of the last weeks, and which values did not come."""

from __future__ import annotations

import numpy as np

from terracast.flows.service.quality_control import load_control
from terracast.flows.site.content import Gaps, Ticket
from terracast.flows.workspace import Workspace
from terracast.streams.quality import tickets
from terracast.streams.store import View

LATELY = np.timedelta64(28, "D")
DAY = np.timedelta64(1, "D")


def tickets_of(workspace: Workspace, view: View, now: np.datetime64) -> tuple[Ticket, ...]:
    """The faults that quality control has flagged in the last 28 days, as known at ``now``, newest first."""
    control, clock = load_control(view), workspace.clock
    found: list[Ticket] = []
    for domain in control.domains:
        flags = control.flags(domain)
        held = flags.between(clock.even(now) - LATELY, clock.even(now), flags.variables)
        if held.sizes["time"]:
            held = held.assign_coords(time=clock.shown(held["time"].values)) if clock.calendar else held
            held.attrs.setdefault("step", str(np.timedelta64(workspace.settings.stream.step.value, "ns")))
            found += [Ticket(domain, one.fault_type, one.words, one.start, one.end) for one in tickets(held)]
    return tuple(sorted(found, key=lambda one: one.end, reverse=True))


def gaps_of(workspace: Workspace, view: View, now: np.datetime64) -> Gaps | None:
    """Which share of the target's values did not come, by node and day of the last 28 days; None before the first
    value. A day counts as far as it is over; what had not come yet when the stream began is no gap."""
    stream = workspace.settings.stream
    if stream.domain not in view.domains:
        return None
    panel = view.as_known_at(stream.domain, now, now - LATELY)
    values = panel[stream.target].transpose("time", "node")
    if not values.sizes["time"]:
        return None
    there = np.isfinite(values.values)
    of_day = values["time"].values.astype("datetime64[D]")
    days = np.unique(of_day)
    due = max(1.0, float(DAY / stream.step.to_timedelta64()))
    shares = np.stack([_missing(there[of_day == one], due if one not in (days[0], days[-1]) else 0.0) for one in days])
    return Gaps(tuple(str(one) for one in values["node"].values), days, shares.T)


def _missing(there: np.ndarray, due: float) -> np.ndarray:
    """The share of a day's values (row, node) that did not come; ``due``: how many are due at least."""
    count = max(due, float(len(there)))
    share: np.ndarray = 1.0 - there.sum(axis=0) / count
    return np.clip(share, 0.0, 1.0)
