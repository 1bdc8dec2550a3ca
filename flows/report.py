"""Report: gather what the store and the registry know into one page a domain expert can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.evaluation.hindcast import hindcast
from terracast.adapt.evaluation.replay import score_table
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.ladder import Attempt
from terracast.adapt.task import ALWAYS, ForecastTask
from terracast.flows.discovery.saved_discovery import saved_discovery
from terracast.flows.forecast import newest_forecast
from terracast.flows.reporting.content import AlarmRow, Change, KnownEvent, Making, Report, Service, Timeline
from terracast.flows.reporting.content import VersionRow as VersionRow
from terracast.flows.reporting.daily import network_daily
from terracast.flows.reporting.freshness import freshness
from terracast.flows.reporting.known_events import known_events
from terracast.flows.reporting.page import render, write, write_text
from terracast.flows.reporting.reasons import EarlierChoice
from terracast.flows.reporting.sections import sections_of
from terracast.flows.reporting.wording import duration
from terracast.flows.service.approvals import waiting
from terracast.flows.service.evidence import evidence_in_words
from terracast.flows.service.loop_state import load_drivers, load_loop, reference_snapshot
from terracast.flows.service.outlook import outlook_of
from terracast.flows.service.quality_control import screened, set_aside_lately
from terracast.flows.service.replay_state import last_replay
from terracast.flows.service.report_history import reasons_of, remember
from terracast.flows.service.serving_history import CHANGES, HistoryEntry, entries
from terracast.flows.settings.clock import as_of
from terracast.flows.site.gathering import site_of
from terracast.flows.site.rendering import files_of
from terracast.flows.site.writing import write_site
from terracast.flows.workspace import Workspace
from terracast.stfm.best_season import BestSeason
from terracast.stfm.forecaster import Forecaster
from terracast.streams.bitemporal import History
from terracast.streams.clock import Clock
from terracast.streams.store import View

UNDECIDED = ("challenged", "approved")  # entries after which it is open what becomes of a version
RECENT, YEAR = np.timedelta64(28, "D"), np.timedelta64(365, "D")
MOST, FEWEST = 10_000, 24  # forecasts of a node that are made anew for a page, and issue times at least


def report_on(workspace: Workspace, now: np.datetime64, out: Path, *, events: Sequence[KnownEvent] = (),
              seen_at: np.datetime64 | None = None) -> Path:
    """Write the report to ``out``: scores as of the step at ``now``, past, forecast and silence as known at ``seen_at``
    (default: the same instant). Frozen base and seasonal naive are hindcast for comparison.

    Before service has begun it tells what was observed and what discovery found. What the page showed is remembered in
    the store, so that the next report can tell what changed.
    """
    return write(_page(workspace, now, events, now if seen_at is None else seen_at), out)


def _page(workspace: Workspace, now: np.datetime64, events: Sequence[KnownEvent], seen_at: np.datetime64) -> Report:
    view = workspace.store.read()
    with workspace.store.transaction("reported") as step:
        before = remember(step, now)
    page = _without_service if view.state("loop") is None else _in_service
    return _as_seen(page(workspace, view, now, before, events), workspace, view, seen_at)


def _as_seen(page: Report, workspace: Workspace, view: View, now: np.datetime64) -> Report:
    """The page with what is seen at ``now``: the past and what follows, who is silent, and the last replay."""
    sources = freshness(workspace, view, now)
    silent = {one.node for source in sources if source.domain == page.domain for one in source.nodes if one.overdue}
    nodes = page.nodes
    if nodes is not None:
        nodes = nodes.assign(state=nodes["state"].mask(nodes["node"].isin(silent), "outage"))
    return replace(page, as_known_at=now, nodes=nodes, sources=sources, replayed=last_replay(workspace),
                   outlook=outlook_of(workspace, view, now, newest_forecast(workspace, now)))


def _in_service(workspace: Workspace, view: View, now: np.datetime64, before: EarlierChoice | None,
                events: Sequence[KnownEvent]) -> Report:
    loop = load_loop(workspace, view)
    history, clock = screened(workspace, view), workspace.clock
    served = _served_scores(view, loop.watched.domain)
    scores = compared_scores(served, now - RECENT, len(loop.watched.nodes))
    frozen = _frozen(workspace, view, loop, history, scores, now)
    naive = _naive(loop.watched, history, _since(scores, now - RECENT), now, clock)
    panel = view.as_known_at(loop.watched.domain, now)
    target = panel[loop.watched.request.target]
    return Report(
        title=f"{workspace.settings.stream.name}: {target.attrs['long_name']}",
        domain=loop.watched.domain, target=target.attrs["long_name"], units=target.attrs["units"], as_known_at=now,
        snapshot=view.snapshot, champion=loop.champion.version, headline=_headline(served, scores, frozen),
        nodes=_nodes(panel, scores, frozen, naive, loop, now),
        timeline=Timeline(_values(view, loop, target), _weekly(scores, frozen), _lead(loop), _changes(entries(view)),
                          tuple(events)),
        alarms=tuple(_alarm(episode, loop.attempt_log.attempts, evidence_in_words(
            episode, reference_snapshot(view), view.snapshot))
                     for episode in (told.shown(clock.shown) for told in loop.episodes_by_id.values())),
        false_alarms_per_month=workspace.settings.stream.false_alarms_per_month,
        service=_service(loop, served, now),
        channel_status=(*loop.monitor.status.values(), *_holidays(loop), *_set_aside(workspace, view, now)),
        versions=_versions(workspace, entries(view)),
        approvals=tuple(str(one["words"]) for one in waiting(workspace, view)), reasons=reasons_of(view, before),
        making=Making("terracast report", workspace.settings.digest(), {"data snapshot": view.snapshot}),
        compared=_side_by_side(scores, frozen), **_places(panel))


def _side_by_side(scores: pd.DataFrame, frozen: pd.DataFrame) -> pd.DataFrame:
    """The errors of what served and of the frozen base, forecast by forecast."""
    keys, name = ["issue_time", "node"], "absolute_error"
    if scores.empty:
        return pd.DataFrame(columns=[*keys, "error", "reference_error"])
    found = scores[[*keys, name]].merge(frozen[[*keys, name]], on=keys, how="left", suffixes=("", "_frozen"))
    return found.rename(columns={name: "error", f"{name}_frozen": "reference_error"})


def _places(panel: xr.Dataset) -> dict[str, Any]:
    """What a node is called, and how large it is where it is a cell."""
    if "cell" not in panel.attrs:
        moves = "lat" in panel.coords and "time" in panel["lat"].dims
        return {"place": "mover" if moves else "region" if panel.attrs.get("kind") == "event" else "station"}
    height, _, width = str(panel.attrs["cell"]).partition(",")
    return {"place": "cell", "cell": (float(height), float(width))}


def _served_scores(view: View, domain: str) -> pd.DataFrame:
    """The score ledger as a long table, like ``adapt.evaluation.replay.score_table``."""
    ledger = view.ledger(f"scores/{domain}")
    if ledger is None:
        return score_table([], ())
    return ledger.to_dataframe().reset_index().sort_values("issue_time", kind="stable")


def compared_scores(served: pd.DataFrame, recent: np.datetime64, nodes: int) -> pd.DataFrame:
    """The scores that are compared: of all issue times where they are few, else of so many, evenly spread, half of them
    since ``recent``. What is compared is made anew for every page."""
    times, most = np.unique(served["issue_time"].to_numpy()), max(FEWEST, MOST // max(nodes, 1))
    parts = (times[times < recent], times[times >= recent]) if len(times) > most else (times,)
    chosen = [part[np.unique(np.linspace(0, len(part) - 1, most // len(parts)).round().astype(int))]
              if len(part) > most // len(parts) else part for part in parts]
    return served[served["issue_time"].isin(np.concatenate(chosen))]


def _set_aside(workspace: Workspace, view: View, now: np.datetime64) -> list[str]:
    """A sentence for each series of which values are set aside."""
    return [str(one["words"]) for one in set_aside_lately(workspace, view, workspace.clock.even(now))]


def _holidays(loop: Loop) -> tuple[str, ...]:
    """That days off are compared with nothing, where they are."""
    off = loop.watched.days_off
    return () if off is None else (f"Holidays of {off.country} are left out: they are unlike other days here",)


def _service(loop: Loop, scores: pd.DataFrame, now: np.datetime64) -> Service | None:
    """What the monitor did since the first forecast that was scored."""
    if not len(scores):
        return None
    health = sum(episode.change_type == "health" for episode in loop.episodes_by_id.values())
    months = float((now - scores["issue_time"].to_numpy()[0]) / np.timedelta64(1, "D")) / 30.5
    return Service(months, len(loop.episodes_by_id) - health, health)


def _base(workspace: Workspace) -> tuple[str, Forecaster]:
    """The newest base: what the champion would be had nothing been adapted."""
    bases = [version for version in workspace.registry.versions() if version.lineage.policy_rung == "fit"]
    newest = max(bases, key=lambda version: int(version.number))
    return newest.number, workspace.registry.load(newest.number)


def _frozen(workspace: Workspace, view: View, loop: Loop, history: History, scores: pd.DataFrame,
            now: np.datetime64) -> pd.DataFrame:
    """The scores that the newest base alone would have had."""
    service, (version, model) = load_drivers(view), _base(workspace)
    # the base was fitted with the drivers that service began with
    begun = loop.watched if service is None else replace(loop.watched, drivers=service.begun)
    return _hindcast(begun, model, version, history, scores, now, workspace.clock)


def errors_compared(workspace: Workspace, seen_at: np.datetime64) -> dict[str, Any] | None:
    """The mean absolute error lately of what was served and of the frozen base, on the same forecasts, made anew for
    it; None before a forecast has been scored. ``at``: when that was, UTC, as text."""
    view = workspace.store.read()
    if not view.has_state("loop"):
        return None
    loop = load_loop(workspace, view)
    if loop.last_tick is None:
        return None
    now = min(seen_at, workspace.clock.shown(loop.last_tick))
    served = _served_scores(view, loop.watched.domain)
    scores = _since(compared_scores(served, now - RECENT, len(loop.watched.nodes)), now - RECENT)
    frozen = _frozen(workspace, view, loop, screened(workspace, view), scores, now)
    return _as_compared(_by_node(scores, "absolute_error"), _by_node(frozen, "absolute_error"), seen_at)


def _as_compared(served: pd.Series, frozen: pd.Series, at: np.datetime64) -> dict[str, Any] | None:
    """The means over nodes (node,) of both errors, None where one is not known."""
    errors = float(served.mean()), float(frozen.mean())
    if not np.isfinite(errors).all():
        return None
    return {"mean_absolute_error": errors[0], "frozen_mean_absolute_error": errors[1],
            "at": f"{np.datetime_as_string(at, 's')}Z"}


def _hindcast(watched: ForecastTask, model: Forecaster, version: str, history: History, scores: pd.DataFrame,
              now: np.datetime64, clock: Clock) -> pd.DataFrame:
    issue_times = np.unique(scores["issue_time"].to_numpy())
    made = hindcast(model, version, watched, history, list(clock.even(issue_times)), clock.even(now))
    table = score_table(made, watched.nodes)
    return table.assign(issue_time=clock.shown(table["issue_time"].to_numpy())) if clock.calendar else table


def _naive(watched: ForecastTask, history: History, scores: pd.DataFrame, now: np.datetime64,
           clock: Clock) -> pd.DataFrame:
    """The plain rule, by the season that was best for each node before the first of these scores."""
    first = now if scores.empty else np.datetime64(clock.even(scores["issue_time"].to_numpy().min()), "ns")
    rule = BestSeason.chosen(watched.labels(Moment(first, history), ALWAYS), watched.request.at(first))
    seen = replace(watched, history=max(watched.history, rule.past(watched.request)))
    return _hindcast(seen, rule, rule.name, history, scores, now, clock)


def _since(scores: pd.DataFrame, start: np.datetime64) -> pd.DataFrame:
    return scores[scores["issue_time"] >= start]


def _by_node(scores: pd.DataFrame, column: str) -> pd.Series:
    """Mean over issue times, weighted by the labels that came."""
    weighted = scores.assign(total=scores[column].fillna(0.0) * scores["labels"])
    sums = weighted.groupby("node")[["total", "labels"]].sum()
    return sums["total"] / sums["labels"].where(sums["labels"] > 0)


def _nodes(panel: xr.Dataset, scores: pd.DataFrame, frozen: pd.DataFrame, naive: pd.DataFrame, loop: Loop,
           now: np.datetime64) -> pd.DataFrame:
    recent = _since(scores, now - RECENT)
    table = pd.DataFrame({"node": list(loop.watched.nodes)}).set_index("node")
    table["error"] = _by_node(recent, "absolute_error")
    table["reference_error"] = _by_node(_since(frozen, now - RECENT), "absolute_error")
    table["skill"] = 1.0 - table["error"] / _by_node(naive, "absolute_error")
    table["coverage"] = _by_node(recent, "hits")
    open_episodes = loop.episodes.active()
    states = {node: "outage" if episode.change_type == "health" else "episode"
              for episode in open_episodes for node in episode.nodes}
    table["state"] = [states.get(node, "calm") for node in table.index]
    for name in ("lat", "lon"):
        if name in panel.coords:  # what moves is shown where it was last
            held = panel[name] if "time" not in panel[name].dims else panel[name].transpose("time", "node")
            told = pd.DataFrame(np.atleast_2d(held.values), columns=panel["node"].values)
            table[name] = told.ffill().iloc[-1]
    return table.reset_index()


def _values(view: View, loop: Loop, target: xr.DataArray) -> pd.DataFrame | None:
    """All that was observed since a year before service, and the forecast at the longest leads that cover every stamp
    once."""
    ledger = view.ledger(f"forecasts/{loop.watched.domain}")
    if ledger is None:
        return None
    request = loop.watched.request
    target = target.sel(time=slice(ledger["issue_time"].values.min() - YEAR, None))
    last = ledger.isel(lead=slice(-max(1, int(loop.watched.cadence / request.step)), None))
    flat = last.stack(time=("issue_time", "lead"), create_index=False)
    flat = flat.assign_coords(time=("time", flat["valid_time"].values)).drop_vars("valid_time")
    forecast = flat[request.target].sortby("time").drop_duplicates("time")
    times = np.union1d(target["time"].values, forecast["time"].values)
    low, median, high = (forecast.sel(quantile=wanted, method="nearest", drop=True).reindex(time=times)
                         for wanted in (0.1, 0.5, 0.9))
    observed = target.reindex(time=times, node=forecast["node"])
    return network_daily(observed, low, median, high, request.step)


def _weekly(scores: pd.DataFrame, frozen: pd.DataFrame) -> pd.DataFrame | None:
    if scores.empty:
        return None
    weeks = {name: table.set_index("issue_time")["absolute_error"].astype(float).resample("7D").mean()
             for name, table in (("frozen", frozen), ("champion", scores))}
    return pd.DataFrame(weeks).rename_axis("time").reset_index()


def _lead(loop: Loop) -> str:
    horizon = pd.Timedelta(loop.watched.request.leads[-1])
    hours = horizon / pd.Timedelta("1h")
    return f"{duration(horizon)} ahead" if hours < 72 or hours % 24 else f"{hours / 24:g} days ahead"


def _headline(served: pd.DataFrame, scores: pd.DataFrame, frozen: pd.DataFrame) -> tuple[str, ...]:
    if scores.empty:
        return ("No forecast has been scored yet.",)
    error, before = (float(_by_node(table, "absolute_error").mean()) for table in (scores, frozen))
    hits = float(_by_node(served, "hits").mean())
    of, all_ = (table["issue_time"].nunique() for table in (scores, served))
    beside = (f"The error of what was served is {100 * (1 - error / before):.1f} % below that of the frozen base"
              if before > 0 else "The frozen base made no error") + (
        f" (of {of:,} of {all_:,} forecasts)" if of < all_ else "")
    return (f"{beside}; the 80 % interval covered {100 * hits:.0f} %.",)


def _changes(held: Sequence[HistoryEntry]) -> tuple[Change, ...]:
    """When another version came to serve, as the history has it."""
    return tuple(Change(one.time, "rollback" if one.action == "rolled-back" else "promotion", one.serves)
                 for before, one in pairwise(one for one in held if one.action in CHANGES)
                 if one.serves != before.serves)


def _alarm(episode: Episode, attempts: Sequence[Attempt], evidence: tuple[str, ...]) -> AlarmRow:
    """Its words; where the ladder acted, with the receipt of every act. What it rests on."""
    alarm, action = episode.alarm, episode.alarm.action
    receipts = [climb.sentence for climb in attempts if climb.episode == episode.id]
    if receipts:
        action = f"{action} The ladder's acts: {'; '.join(receipts)}."
    end = episode.last_evidence if episode.phase in ("recovering", "closed") else None
    return AlarmRow(episode.id, alarm.what, alarm.where, action, episode.since, end, episode.change_type, evidence,
                    alarm.meaning, episode.phase == "recovering")


def _versions(workspace: Workspace, held: Sequence[HistoryEntry]) -> tuple[VersionRow, ...]:
    """A row per version: the newest of its entries in the history says what became of it."""
    rows = []
    for version in workspace.registry.versions():
        mine = [one for one in held if one.version == version.number and one.action not in UNDECIDED]
        gains = [one.mean_gain for one in mine if np.isfinite(one.mean_gain)]
        said = f"{mine[-1].action} by {mine[-1].by}: {mine[-1].reason}" if mine else "not decided yet"
        rows.append(VersionRow(version.number, version.aliases, version.lineage.episode_id or version.lineage.key,
                               said, gains[-1] if gains else None))
    return tuple(rows)


def _without_service(workspace: Workspace, view: View, now: np.datetime64, before: EarlierChoice | None,
                     events: Sequence[KnownEvent]) -> Report:
    """The page before the first forecast."""
    stream = workspace.settings.stream
    known = {} if stream.domain not in view.domains else dict(
        view.as_known_at(stream.domain, now, now - RECENT)[stream.target].attrs)
    name = str(known.get("long_name", stream.target))
    return Report(title=f"{stream.name}: {name}", domain=stream.domain, target=name, units=str(known.get("units", "")),
                  as_known_at=now, snapshot=view.snapshot, reasons=reasons_of(view, before),
                  making=Making("terracast report", workspace.settings.digest(), {"data snapshot": view.snapshot}))


def report(config: str = "terracast.toml", out: str = "report.html", now: str | None = None,
           events: str | None = None, site: str | None = None) -> dict[str, Any]:
    """Write the report; answers its path, and under ``compared`` the errors of the last 28 days, served and frozen.
    ``events``: a JSON file of known changes, drawn on the timeline. ``site``: a folder into which the site is written,
    with the report in it; where ``out`` names that report, it is written once."""
    workspace = Workspace.open(config)
    view, seen_at = workspace.store.read(), as_of(now)
    moment = seen_at
    if view.state("loop") is not None:
        last = load_loop(workspace, view).last_tick
        moment = moment if last is None else min(moment, workspace.clock.shown(last))
    elif (found := saved_discovery(view.state("causal"))) is not None and now is None:
        moment = found.known_at
    known = () if events is None else known_events(Path(events), moment)
    page = _page(workspace, moment, known, seen_at)
    nodes = page.nodes
    compared = None if nodes is None else _as_compared(nodes["error"], nodes["reference_error"], seen_at)
    sections = sections_of(page)
    text = render(page, sections)
    if site is not None:
        held = site_of(workspace, workspace.store.read(), page, seen_at)
        write_site({"report.html": text.encode(), **files_of(held, sections)}, Path(site))
    written = {} if site is None else {"site": site}
    own = site is not None and Path(out) == Path(site) / "report.html"
    return {"report": out if own else str(write_text(text, Path(out))), "compared": compared, **written}
