"""By hand what the loop does by itself: promote, roll back, approve; list versions and history, tell why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terracast.adapt.promotion.verdict import Answer
from terracast.flows.service.approvals import answer_request
from terracast.flows.service.outbox import by_hand, send
from terracast.flows.service.serving_history import HistoryEntry, add_entry, entries, person
from terracast.flows.settings.clock import as_of
from terracast.flows.workspace import Workspace, open_store
from terracast.registry.promotion import planned_rollback
from terracast.streams.store import Transaction


def promote_by_hand(config: Path, version: str, reason: str, by: str | None = None, now: str | None = None) -> str:
    """Promote a version and answer its number; the loop follows the alias at its next step.

    Store first, alias second: killed between the two, the next step or verb moves the alias.
    """
    workspace, who, at = Workspace.open(config), person(by), as_of(now)
    number = workspace.registry.resolve(version)

    def decide(step: Transaction) -> None:
        champion = workspace.registry.champion()
        if champion == number:
            return
        workspace.registry.resolve(number)  # refuses one that is gone since
        add_entry(step, HistoryEntry(at, "promoted", number, who, reason, number))
        send(step, {"version": number, "champion": champion, "serves": number, "verdict": "promote", "reason": reason,
                    "by": who})

    by_hand(workspace, f"promote version {number} by hand", decide)
    return number


def rollback_by_hand(config: Path, reason: str, by: str | None = None, now: str | None = None) -> str:
    """Put the previous champion back and answer its number; the loop follows at its next step."""
    workspace, who, at = Workspace.open(config), person(by), as_of(now)
    restored: list[str] = []

    def decide(step: Transaction) -> None:
        champion, target = planned_rollback(workspace.registry)
        restored[:] = [target]
        add_entry(step, HistoryEntry(at, "rolled-back", champion, who, reason, target))
        send(step, {"version": champion, "serves": target, "verdict": "rollback", "reason": reason, "by": who})

    by_hand(workspace, "roll back by hand", decide)
    return restored[0]


def answer_by_hand(config: Path, name: str, *, approved: bool, note: str, by: str | None = None,
                   now: str | None = None) -> dict[str, Any]:
    """Approve or decline what waits: a version by its number, or an adaptation by its key. The next step carries it
    out; what was written down is answered."""
    answer = Answer(approved, person(by), as_of(now), " ".join(note.split()))
    return answer_request(Workspace.open(config), name, answer)


def history_rows(config: Path) -> list[dict[str, Any]]:
    """Every act on what serves, oldest first."""
    return [one.to_json() for one in entries(open_store(config).read())]


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
