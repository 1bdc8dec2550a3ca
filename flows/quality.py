"""Quality: judge what is in the store as known now, keep the flags beside the values, and tell the events."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.settings.clock import as_of
from terracast.flows.workspace import Workspace
from terracast.streams.bitemporal import RecordedDomain
from terracast.streams.clock import Clock
from terracast.streams.quality import Flagged, QualityTicket, Share, judge, record, shares, tickets


def judge_quality(workspace: Workspace, now: np.datetime64) -> dict[str, Any]:
    """Flag every domain as known at ``now`` and record what is new; answers the tickets, newest first, and
    which shares of the values are missing or late."""
    clock, history = workspace.clock, workspace.history(workspace.store.read())
    answer: dict[str, Any] = {"recorded": {}, "tickets": [], "shares": []}
    with workspace.store.transaction(f"quality {np.datetime_as_string(now, 's')}") as step:
        for domain in history.domains:
            panel, revisions = _known(history.recorded(domain), clock.even(now))
            if panel.sizes["time"] == 0:
                continue
            flagged, panel = _on_true_stamps(judge(panel, revisions=revisions), panel, clock)
            answer["recorded"][domain] = record(step, domain, flagged, now)
            flags = flagged.hindsight()
            answer["tickets"] += [{"domain": domain, **_answer(one), **_span(one)} for one in tickets(flags, panel)]
            answer["shares"] += [{"domain": domain, **_answer(one)} for one in shares(flags)]
    answer["tickets"].sort(key=lambda ticket: ticket["start"], reverse=True)
    return answer


def _answer(one: QualityTicket | Share) -> dict[str, Any]:
    """As a program reads it: the fault type is its ``sort`` there."""
    return {"sort" if name == "fault_type" else name: value for name, value in asdict(one).items()}


def _span(ticket: QualityTicket) -> dict[str, str]:
    """From when to when, as text."""
    return {"start": str(np.datetime_as_string(ticket.start, "s")), "end": str(np.datetime_as_string(ticket.end, "s"))}


def _known(held: RecordedDomain, now: np.datetime64) -> tuple[Any, pd.DataFrame]:
    """First reports and revisions known at ``now``, with their known times: lateness is itself judged."""
    known = held.panel["known_time"].values <= now
    rows = np.flatnonzero(known.any(axis=1))
    panel = held.panel.where(known).assign_coords(
        known_time=(("time", "node"), np.where(known, held.panel["known_time"].values, np.datetime64("NaT"))))
    for name in panel.data_vars:
        panel[name].attrs = held.panel[name].attrs
    panel = panel.isel(time=slice(0, int(rows[-1]) + 1 if len(rows) else 0)).assign_attrs(held.panel.attrs)
    return panel, held.revisions[held.revisions["known_time"] <= now]


def _on_true_stamps(flagged: Flagged, panel: xr.Dataset, clock: Clock) -> tuple[Flagged, xr.Dataset]:
    """Judged on the loop's even axis, kept and told under the stamps that people know."""
    if not clock.calendar:
        return flagged, panel
    first, shown = flagged.first, clock.shown
    moved = first.assign_coords(time=shown(first["time"].values),
                                known_time=(first["known_time"].dims, shown(first["known_time"].values)))
    later = flagged.later.assign(**{name: shown(flagged.later[name].to_numpy("datetime64[ns]"))
                                    for name in ("time", "known_time")})
    return replace(flagged, first=moved, later=later), panel.assign_coords(time=shown(panel["time"].values))


def quality(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """Judge and record the flags; answers how many entries were recorded, and the tickets."""
    return judge_quality(Workspace.open(config), as_of(now))
