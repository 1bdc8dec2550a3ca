"""Status: how a watched stream stands, read from the store; what runs, from ``up``'s own small files.

Nothing is computed that a step computes, and nothing is kept for it: no second truth. It needs no server, and neither
Prefect, MLflow's client nor torch is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terracast.adapt.monitoring.episodes.episodes import Episode, Episodes
from terracast.flows.alerting.outbox import STATE as ALERTS
from terracast.flows.alerting.outbox import kept, trouble_of
from terracast.flows.reporting.freshness import SourceFreshness, freshness
from terracast.flows.running.failed_verbs import runs_and_failures
from terracast.flows.running.place import UP, RunningPlace
from terracast.flows.running.run_status import now as wall_clock
from terracast.flows.running.run_status import trouble
from terracast.flows.service.approvals import waiting
from terracast.flows.service.loop_state import loop_part, whose_holidays
from terracast.flows.service.quality_control import set_aside_lately
from terracast.flows.settings import nanoseconds
from terracast.flows.settings.clock import as_of
from terracast.flows.workspace import Workspace
from terracast.streams.clock import Clock
from terracast.streams.store import View
from terracast.streams.wording import age

MISSED = 2  # cadences since the last step after which a step is missing, where ``up`` runs


@dataclass(frozen=True)
class Status:
    """How one stream stands; instants are true stamps, UTC, as text; None: not yet, or nothing runs. ``set_aside``:
    what of the values that the last step read counts as missing, for its flags; ``learning``: a sentence while the
    monitor of a young stream is not yet calibrated; ``holidays``: whose holidays the monitor leaves out;
    ``acknowledged``: who looks after which open episode; ``approvals``: what waits for a person."""

    name: str
    running: dict[str, Any] | None
    last_step: str | None
    sources: tuple[SourceFreshness, ...]
    open_episodes: tuple[Episode, ...]
    champion: str | None
    next_run: str | None
    store_bytes: int
    trouble: tuple[str, ...]
    ages: tuple[str, ...]
    set_aside: tuple[dict[str, Any], ...] = ()
    learning: str | None = None
    holidays: str | None = None
    acknowledged: Mapping[str, Any] = field(default_factory=dict)
    approvals: tuple[dict[str, Any], ...] = ()

    @property
    def calm(self) -> bool:
        """Whether no episode is open and no source overdue."""
        return not self.open_episodes and not any(one.overdue or one.silent for one in self.sources)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"name": self.name, "running": self.running, "last_step": self.last_step,
                "sources": [{"domain": one.domain, "newest": None if one.newest is None else _text(one.newest),
                             "overdue": one.overdue, "silent": list(one.silent)} for one in self.sources],
                "open_episodes": [_open_json(one) for one in self.open_episodes],
                "episodes": [one.to_json() for one in self.open_episodes], "champion": self.champion,
                "next_run": self.next_run, "store_bytes": self.store_bytes, "trouble": list(self.trouble),
                "set_aside": list(self.set_aside), "learning": self.learning, "holidays": self.holidays,
                "acknowledged": dict(self.acknowledged), "approvals": list(self.approvals)}

    @property
    def lines(self) -> list[str]:
        """As lines for a person."""
        up = self.running
        told = [f"{self.name}: " + ("nothing runs; start it with `terracast up`" if up is None else
                                    f"`terracast up` runs (process {up['pid']}) since {up['since']}; "
                                    f"page {up['page']}")]
        told += [f"trouble: {one}" for one in self.trouble]
        told.append(f"last step: {self.last_step or 'none yet'}; next run: {self.next_run or 'none'}")
        told.append(f"champion: {'none yet' if self.champion is None else f'version {self.champion}'}")
        for one, aged in zip(self.sources, self.ages, strict=True):
            silent = f"; silent: {', '.join(one.silent[:5])}" if one.silent and len(one.nodes) > 1 else ""
            told.append(f"source {one.domain}: {'nothing yet' if not aged else 'newest ' + aged}"
                        f"{' OVERDUE' if one.overdue else ''}{silent}")
        told += [f"set aside: {one['words']}" for one in self.set_aside]
        told += [str(one["words"]) for one in self.approvals]
        told += [self.learning] if self.learning else []
        told += [f"holidays of {self.holidays} are left out by the monitor"] if self.holidays else []
        told += [line for one in self.open_episodes for line in self._lines_of(one)] or ["no open episodes"]
        told.append(f"store: {self.store_bytes / 1e6:.1f} MB")
        return told

    def _lines_of(self, episode: Episode) -> list[str]:
        """An open episode, and who looks after it."""
        known = self.acknowledged.get(episode.id)
        looked_after = "" if known is None else f"; {known['by']} looks after it" + (
            f": {known['note']}" if known["note"] else "")
        return [f"open since {_text(episode.since)}: {episode.alarm}", f"  {episode.id}{looked_after}"]


@dataclass(frozen=True)
class StoredStatus:
    """What one snapshot of the store says of a stream. ``last``: the instant up to which steps have gone, on the loop's
    even axis, which ``clock`` turns into true stamps; ``outbox``: alerts that wait, and who looks after what."""

    clock: Clock
    last: np.datetime64 | None
    sources: tuple[SourceFreshness, ...]
    open_episodes: tuple[Episode, ...]
    outbox: Mapping[str, Any] | None
    set_aside: tuple[dict[str, Any], ...]
    learning: str | None
    holidays: str | None
    approvals: tuple[dict[str, Any], ...]

    @property
    def last_step(self) -> str | None:
        """The last step as the calendar has it."""
        return None if self.last is None else _text(self.clock.shown(self.last))

    def behind(self, cadence: np.timedelta64, now: np.datetime64) -> bool:
        """Whether the last step is more than ``MISSED`` cadences and one under way ago."""
        return self.last is not None and self.clock.even(now) - self.last > MISSED * cadence + cadence


def status(config: Path, now: str | None = None) -> Status:
    """How the stream of a settings file stands at ``now`` (default: the clock); seconds below two."""
    workspace, at = Workspace.open(config), as_of(now)
    stored = stored_status(workspace, workspace.store.read(), at)
    return status_now(workspace, stored, at, workspace.registry.champion(), store_bytes(workspace))


def stored_status(workspace: Workspace, view: View, at: np.datetime64) -> StoredStatus:
    """What a snapshot says at ``at``."""
    last: np.datetime64 | None = loop_part(workspace, view, "last_tick")
    return StoredStatus(workspace.clock, last, freshness(workspace, view, at), open_episodes(workspace, view),
                        view.state(ALERTS), () if last is None else set_aside_lately(workspace, view, last),
                        loop_part(workspace, view, "still_learning"), whose_holidays(workspace, view),
                        tuple(waiting(workspace, view)))


def status_now(workspace: Workspace, stored: StoredStatus, at: np.datetime64, champion: str | None,
               size: int) -> Status:
    """What the store says with what runs now, the version in service, and the store's ``size`` in bytes."""
    place = RunningPlace.of(workspace.settings.folder / "terracast.toml")
    runs = runs_and_failures(place) if place.alive else {}
    wrong = tuple(trouble(runs, wall_clock()))
    if not wrong and runs.get("ready") and stored.behind(nanoseconds(workspace.settings.stream.cadence), at):
        wrong = (f"The last step stands at {stored.last_step}, more than {MISSED} cadences ago.",)
    return Status(workspace.settings.stream.name, place.read(UP) or None if place.alive else None, stored.last_step,
                  stored.sources, stored.open_episodes, champion, runs.get("next_run"), size,
                  wrong + trouble_of(stored.outbox),
                  tuple("" if one.newest is None else _aged(one.newest, at) for one in stored.sources),
                  stored.set_aside, stored.learning, stored.holidays, kept(stored.outbox)["acknowledged"],
                  stored.approvals)


def _text(stamp: np.datetime64) -> str:
    return f"{np.datetime_as_string(stamp, 's')}Z"


def _aged(newest: np.datetime64, now: np.datetime64) -> str:
    return f"{_text(newest)} ({age(now - newest)} old)"


def open_episodes(workspace: Workspace, view: View | None = None) -> tuple[Episode, ...]:
    """The open episodes of the saved loop, with what was done about them."""
    view = workspace.store.read() if view is None else view
    episodes: Episodes | None = loop_part(workspace, view, "episodes")
    if episodes is None:
        return ()
    told: dict[str, Episode] = loop_part(workspace, view, "episodes_by_id")
    return tuple(told.get(one.id, one).shown(workspace.clock.shown) for one in episodes.active())


def _open_json(one: Episode) -> dict[str, Any]:
    """The short form: ``data`` where it is a data ticket, no drift."""
    return {"id": one.id, "sort": one.change_type, "since": _text(one.since), "nodes": list(one.nodes),
            "data": one.change_type == "health", "alarm": str(one.alarm)}


def store_bytes(workspace: Workspace) -> int:
    """What the store takes on the disk; 0 on object storage."""
    location = workspace.settings.store.location
    if "://" in location:
        return 0
    size = 0
    for one in workspace.settings.path(location).rglob("*"):
        with suppress(FileNotFoundError):  # a step tidies meanwhile
            size += one.stat().st_size if one.is_file() else 0
    return size
