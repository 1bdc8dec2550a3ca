"""A recorded history with a change planted into it."""

from __future__ import annotations

import numpy as np

from terracast.benchmarks.alarms.changes import Onset, PlantedChange
from terracast.streams.bitemporal import InMemoryHistory


def with_change(history: InMemoryHistory, domain: str, target: str, nodes: tuple[str, ...], change: PlantedChange,
                at: np.datetime64, seed: int) -> InMemoryHistory:
    """The same history with ``change`` of ``target`` at these ``nodes`` from the instant ``at`` on."""
    panels = {name: history.recorded(name).panel for name in history.domains}
    ledgers = {name: history.recorded(name).revisions for name in history.domains}
    panel = panels[domain]
    values = panel[target].transpose("time", "node").values.astype(float)
    moved = np.isin(panel["node"].values.astype(str), nodes)
    row = int(np.searchsorted(panel["time"].values, at))
    changed = values.copy()
    with np.errstate(invalid="ignore"):
        changed[row:, moved] = change.of(Onset(panel["time"].values, values, row, moved, np.random.default_rng(seed)))
    panels[domain] = panel.assign({target: (("time", "node"), changed, panel[target].attrs)})
    return InMemoryHistory(panels, ledgers)
