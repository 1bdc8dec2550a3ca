"""The loop in the store: read it back before a step, save it with the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.flows.workspace import Workspace
from terracast.streams.errors import StoreError
from terracast.streams.stateful import Stateful, decoded
from terracast.streams.store import Transaction

if TYPE_CHECKING:  # they bring torch along; whoever only reads what was saved does without
    from terracast.adapt.loop import Loop
    from terracast.adapt.monitoring.monitor import Monitor
    from terracast.adapt.promotion.attempts import AttemptLog
    from terracast.adapt.task import ForecastTask
    from terracast.drivers.negative_transfer import NegativeTransferMonitor

FORMAT = 15  # of the saved loop: raise it where a loop of old cannot go on


class HasState(Protocol):
    """A transaction or a read-only view."""

    def state(self, name: str) -> dict[str, Any] | None:
        """A named state tree, or None."""
        ...

    def state_part(self, name: str, part: str) -> object:
        """One entry of a state tree, or None."""
        ...

    def has_state(self, name: str) -> bool:
        """Whether there is such a state tree."""
        ...


def load_loop(workspace: Workspace, held: HasState) -> Loop:
    """The loop as saved; its models come from the registry by version."""
    _refuse_other_format(workspace, held)
    state = held.state("loop")
    if state is None:
        raise StoreError("no loop in this store", where=workspace.settings.store.location,
                         expected="a stream in service", remedy="run `terracast watch --once` first")
    from terracast.adapt.loop import Loop

    del state["format"]
    return Loop.resume(state, restored_task(workspace, state["watched"]), workspace.policy, workspace.registry.load)


def restored_task(workspace: Workspace, state: Mapping[str, Any]) -> ForecastTask:
    """The task as saved, with what the settings say of it."""
    from terracast.adapt.task import ForecastTask

    saved = ForecastTask.restore(state)
    plain = workspace.watched(saved.nodes, saved.drivers)
    whole = replace(saved, **{name: getattr(plain, name) for name in ForecastTask.NOT_KEPT})
    return whole.on_clocks_of(saved.clock_zone)


def loop_part(workspace: Workspace, held: HasState, part: str) -> Any:
    """One attribute of the loop, None before service: a few milliseconds, where the whole loop takes many."""
    _refuse_other_format(workspace, held)
    return decoded(held.state_part("loop", part))


def whose_holidays(workspace: Workspace, held: HasState) -> str | None:
    """The country (and state) whose holidays the monitor leaves out; None: it watches all days."""
    watched = loop_part(workspace, held, "watched")
    return None if watched is None or watched.days_off is None else str(watched.days_off.country)


def receipts(workspace: Workspace) -> list[str]:
    """Every act of the ladder so far, and every act that was dropped, in words; none before service."""
    log: AttemptLog | None = loop_part(workspace, workspace.store.read(), "attempt_log")
    return [] if log is None else [one.sentence for one in log.attempts]


def episodes_and_status(workspace: Workspace, held: HasState) -> tuple[dict[str, Episode], dict[str, str]]:
    """The episodes told of so far by their ids, under true stamps, and how context and intervals are lately."""
    told: dict[str, Episode] = loop_part(workspace, held, "episodes_by_id")
    monitor: Monitor = loop_part(workspace, held, "monitor")
    return {name: one.shown(workspace.clock.shown) for name, one in told.items()}, monitor.status


def _refuse_other_format(workspace: Workspace, held: HasState) -> None:
    """The one place where a loop that another version of Terracast saved is refused."""
    if held.has_state("loop") and held.state_part("loop", "format") != FORMAT:
        raise StoreError(f"the service was saved in format {held.state_part('loop', 'format') or 1}",
                         where=workspace.settings.store.location, expected=f"format {FORMAT}, of this version",
                         remedy="begin service anew on all that is known: terracast retrain")


def saved_part(held: HasState, name: str) -> Mapping[str, Any] | None:
    """What was saved beside a loop of this format, to restore; None where nothing was: service begins without it."""
    state = held.state(name)
    return None if state is None or state.pop("format", None) != FORMAT else state


def save_part(step: Transaction, name: str, what: Stateful) -> None:
    """Write into the open transaction what ``saved_part`` reads."""
    step.set_state(name, {"format": FORMAT, **what.state()})


def save_loop(step: Transaction, loop: Loop) -> None:
    """Write the loop's state into the open transaction."""
    save_part(step, "loop", loop)


def save_reference(step: Transaction, snapshot: str) -> None:
    """Write down, beside the loop, which data the monitor's reference was frozen on."""
    step.set_state("reference", {"snapshot": snapshot})


def reference_snapshot(held: HasState) -> str | None:
    """The store's snapshot that the monitor's reference was frozen on; None where it was not kept."""
    state = held.state("reference")
    return None if state is None else str(state["snapshot"])


def load_drivers(held: HasState) -> NegativeTransferMonitor | None:
    """The watch over the drivers in service as saved; None before service, or where it began without one."""
    from terracast.drivers.negative_transfer import NegativeTransferMonitor

    state = held.state("drivers")
    return None if state is None else NegativeTransferMonitor.restore(state)


def save_drivers(step: Transaction, service: NegativeTransferMonitor | None) -> None:
    """Write the watch over the drivers into the open transaction."""
    if service is not None:
        step.set_state("drivers", service.state())
