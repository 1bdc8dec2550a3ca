"""What the report opens with: the observed past of each node, from the store, and the newest forecast of what
follows."""

from __future__ import annotations

import numpy as np

from terracast.flows.forecast import Issued
from terracast.flows.reporting.content import FAN_LEVELS, Fan, Outlook
from terracast.flows.settings import nanoseconds
from terracast.flows.workspace import Workspace
from terracast.streams.store import View

MOST_FANS = 200
PAST_STEPS = (48, 240)  # at least and at most this much of the past, three horizons between


def outlook_of(workspace: Workspace, view: View, now: np.datetime64, issued: Issued | None) -> Outlook | None:
    """The fans as known at ``now``; None where nothing of the domain is stored. O(nodes × (past + leads))."""
    stream = workspace.settings.stream
    if stream.domain not in view.domains:
        return None
    step = nanoseconds(stream.step)
    past = int(np.clip(3 * round(stream.horizon / stream.step), *PAST_STEPS)) * step
    panel = view.as_known_at(stream.domain, now, None if issued is None else issued.issue_time - past)
    observed = panel[stream.target].transpose("time", "node")
    if issued is None:  # the past ends with the newest value, however old
        seen = np.flatnonzero(np.isfinite(observed.values).any(axis=1))
        observed = observed.isel(time=slice(max(0, seen[-1] - int(past / step)), seen[-1] + 1) if len(seen)
                                 else slice(0, 0))
    nodes = [str(node) for node in panel["node"].values] if issued is None else issued.nodes
    values = observed.reindex(node=nodes).values
    times = observed["time"].values
    valid = np.array([], "datetime64[ns]") if issued is None else issued.valid_times
    levels = np.zeros((0, len(nodes), len(FAN_LEVELS))) if issued is None else np.stack(
        [issued.at(level) for level in FAN_LEVELS], axis=2)
    fans = tuple(Fan(node, times, values[:, column], valid, levels[:, column])
                 for column, node in enumerate(nodes[:MOST_FANS]))
    return Outlook(fans, None if issued is None else issued.issue_time, workspace.zone, len(nodes) - len(fans))
