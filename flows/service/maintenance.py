"""The store kept small while the loop runs: old snapshots expire, what only they held is freed."""

from __future__ import annotations

from terracast.flows.service.loop_state import reference_snapshot
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.storage.compaction import Compacted, compact, may_go_before


def maintain(workspace: Workspace) -> Compacted | None:
    """Compact the store if that is due; returns what was done, None where nothing was.

    Never fails a step: what goes wrong is said, and tried again at the next one.
    """
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
