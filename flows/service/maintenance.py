"""What is kept small while the loop runs: the store at each step, and once a day what has outlived its time.

Once a day: observations, forecasts and scores, where the settings bound them; runs in MLflow that nothing needs; logs.
What lineage names stays: snapshots, versions with their runs, and causal graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import numpy as np

from terracast.flows.running.place import RunningPlace
from terracast.flows.running.run_status import stamp
from terracast.flows.service.loop_state import reference_snapshot
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.storage.compaction import Compacted, compact, may_go_before
from terracast.streams.storage.retention import Expired, Retention, retain

TIDIED = "tidied.json"
EVERY = timedelta(days=1)


def maintain(workspace: Workspace, now: np.datetime64, at: datetime) -> Compacted | None:
    """Compact the store if that is due, and once a day drop values that are too old at ``now``, the instant of the
    step, and runs and logs that are at ``at``, the clock on the wall. Returns what compaction did, None: nothing.

    Never fails a step: what goes wrong is said, and tried again at the next one.
    """
    _daily(workspace, now, at)
    try:
        older_than = may_go_before(workspace.store)
        if older_than is None:
            return None
        return compact(workspace.store, older_than=older_than, keep=snapshots_in_use(workspace))
    except Exception as failed:  # a registry that is away, a full disk, damage: the step itself will tell
        note(f"the store was not tidied: {failed}")
        return None


def snapshots_in_use(workspace: Workspace) -> list[str]:
    """The snapshots that must stay readable: those that versions were made from, and the monitor's reference."""
    store = workspace.store
    named = {version.lineage.snapshot for version in workspace.registry.versions()}
    return sorted(one for one in named | {reference_snapshot(store.read()) or ""} if store.holds(one))


def drop_old_values(workspace: Workspace, now: np.datetime64) -> Expired:
    """Drop observations, forecasts and scores that the settings no longer want to keep at ``now``."""
    keep = workspace.settings.store
    ledgers = {name: keep.keep_forecasts for name in ("forecasts", "scores", "quality") if keep.keep_forecasts}
    return retain(workspace.store, now, Retention(keep.keep_observations, ledgers))


def _daily(workspace: Workspace, now: np.datetime64, at: datetime) -> None:
    """What is done once a day. The first step of a workspace does nothing: there is nothing old yet."""
    place = RunningPlace.of(workspace.settings.folder / "terracast.toml")
    last = place.read(TIDIED).get("at")
    if last is not None and timedelta(0) <= at - datetime.fromisoformat(last) < EVERY:
        return
    parts = {} if last is None else _parts(workspace, place, now, at)
    for what, drop in parts.items():
        try:
            drop()
        except Exception as failed:  # as above; the other parts are done
            note(f"{what} were not tidied: {failed}")
    with suppress(OSError):  # a full disk, of which the step itself will tell: it is done again at the next one
        place.write(TIDIED, {"at": stamp(at)})


def _parts(workspace: Workspace, place: RunningPlace, now: np.datetime64, at: datetime
           ) -> dict[str, Callable[[], object]]:
    keep, upkeep = workspace.settings.store, workspace.settings.upkeep
    parts: dict[str, Callable[[], object]] = {
        "logs": lambda: place.drop_logs(upkeep.log_megabytes * 1e6, at - upkeep.keep_logs),
        "runs": lambda: _drop_runs(workspace, at - upkeep.keep_runs)}
    if keep.keep_observations or keep.keep_forecasts:
        parts["values"] = lambda: drop_old_values(workspace, now)
    return parts


def _drop_runs(workspace: Workspace, older_than: datetime) -> None:
    if not workspace.store.read().has_state("loop"):
        return  # MLflow is not asked, and not made, before there is a version
    from terracast.flows.adapt import graph_digest
    from terracast.registry.expiry import expire_runs

    graph = graph_digest(workspace.store.read())
    gone = expire_runs(workspace.registry, older_than, () if graph is None else (graph,))
    if gone:
        note(f"{len(gone)} runs that nothing needs went from MLflow: they ended before {stamp(older_than)}")
