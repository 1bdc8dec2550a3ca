"""Gather what the site shows beside the report: from the store, the registry and the settings; nothing is computed that
a step computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.flows.alerting.outbox import STATE as ALERTS
from terracast.flows.alerting.outbox import kept
from terracast.flows.forecast import newest_forecast
from terracast.flows.reporting.content import Report
from terracast.flows.service.loop_state import loop_part, receipts
from terracast.flows.service.quality_control import set_aside_lately
from terracast.flows.service.serving_history import entries
from terracast.flows.settings import Settings
from terracast.flows.settings.masking import shown
from terracast.flows.site.content import ScoreRow, Site
from terracast.flows.site.data_quality import gaps_of, tickets_of
from terracast.flows.site.episodes import stories_of
from terracast.flows.site.forecasts import forecasts_of
from terracast.flows.workspace import Workspace
from terracast.streams.store import View

CARD = "scorecard.html"  # what `terracast scorecard` writes beside the settings
MOST_STORIES = 20  # versions that are told at length: the newest
SCHEDULE = ("One step at every cadence.", "The report and this site after each step where that is quick, else when "
            "something was told, and every morning at 6:00 UTC.", "The causal graph every Sunday at 3:30 UTC.")


def site_of(workspace: Workspace, view: View, report: Report, now: np.datetime64) -> Site:
    """All that the site shows at ``now``, around the ``report`` of the same instant."""
    clock, stream = workspace.clock, workspace.settings.stream
    last: np.datetime64 | None = loop_part(workspace, view, "last_tick")
    episodes: Mapping[str, Episode] = loop_part(workspace, view, "episodes_by_id") or {}
    history = tuple(one.to_json() for one in entries(view))
    acknowledged = kept(view.state(ALERTS))["acknowledged"]
    ledger = view.ledger(f"scores/{stream.domain}") if episodes else None
    scores = pd.DataFrame() if ledger is None else ledger[["absolute_error"]].to_dataframe().reset_index()
    stories = stories_of(report, {name: one.shown(clock.shown) for name, one in episodes.items()}, scores, now,
                         history, acknowledged)
    card = workspace.settings.path(CARD)
    return Site(
        report, forecasts_of(workspace, view, now, newest_forecast(workspace, now, view=view)), stories, history,
        tuple(receipts(workspace)),
        {} if last is None else {one.number: workspace.registry.why(one.number).sentences
                                 for one in report.versions[-MOST_STORIES:]},
        gaps_of(workspace, view, now), () if last is None else tickets_of(workspace, view, now),
        () if last is None else tuple(str(one["words"]) for one in set_aside_lately(workspace, view, last)),
        scores_of(report.compared), settings_of(workspace.settings), _text(card),
        None if last is None else np.datetime64(clock.shown(last + np.timedelta64(stream.cadence.value, "ns")), "ns"),
        SCHEDULE)


def scores_of(compared: pd.DataFrame | None) -> tuple[ScoreRow, ...]:
    """The scorecard of service: error by month, by kind of day and by hour of issue, beside the frozen base's."""
    if compared is None:
        return ()
    both = compared.dropna(subset=["error", "reference_error"])
    if both.empty:
        return ()
    at = pd.DatetimeIndex(both["issue_time"])
    months = [("all", np.ones(len(both), bool))]
    months += [(str(one), np.asarray(at.to_period("M") == one)) for one in at.to_period("M").unique()[-12:]]
    weekend = np.asarray(at.day_of_week >= 5)
    parts = [*months, ("issued Monday to Friday", ~weekend), ("issued Saturday or Sunday", weekend)]
    parts += [(f"issued at {hour:02d}:00 to {hour + 5:02d}:59 UTC", np.asarray(at.hour // 6 == hour // 6))
              for hour in (0, 6, 12, 18)]
    return tuple(_score(name, both[mask]) for name, mask in parts if mask.any())


def _score(name: str, part: pd.DataFrame) -> ScoreRow:
    return ScoreRow(name, float(part["error"].mean()), float(part["reference_error"].mean()),
                    int(part["issue_time"].nunique()))


def settings_of(settings: Settings) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Every setting in force, by section, as text. Of an address of alerts only the kind stands here: the site may be
    put where anybody reads it, and some addresses are keys."""
    held = shown(settings)
    found = []
    for name, whole in held.items():
        tables = [one for one in (whole if isinstance(whole, list) else [whole]) if isinstance(one, dict)]
        for place, table in enumerate(tables):
            rows = tuple((key, _in_words(name, value)) for key, value in table.items() if value is not None)
            found.append((name if len(tables) == 1 else f"{name} {place + 1}", rows))
    return tuple(found)


def _in_words(section: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_in_words(section, one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_in_words(section, one)}" for key, one in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if section == "alerts" and ("://" in text or text.startswith("$")):
        return f"{text.partition('://')[0]}://…" if "://" in text else "from the environment"
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
