"""A site made of plain values, as a stream of some months would have it, for tests that look at pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from terracast.flows.reporting.page import render
from terracast.flows.reporting.sections import sections_of
from terracast.flows.site.content import Forecasts, Gaps, Site, Ticket
from terracast.flows.site.episodes import stories_of
from terracast.flows.site.gathering import SCHEDULE, scores_of
from terracast.flows.site.rendering import files_of
from terracast.flows.site.writing import write_site
from tests.flows.test_report_page import NODES, at, report

NOW = at("2015-07-19T06:00", "ns")
HOUR = np.timedelta64(1, "h")
ACT = {"time": "2015-03-12T00:00:00Z", "version": "4", "action": "promoted", "by": "loop", "reason": "better",
       "serves": "4", "key": "k", "p_value": 0.01, "mean_gain": 0.06, "pairs": 40}


def made_site(names: Sequence[str] = NODES) -> Site:
    """The site of the made-up report; ``names``: its nodes, the fourth of which had an episode in March."""
    random, count = np.random.default_rng(0), len(names)
    made = report()
    if tuple(names) != NODES:
        states = ["calm", "calm", "calm", "episode", "outage", *["calm"] * (count - 5)][:count]
        made = replace(made, nodes=pd.DataFrame({
            "node": list(names), "lat": 40 + random.normal(0, 0.3, count), "lon": 116 + random.normal(0, 0.4, count),
            "error": random.gamma(4, 5, count), "reference_error": 20.0, "skill": 0.2, "coverage": 0.8,
            "state": states}))
    issued = pd.date_range("2015-01-01", "2015-07-19", freq="D").to_numpy("datetime64[ns]")
    scores = pd.DataFrame({"issue_time": np.repeat(issued, count), "node": np.tile(names, len(issued)),
                           "absolute_error": random.gamma(400, 0.05, count * len(issued))})
    during = (scores["node"] == names[3]) & (scores["issue_time"] >= at("2015-03-03")) & (
        scores["issue_time"] < at("2015-03-12"))
    scores.loc[during, "absolute_error"] *= 3
    compared = scores.rename(columns={"absolute_error": "error"})
    made = replace(made, compared=compared.assign(reference_error=1.1 * compared["error"]))
    episodes = {"E-1": _episode(names[3]), "E-2": _episode(names[4])}
    stories = stories_of(made, episodes, scores, NOW, [ACT], {})  # type: ignore[arg-type]
    days = np.arange(at("2015-06-22"), at("2015-07-20")).astype("datetime64[D]")
    shares = np.where(random.random((count, 28)) < 0.1, random.random((count, 28)), 0.0)
    return Site(made, _forecasts(names), stories, (ACT,), ("version 4 was made",), {"4": ("Version 4 was made.",)},
                Gaps(tuple(names), days, shares),
                (Ticket("air", "stuck", f"PM2.5 stands still at {names[4]}.", NOW, NOW),),
                (), scores_of(made.compared), (("stream", (("name", "city"),)),), "", NOW, SCHEDULE)


def made_files(site: Site) -> dict[str, bytes]:
    """All files of it, the report among them."""
    sections = sections_of(site.report)
    return {"report.html": render(site.report, sections).encode(), **files_of(site, sections)}


def write_made_site(folder: Path, names: Sequence[str] = NODES) -> Path:
    """Write it, as ``terracast report --site`` does."""
    return write_site(made_files(made_site(names)), folder)


def _episode(node: str) -> SimpleNamespace:
    """What of an episode its story reads."""
    return SimpleNamespace(nodes=(node,), channels={}, subject=None)


def _forecasts(names: Sequence[str]) -> Forecasts:
    count, times = len(names), NOW - np.arange(240)[::-1] * HOUR
    wave = 80 + 30 * np.sin(np.arange(240) / 4)[:, None] + np.arange(count)
    observed = wave.copy()
    observed[20:24] = np.nan
    ahead = NOW + np.arange(1, 25) * HOUR
    levels = 80 + np.linspace(2, 20, 24)[:, None, None] * np.array([-1.3, -0.7, 0, 0.7, 1.3]) + np.zeros((1, count, 1))
    week = wave[-168:, :, None] + np.array([-9.0, 0, 9])
    return Forecasts(tuple(names), times, observed, ahead, levels, times[-168:], week, NOW)
