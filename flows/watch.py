"""Watch: one step of the loop on new files: ingest, score, monitor, decide, forecast, all in one transaction.

What must happen in MLflow (an alias to move) is written into the store with the decision and carried out after the
commit; it is idempotent, so a kill between the two is mended by the next run. When the loop wishes for an act, the
step ends there, ``adapt`` carries it out, and the steps go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from terracast.adapt.arrivals import Arrivals
from terracast.adapt.clock import Moment
from terracast.adapt.promotion.attempts import measured_since
from terracast.flows.adapt import carry_out_request
from terracast.flows.alerting.outbox import Delivered, deliver_alerts, post_episode_alerts, post_refusal
from terracast.flows.forecast import as_json, newest_forecast
from terracast.flows.ingest import ingest_new, refusal
from terracast.flows.running.failures import failure_alerts
from terracast.flows.running.memory import give_back
from terracast.flows.running.run_status import now as wall_clock
from terracast.flows.service.approvals import hand_in, tell_news, used_up
from terracast.flows.service.approvals import waiting as waiting_for_approval
from terracast.flows.service.events import deliver, post_episodes
from terracast.flows.service.evidence import evidence_of
from terracast.flows.service.loop_state import (
    episodes_and_status,
    load_drivers,
    load_loop,
    loop_part,
    receipts,
    reference_snapshot,
    save_drivers,
    save_loop,
    save_reference,
)
from terracast.flows.service.maintenance import maintain
from terracast.flows.service.outbox import flush, follow_alias, post, post_gain
from terracast.flows.service.quality_control import load_control, save_control, set_aside_lately
from terracast.flows.service.silence import SilenceNotices, any_silent, service_tick, silent_nodes, tell_silence
from terracast.flows.service.stored_history import StoredHistory
from terracast.flows.settings import nanoseconds
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.clock import Clock
from terracast.streams.errors import TerracastError
from terracast.streams.instant import instant
from terracast.streams.quality.online import Screened
from terracast.streams.sources import IngestAnswer
from terracast.streams.store import Transaction

if TYPE_CHECKING:  # they bring torch along, which a step with nothing to do does without
    from terracast.adapt.loop import Loop, Tick


@dataclass(frozen=True)
class WatchStep:
    """What a watch step did; ``alarms`` holds the words of each episode that opened or changed, by its id, and
    ``evidence`` what they rest on: the kinds of evidence that spoke, their windows and snapshots; ``episodes`` holds
    those that are open or changed, as ``Episode.to_json`` gives them; ``standing`` says how context and intervals are
    lately, change or not; ``silent`` holds what sources and nodes are overdue, told before or
    not, and ``returned`` a sentence for each that reports again; ``set_aside``: which values of what the model looks
    back on count as missing, for their flags; ``dropped`` holds a sentence for each driver that began to hurt and is no
    longer used, ``receipts`` one for each act of the ladder that was carried out, decided, or
    measured in service; ``approvals``: what waits for a person. ``forecast`` is the newest one, as ``terracast
    forecast --json`` prints it. ``refused`` is one line where part of the data was not taken, ``behind`` where the
    clock went back. ``delivered``: how many alerts wait for whom after this step."""

    now: str
    champion: str | None
    snapshot: str
    files: tuple[IngestAnswer, ...] = ()
    ticks: int = 0
    alarms: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    episodes: tuple[dict[str, Any], ...] = ()
    standing: dict[str, str] = field(default_factory=dict)
    silent: tuple[dict[str, Any], ...] = ()
    returned: tuple[str, ...] = ()
    set_aside: tuple[dict[str, Any], ...] = ()
    decisions: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    approvals: tuple[dict[str, Any], ...] = ()
    waiting: str | None = None
    forecast: dict[str, Any] | None = None
    refused: str | None = None
    behind: str | None = None
    delivered: Delivered = field(default_factory=Delivered)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def watch_once(workspace: Workspace, now: np.datetime64,
               progress: Callable[[int], None] = lambda ticks: None) -> WatchStep:
    """Bring the stream up to ``now``: new files in, missed ticks made up, wishes carried out."""
    maintain(workspace, now, wall_clock())
    flush(workspace)
    deliver(workspace)
    files = ingest_new(workspace)
    post_refusal(workspace, refusal(files), wall_clock())
    now = workspace.clock.even(now)
    if not workspace.store.read().has_state("loop"):
        from terracast.flows.retrain import begin_service

        waiting = begin_service(workspace, now)
        if waiting is not None:
            return _step(workspace, now, files, [], tell_silence(workspace, now), (), (), waiting)
    before = receipts(workspace)
    ticks: list[Tick] = []
    dropped: list[str] = []
    while True:
        carry_out_request(workspace)  # first: a run killed before it could must not tick on without
        done, gone = _advance(workspace, now, progress)
        ticks += done
        dropped += gone
        flush(workspace)
        deliver(workspace)
        deliver_alerts(workspace, wall_clock())
        if not done:
            acts = tuple(one for one in receipts(workspace) if one not in before)
            told = tell_silence(workspace, now)
            return _step(workspace, now, files, ticks, told, tuple(dropped), acts, None)


def _advance(workspace: Workspace, now: np.datetime64,
             progress: Callable[[int], None]) -> tuple[list[Tick], list[str]]:
    """Tick up to ``now`` or to the first wish, one transaction; answers also which drivers were dropped."""
    with workspace.store.transaction(f"watch {np.datetime_as_string(now, 's')}") as step:
        last: np.datetime64 | None = loop_part(workspace, step, "last_tick")
        if last is not None and last + nanoseconds(workspace.settings.stream.cadence) > now:
            return [], []
        loop = load_loop(workspace, step)
        follow_alias(workspace, step, loop, now)
        hand_in(step, loop)
        first = _first(workspace, step, loop, now)
        if first > now:
            return [], []
        known = list(loop.attempt_log.attempts)
        control, drivers = load_control(step), load_drivers(step)
        needed = min(first - loop.reach, control.earliest(now))
        learning = loop.monitor
        history = Screened(StoredHistory(lambda since: workspace.history(step, since), needed), control)
        arrivals = Arrivals.of(history.recorded(loop.watched.domain), loop.watched)
        loop.silent, lasts = silent_nodes(step, loop.watched.domain), any_silent(step)
        ticks: list[Tick] = []
        dropped: list[str] = []
        for moment, tick in _ticked(loop, history, arrivals, first, now, silence=lasts):
            ticks.append(tick)
            if drivers is not None:
                dropped += [one.sentence for one in drivers.tick(loop, moment)]
            progress(1)
            if tick.verdict is not None:
                post(step, tick.verdict, workspace.clock.shown(tick.now))
            tell_news(step, workspace, tick.approvals, loop.champion.version)
        if not ticks:
            return [], []
        for climb in measured_since(known, loop.attempt_log.attempts):
            post_gain(step, climb)
        _record(step, loop, ticks, workspace.clock)
        changed = [one.shown(workspace.clock.shown) for tick in ticks for one in tick.episodes]
        post_episodes(step, changed, workspace.settings.stream.name)
        post_episode_alerts(step, workspace.settings.alerts, workspace.settings.stream.name, changed)
        save_loop(step, loop)
        used_up(step)
        if loop.monitor is not learning:
            save_reference(step, workspace.store.read().snapshot)
        save_control(step, control)
        save_drivers(step, drivers)
    return ticks, dropped


def _ticked(loop: Loop, history: Screened, arrivals: Arrivals, first: np.datetime64, now: np.datetime64, *,
            silence: bool) -> Iterator[tuple[Moment, Tick]]:
    """The ticks from ``first`` up to ``now`` or to the first wish; in ``silence`` of a source its episode lasts."""
    at, cadence = first, loop.watched.cadence
    while (made := arrivals.next_tick(at, now, cadence, loop.watched.history)) is not None:
        moment, at = Moment(made, history), made + cadence
        if silence:
            loop.episodes.lasting(moment.now)
        history.advance(moment.now)
        tick = loop.tick(moment)
        yield moment, tick
        if tick.act is not None:
            return


def _first(workspace: Workspace, step: Transaction, loop: Loop, now: np.datetime64) -> np.datetime64:
    """The first tick that may be due: one cadence after the last, or where service begins; none is issued twice."""
    if loop.last_tick is not None:
        return loop.last_tick + loop.watched.cadence
    first, clock = service_tick(workspace, step, now), workspace.clock
    issued = step.ledger(f"forecasts/{loop.watched.domain}", since=clock.shown(first))
    if issued is None or not issued.sizes["issue_time"]:
        return first
    return instant(clock.even(issued["issue_time"].values[-1])) + loop.watched.cadence


def _record(step: Transaction, loop: Loop, ticks: list[Tick], clock: Clock) -> None:
    """Append the forecasts served, each with the stamp of the newest value it rests on, and the scores of those that
    closed; under their true stamps."""
    domain = loop.watched.domain
    made = xr.concat([tick.forecast for tick in ticks], "issue_time")
    if clock.calendar:
        made = made.assign_coords({name: (made[name].dims, clock.shown(made[name].values), made[name].attrs)
                                   for name in ("issue_time", "valid_time", "newest")})
    step.append(f"forecasts/{domain}", made, along="issue_time")
    scores = sorted((score for tick in ticks for score in tick.scores), key=lambda score: score.issue_time)
    if scores:
        table = xr.Dataset(
            {name: (("issue_time", "node"), np.stack([getattr(score, name) for score in scores]))
             for name in ("absolute_error", "crps", "hits", "last_hit", "labels")}
            | {"version": ("issue_time", np.array([score.version for score in scores]))},
            {"issue_time": clock.shown(np.array([score.issue_time for score in scores])),
             "node": list(loop.watched.nodes)})
        step.append(f"scores/{domain}", table, along="issue_time")


def _step(workspace: Workspace, now: np.datetime64, files: tuple[IngestAnswer, ...], ticks: list[Tick],
          silence: SilenceNotices,
          dropped: tuple[str, ...], acts: tuple[str, ...], waiting: str | None) -> WatchStep:
    view = workspace.store.read()
    opened = {episode.id for tick in ticks for episode in tick.episodes} | set(silence.episodes)
    told, standing = ({}, {}) if waiting is not None else episodes_and_status(workspace, view)
    decisions = [f"{tick.verdict.challenger}: {tick.verdict.decision.verdict} ({tick.verdict.decision.reason})"
                 for tick in ticks if tick.verdict is not None]
    champion = None if waiting is not None else workspace.registry.champion()
    frozen_on, at = reference_snapshot(view), workspace.clock.shown(now)
    newest = newest_forecast(workspace, at)
    return WatchStep(np.datetime_as_string(at, "s"), champion, view.snapshot, files, len(ticks),
                     {name: str(told[name].alarm) for name in sorted(opened)},
                     {name: evidence_of(told[name], frozen_on, view.snapshot) for name in sorted(opened)},
                     tuple(one.to_json() for name, one in sorted(told.items()) if one.closed is None or name in opened),
                     standing,
                     silence.silent, silence.returned, set_aside_lately(workspace, view, now), tuple(decisions),
                     dropped, acts, tuple(waiting_for_approval(workspace, view)), waiting,
                     None if newest is None else as_json(newest), refusal(files),
                     _behind(workspace, now), deliver_alerts(workspace, wall_clock()))


def _last_tick(workspace: Workspace) -> np.datetime64 | None:
    last: np.datetime64 | None = loop_part(workspace, workspace.store.read(), "last_tick")
    return last


def _behind(workspace: Workspace, now: np.datetime64) -> str | None:
    """One line where the clock stands before the last step."""
    last = _last_tick(workspace)
    if last is None or now >= last:
        return None
    at, until = (np.datetime_as_string(workspace.clock.shown(one), "s") for one in (now, last))
    return (f"the clock says {at}, but the last step was at {until} UTC: nothing is done before {until}; "
            "set the clock, or mend --now")


def watch_forever(config: str) -> None:
    """A step now and at every cadence, on the wall clock, until interrupted; a failed step is told and tried again.

    For schedules that survive this process, see ``flows.up``.
    """
    cadence = Workspace.open(config).settings.stream.cadence
    while True:
        try:
            answer = watch(config)
            note(f"{answer['now']}: {answer['waiting'] or str(answer['ticks']) + ' steps'}")
            for alarm in answer["alarms"].values():
                note(f"alarm: {alarm}")
            for sentence in answer["returned"]:
                note(sentence)
            if answer["refused"] or answer["behind"]:
                note(f"error: {answer['refused'] or answer['behind']}")
        except Exception as error:  # whatever it is, the next step may do better: a disk that has room again
            note(f"error: {error if isinstance(error, TerracastError) else in_one_line(error, 'watch')}")
        workspace, now = Workspace.open(config), as_of(None)
        due = workspace.clock.shown(workspace.floor(workspace.clock.even(now)) + nanoseconds(cadence))
        Event().wait(max(0.0, float((due - now) / np.timedelta64(1, "s"))))


def watch(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """One step of the loop at ``now`` (default: the clock on the wall, UTC).

    What it freed goes back to the system when all of it is free: a process that waits for hours holds no more than it
    must.
    """
    try:
        with failure_alerts(config, "watch"):
            return watch_once(Workspace.open(config), as_of(now)).to_json()
    finally:
        give_back()
