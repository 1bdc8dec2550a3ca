"""One episode: how its nodes fared over time, and whether what was done helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.monitoring.episodes.alarm_text import finding
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.flows.reporting.addresses import episode_page
from terracast.flows.reporting.content import AlarmRow, Report
from terracast.flows.site.content import EpisodeStory, Frame, PeriodErrors
from terracast.streams.instant import instant
from terracast.streams.wording import is_known

BEFORE = np.timedelta64(28, "D")
FRAMES = 6  # periods of the map over time: the weeks before, then the episode in equal parts
MOST_EPISODES = 300  # pages: the newest


def stories_of(report: Report, episodes: Mapping[str, Episode], scores: pd.DataFrame, now: np.datetime64,
               history: Sequence[Mapping[str, Any]], acknowledged: Mapping[str, Any]) -> tuple[EpisodeStory, ...]:
    """A story for each alarm of the report, newest first. ``scores``: columns issue_time, node, absolute_error, all
    forecasts that were scored; ``episodes`` by their ids, under true stamps."""
    newest = sorted(report.alarms, key=lambda one: pd.Timestamp(one.start), reverse=True)[:MOST_EPISODES]
    table = _wide(scores)
    return tuple(_story(one, episodes.get(one.episode), report, table, now, history, acknowledged) for one in newest)


def _story(alarm: AlarmRow, episode: Episode | None, report: Report, table: pd.DataFrame, now: np.datetime64,
           history: Sequence[Mapping[str, Any]], acknowledged: Mapping[str, Any]) -> EpisodeStory:
    nodes = () if episode is None else episode.nodes
    channels = () if episode is None else tuple(
        f"{name}: {finding(one.strongest, episode.subject)}" for name, one in episode.channels.items())
    versions = tuple(one for one in report.versions if one.made_from == alarm.episode)
    numbers = {one.number for one in versions}
    acts = tuple(one for one in history if one["version"] in numbers or one["serves"] in numbers)
    known = acknowledged.get(alarm.episode)
    looked_after = "" if known is None else f"{known['by']} looks after it" + (
        f": {known['note']}" if known.get("note") else "") + "."
    return EpisodeStory(alarm, episode_page(alarm.episode), nodes, channels, frames_of(alarm, table, now),
                        effects_of(alarm, nodes, report.compared, now), versions, acts, looked_after)


def frames_of(alarm: AlarmRow, table: pd.DataFrame, now: np.datetime64) -> tuple[Frame, ...]:
    """The map over time: of each period the mean error of a node against its error in the 28 days before the change.

    ``table``: errors, issue times × nodes. None where nothing was scored before the change or since.
    """
    start = instant(str(alarm.start))
    before = table[(table.index >= start - BEFORE) & (table.index < start)].mean()
    if not len(table) or not before.notna().any():
        return ()
    end = now if not is_known(alarm.end) else min(now, instant(str(alarm.end)) + BEFORE)
    bounds = start + (np.arange(FRAMES) / (FRAMES - 1) * (end - start).astype(np.int64)).astype("timedelta64[ns]")
    spans = [(start - BEFORE // 2, start), *pairwise(bounds)]
    found = []
    for first, last in spans:
        part = table[(table.index >= first) & (table.index < last)]
        if len(part):
            relative = part.mean() / before.where(before > 0) - 1
            found.append(Frame(first, last, {str(node): float(one) for node, one in relative.items()}))
    return tuple(found) if len(found) > 1 else ()


def effects_of(alarm: AlarmRow, nodes: Sequence[str], compared: pd.DataFrame | None, now: np.datetime64
               ) -> tuple[PeriodErrors, ...]:
    """Did it help: the error at the episode's nodes, of what served and of the base, before, during and after."""
    if compared is None or compared.empty:
        return ()
    start, end = instant(str(alarm.start)), instant(str(alarm.end)) if is_known(alarm.end) else None
    own = compared[compared["node"].isin(nodes)] if len(nodes) else compared
    periods = [("the 28 days before", start - BEFORE, start),
               ("during the episode", start, now if end is None else end)]
    periods += [] if end is None else [("the 28 days after", end, end + BEFORE)]
    return tuple(_effect(name, own[(own["issue_time"] >= first) & (own["issue_time"] < last)])
                 for name, first, last in periods)


def _effect(name: str, part: pd.DataFrame) -> PeriodErrors:
    both = part.dropna(subset=["error", "reference_error"])
    if both.empty:
        return PeriodErrors(name, None, None, 0)
    return PeriodErrors(name, float(both["error"].mean()), float(both["reference_error"].mean()),
                  int(both["issue_time"].nunique()))


def _wide(scores: pd.DataFrame) -> pd.DataFrame:
    if scores.empty:
        return pd.DataFrame(index=pd.DatetimeIndex([]))
    return scores.pivot_table(index="issue_time", columns="node", values="absolute_error", aggfunc="mean",
                              observed=True)
