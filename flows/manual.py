"""By hand what the loop does by itself: promote, roll back, list versions, tell why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terracast.flows.workspace import Workspace
from terracast.registry.promotion import promote, rollback


def promote_by_hand(config: Path, version: str, reason: str) -> str:
    """Promote a version and answer its number; the loop follows the alias at its next step."""
    registry = Workspace.open(config).registry
    return promote(registry, version, decision={"reason": reason, "by": "hand"}, despite_rollback=True)


def rollback_by_hand(config: Path, reason: str) -> str:
    """Put the previous champion back and answer its number; the loop follows at its next step."""
    return rollback(Workspace.open(config).registry, reason=reason)


def version_rows(config: Path) -> list[dict[str, Any]]:
    """A row per version, newest first."""
    rows = []
    for version in Workspace.open(config).registry.versions():
        lineage = version.lineage
        rows.append({"version": version.number, "aliases": ", ".join(version.aliases), "key": lineage.key,
                     "parent": lineage.parent, "known_at": None if lineage.known_at is None else str(lineage.known_at),
                     "snapshot": lineage.snapshot, "metrics": dict(version.metrics)})
    return rows


def story(config: Path, version: str) -> dict[str, Any]:
    """Why a version is what it is: plain sentences and the data behind them."""
    return Workspace.open(config).registry.why(version).to_dict()
