"""Discover: the causal graph of all domains as known now, the drivers chosen from it, and what changed in it.

A driver is used only if its link is stable over redraws and over windows of time, if it is published early enough, and
if forecasts with it lose less on data that nothing was fitted to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pydantic import ValidationError

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.causal.discover import DiscoverError
from terracast.causal.discover import discover as find_graph
from terracast.causal.graph.graph import CausalGraph, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Preparation, Prepared, PrepareError, prepare
from terracast.causal.search.cost_estimate import estimate_cost, refuse_if_alone
from terracast.causal.search.robust_search import default_search
from terracast.causal.settings import AloneError, Search
from terracast.drivers.ablation import Tell, tell_nobody
from terracast.drivers.candidates import where_seen
from terracast.drivers.discovery import DriverSearch
from terracast.drivers.negative_transfer import cooled_down
from terracast.flows.alerting.alert import of_graph
from terracast.flows.alerting.outbox import deliver_alerts, post_alert
from terracast.flows.discovery.expert_knowledge import KEPT, ExpertStatement, InForce, joined, kept_knowledge, to_keep
from terracast.flows.discovery.graph_history import GraphHistory, alarm_state
from terracast.flows.discovery.saved_discovery import Discovery, save_discovery, saved_discovery
from terracast.flows.running.prefect_api import GRAPH
from terracast.flows.running.run_status import now as wall_clock
from terracast.flows.service.events import deliver, post
from terracast.flows.service.quality_control import screened
from terracast.flows.service.serving_forecaster import forecaster_factory
from terracast.flows.settings import DiscoverySettings, SettingsError, nanoseconds
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.output import note
from terracast.flows.terminal.share_shown import progress
from terracast.flows.workspace import Workspace
from terracast.registry.unversioned import record_files
from terracast.stfm.forecaster import ForecastError
from terracast.streams.errors import TerracastError
from terracast.streams.store import View

COST = "searching: "


def discover_now(workspace: Workspace, moment: Moment, *, given: Knowledge | None = None, name: str = "",
                 tell: Tell = tell_nobody) -> Discovery:
    """Discover on the window before ``moment``, as known then; all knowledge is honoured, ``given`` (of the file
    ``name``) included. Data in which nothing can be found are no reason not to forecast: then the answer is a graph
    without links, and one line says why there are no drivers.

    Takes the thorough search with 20 redraws, again where it is open which of two domains leads
    (``causal.search.unidirectional``),
    and at most 16 searches of windows (seconds), then one fit of a small model and its forecasts. Raises
    ``KnowledgeError``: wrong knowledge is told.
    """
    view = workspace.store.read()
    told = current_statements(workspace, view)
    if given is not None:
        told.append(ExpertStatement(name or "the file handed over", given))
    try:
        found = _found(workspace, moment, view, told, tell)
    except (DiscoverError, PrepareError, ForecastError) as error:
        found = _without_links(workspace, moment, view, error)
    if given is not None:  # from the next run on it is kept
        told = [ExpertStatement(KEPT, Knowledge.parse(str(to_keep(told[0].knowledge, given)["text"]))), *told[1:-1]]
    return replace(found, made_by=made_by(workspace, told))


def _found(workspace: Workspace, moment: Moment, view: View, told: Sequence[ExpertStatement], tell: Tell) -> Discovery:
    """What the search finds; raises ``DiscoverError``, ``PrepareError`` or ``ForecastError`` where the data do not
    carry one."""
    settings = workspace.settings.discovery
    since = moment.now - nanoseconds(settings.window)
    target = Series(workspace.settings.stream.domain, workspace.settings.stream.target)
    tell(0.0, "preparing")
    panels = {domain: moment.known(domain, since) for domain in moment.domains}
    panels = {domain: panel for domain, panel in panels.items() if panel.sizes["time"]}
    how = Preparation(step=str(workspace.settings.stream.step))
    prepared = prepare(panels, how=how)
    known = in_force(told, prepared, settings.max_lag)
    refuse_if_alone(prepared, target)
    search = default_search(settings.max_lag, settings.alpha)
    cost = estimate_cost(prepared, search).sentence
    tell(0.02, f"{COST}{cost}")
    finder = DriverSearch(_as_tried(workspace, panels[target.domain]), search,
                          forecaster_factory(workspace.settings.base, settings.trial_steps), settings.most_drivers, how)
    graph, assumed = finder.graph(panels, prepared, known.knowledge,
                                  lambda share, words: tell(0.02 + 0.28 * share, words))
    graph = replace(graph, settings={**graph.settings, "effort": cost},
                    assumptions=(*graph.assumptions, *known.notes))
    tell(0.3, "graphs of windows of time")
    story = _continued(workspace, moment, view, prepared, known.knowledge, search)
    drivers = finder.candidates(moment, graph, prepared, assumed, panels)
    drivers = cooled_down(drivers, view.state("drivers"), since)
    chosen = finder.ablated(moment, drivers, graph, since, lambda share, words: tell(0.4 + 0.6 * share, words))
    return Discovery(graph, chosen.drivers, moment.now, "", chosen.gains, chosen.block, story)


def _as_tried(workspace: Workspace, panel: xr.Dataset) -> ForecastTask:
    """The task as drivers are tried on it: a base that reads far back reads an eighth of the span at most, so that
    there is something to try on, but as much as ``stream.history`` says."""
    watched, time = workspace.watched((), {}), panel["time"].values
    least = nanoseconds(workspace.settings.stream.history)
    return replace(watched, history=min(watched.history, max(least, (time[-1] - time[0]) // 8)))


def _continued(workspace: Workspace, moment: Moment, view: View, prepared: Prepared, knowledge: Knowledge,
               search: Search) -> GraphHistory:
    """The graph's story up to now; a window in which nothing can be searched leaves graph and drivers as they are."""
    settings, saved = workspace.settings.discovery, saved_discovery(view.state("causal"))
    story, key = _previous_history(saved, moment), _compared_by(workspace, knowledge)
    find = partial(find_graph, max_lag=settings.max_lag, search=search, knowledge=knowledge)
    try:
        return story.continued(prepared, where_seen(find), nanoseconds(settings.window), key)
    except DiscoverError as error:
        return GraphHistory(key, note=f"Windows cannot be compared: {error}.")


def _previous_history(saved: Discovery | None, moment: Moment) -> GraphHistory:
    return GraphHistory() if saved is None or not saved.known_at < moment.now else saved.story


def _without_links(workspace: Workspace, moment: Moment, view: View, error: TerracastError) -> Discovery:
    """A graph of the target alone that says why no drivers are used; what was told of earlier graphs is kept."""
    stream = workspace.settings.stream
    words = f"No drivers are used: {error.what if isinstance(error, AloneError) else error}."
    note(words)
    nothing = CausalGraph((Series(stream.domain, stream.target),), (), str(stream.step), "", 0, assumptions=(words,))
    story = _previous_history(saved_discovery(view.state("causal")), moment)
    return Discovery(nothing, (), moment.now, story=replace(story, fresh=(False,) * len(story.alarms)))


def current_statements(workspace: Workspace, view: View) -> list[ExpertStatement]:
    """Knowledge from the places that every run honours: kept in the store, then the settings' file."""
    told, file = [ExpertStatement(KEPT,
                                  kept_knowledge(view.state("knowledge")))], workspace.settings.discovery.knowledge
    if file is not None:
        told.append(ExpertStatement(file, Knowledge.read(workspace.settings.path(file))))
    return told


def in_force(told: Sequence[ExpertStatement], prepared: Prepared, max_lag: int) -> InForce:
    """All knowledge as one; a contradiction or an unknown series is told by file and line."""
    series = prepared.series + tuple(one.series for one in prepared.dropped)
    known = joined(told, series)
    known.check(series, max_lag)
    return known


def made_by(workspace: Workspace, told: Sequence[ExpertStatement]) -> str:
    """Names settings and knowledge: a discovery of the same name need not be made again the same day."""
    settings = workspace.settings
    return _digest([settings.discovery.model_dump_json(), settings.stream.model_dump_json(),
                    *(one.knowledge.text() for one in told)])


def _compared_by(workspace: Workspace, knowledge: Knowledge) -> str:
    """Names search and statements: graphs of windows of the same name can be compared."""
    settings = workspace.settings.discovery
    said = sorted({str(replace(one, comment="")) for one in knowledge.statements})
    return _digest([str(settings.max_lag), str(settings.alpha), str(settings.window),
                    str(workspace.settings.stream.step), *said])


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()[:12]


def discover(config: str = "terracast.toml", now: str | None = None, knowledge: str | None = None,
             max_lag: int | None = None, window: str | None = None) -> dict[str, Any]:
    """Find the graph as known at ``now`` and save it; the next retrain uses its drivers.

    The file ``knowledge`` is kept in the store: what it forbids never returns. A change of the graph is emitted as the
    event ``terracast.graph-alarm``, once.
    """
    workspace = _set(Workspace.open(config), {"max_lag": max_lag, "window": window})
    given = None if knowledge is None else Knowledge.read(knowledge)
    view = workspace.store.read()
    at = workspace.clock.even(as_of(now))
    moment = Moment(at, screened(workspace, view, at))
    refuse_if_silent(workspace, moment)
    with progress("discovering", 1000) as advance:
        discovery = discover_now(workspace, moment, given=given,
                                 name="" if knowledge is None else Path(knowledge).name, tell=shown(advance))
    with workspace.store.transaction("discover") as step:
        save_discovery(step, discovery)
        if given is not None:
            step.set_state("knowledge", to_keep(kept_knowledge(step.state("knowledge")), given))
        for alarm in discovery.story.news:
            told = alarm_state(alarm)
            key = json.dumps(told, sort_keys=True, default=str)
            post(step, GRAPH, workspace.settings.stream.name, key, discovery.known_at, told)
            post_alert(step, workspace.settings.alerts, of_graph(alarm.sentences, workspace.settings.stream.name, key))
    record_discovery(workspace, discovery, view.snapshot)
    deliver(workspace)
    deliver_alerts(workspace, wall_clock())
    return discovery.answer()


def refuse_if_silent(workspace: Workspace, moment: Moment) -> None:
    """Refuse to search for what drives a stream that says nothing any more: name its newest stamp, and the way back.

    Silent is what brought no value within what the model looks back on and late labels are waited for.
    """
    settings = workspace.settings
    domain = settings.stream.domain
    since = moment.now - nanoseconds(settings.stream.history + settings.stream.label_timeout)
    shown = workspace.clock.shown
    if domain not in moment.domains:
        raise DiscoverError(f"nothing of domain {domain} is in the store", where=settings.stream.name,
                            expected="data", remedy="run `terracast ingest` first")
    time = moment.known(domain)["time"].values
    if not len(time):
        raise DiscoverError(f"nothing of domain {domain} is known at {shown(moment.now).astype('datetime64[m]')}",
                            where=settings.stream.name, expected="data that came before", remedy="give a later --now")
    if time[-1] < since:
        newest = np.datetime_as_string(shown(time[-1]), "m")
        raise DiscoverError(f"the newest value is of {newest}", where=domain,
                            expected=f"values since {shown(since).astype('datetime64[D]')}",
                            remedy=f"look at the time before, with --now {newest}")


def _set(workspace: Workspace, wanted: Mapping[str, object]) -> Workspace:
    """The workspace with other settings of discovery for this run; None leaves one as it is."""
    settings = workspace.settings
    given = {name: value for name, value in wanted.items() if value is not None}
    try:
        discovery = DiscoverySettings.model_validate(settings.discovery.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(first["msg"].removeprefix("Value error, "), where=f"discovery.{first['loc'][0]}",
                            expected="a positive number of steps, or a span such as 365d", remedy="mend it") from None
    return replace(workspace, settings=settings.model_copy(update={"discovery": discovery}))


def record_discovery(workspace: Workspace, discovery: Discovery, snapshot: str) -> str:
    """The graph in every form, with the snapshot it was found from, as a run in MLflow; once a graph and instant."""
    known_at = np.datetime_as_string(discovery.known_at, "m")
    return record_files(workspace.registry, f"graph-{discovery.digest}-{known_at}", snapshot, discovery.files(),
                        tags={"graph_digest": discovery.digest, "known_at": known_at},
                        metrics={"links": len(discovery.graph.links),
                                 "drivers_used": len({one.series for one in discovery.drivers if one.used})})


def shown(advance: Callable[[int], None]) -> Tell:
    """Shares of the whole as steps of a progress bar of 1000; what a search will cost is told before it."""
    done = 0

    def tell(share: float, words: str) -> None:
        nonlocal done
        if words.startswith(COST):
            note(words)
        reached = max(done, round(1000 * min(share, 1.0)))
        advance(reached - done)
        done = reached
    return tell
