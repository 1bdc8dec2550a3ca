"""Freshness: what is overdue, by the domain's own clock and by how late its values usually are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.reporting.freshness import SourceFreshness, freshness
from terracast.flows.workspace import Workspace

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
FIRST = np.datetime64("2024-01-01", "ns")
SETTINGS = """\
[stream]
name = "air"
domain = "air"
target = "x"
step = "{step}"
cadence = "{cadence}"
horizon = "{step}"
[[sources]]
domain = "air"
path = "nowhere.csv"
{delay}
"""


class Feed:
    """A workspace whose store is filled by hand: reports (time, node) and when each was known."""

    def __init__(self, folder: Path, step: str, cadence: str, delay: str = "") -> None:
        self.step, config = step, folder / "terracast.toml"
        config.write_text(SETTINGS.format(step=step, cadence=cadence, delay=delay), encoding="utf-8")
        self.workspace = Workspace.open(config)

    def hear(self, times: np.ndarray, known: np.ndarray, reports: np.ndarray | None = None,
             kind: str = "sensor") -> None:
        reports = np.ones((len(times), 3), bool) if reports is None else reports
        known = np.where(reports, known[:, None] if known.ndim == 1 else known, np.datetime64("NaT", "ns"))
        values = np.where(reports, 1.0, np.nan)
        nodes = [f"n{place}" for place in range(reports.shape[1])]
        panel = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                           {"time": times, "node": nodes, "known_time": (("time", "node"), known)},
                           {"domain": "air", "kind": kind, "step": self.step})
        with self.workspace.store.transaction("reports") as step:
            step.ingest("air", panel)

    def at(self, now: np.datetime64) -> SourceFreshness:
        (found,) = freshness(self.workspace, self.workspace.store.read(), now)
        return found


def clock(step: np.timedelta64, count: int) -> np.ndarray:
    return FIRST + np.arange(count) * step


def test_nothing_stored_is_not_yet(tmp_path: Path) -> None:
    found = Feed(tmp_path, "1h", "6h").at(FIRST)
    assert found == SourceFreshness("air", None, None, False, ())


@pytest.mark.parametrize(("step", "cadence", "least", "most"), [
    ("10min", "30min", "40min", "2h"), ("1h", "6h", "3h", "14h"), ("1D", "1D", "2D", "4D"), ("7D", "7D", "14D", "21D")])
def test_a_feed_that_stops_is_overdue_soon_but_not_at_once(tmp_path: Path, step: str, cadence: str, least: str,
                                                           most: str) -> None:
    """An hourly feed does not need two days, and a weekly one is not told after an hour."""
    span = pd.Timedelta(step).to_timedelta64()
    times = clock(span, 200)
    feed = Feed(tmp_path, step, cadence)
    feed.hear(times, times + span)
    newest = times[-1]
    assert feed.at(newest + span).newest == newest and feed.at(newest + span).due == newest + 2 * span
    assert not feed.at(newest + pd.Timedelta(least).to_timedelta64()).overdue
    late = feed.at(newest + pd.Timedelta(most).to_timedelta64())
    assert late.overdue and late.silent == ("n0", "n1", "n2")


def test_a_file_a_day_of_hourly_values_is_usual(tmp_path: Path) -> None:
    times = clock(HOUR, 24 * 20)
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times.astype("datetime64[D]") + DAY + HOUR)
    newest = times[-1]
    assert not feed.at(newest + 26 * HOUR).overdue and feed.at(newest + 26 * HOUR).due == newest + 26 * HOUR
    assert feed.at(newest + 38 * HOUR).overdue


@pytest.mark.parametrize("seed", range(5))
def test_values_late_and_missing_at_random_are_never_told(tmp_path: Path, seed: int) -> None:
    draws = np.random.default_rng(seed)
    times = clock(HOUR, 24 * 60)
    late = np.where(draws.random(len(times)) < 0.1, draws.integers(1, 6, len(times)), 1)
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + late * HOUR, draws.random((len(times), 3)) > 0.1)
    for now in times[24 * 25::6]:
        found = feed.at(now)
        assert not found.overdue and not found.silent


def test_one_outage_in_the_past_does_not_make_the_next_one_usual(tmp_path: Path) -> None:
    times = np.delete(clock(HOUR, 24 * 20), np.arange(24 * 10, 24 * 13))
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + HOUR)
    assert feed.at(times[-1] + 14 * HOUR).overdue


@pytest.mark.parametrize("batches", [1, 40])
def test_a_past_that_was_loaded_at_once_says_nothing_about_lateness(tmp_path: Path, batches: int) -> None:
    """An archive that ended two years ago, known since today: its lateness of years is not usual."""
    times = clock(DAY, 400)
    loaded = times[-1] + 730 * DAY
    feed = Feed(tmp_path, "1D", "1D")
    feed.hear(times, loaded + np.arange(400) * batches // 400 * np.timedelta64(1, "s"))
    assert feed.at(loaded + HOUR).overdue and feed.at(loaded + HOUR).newest == times[-1]


def test_the_delay_that_is_set_counts_where_nothing_was_learnt(tmp_path: Path) -> None:
    times = clock(HOUR, 3)
    feed = Feed(tmp_path, "1h", "6h", 'delay = "2d"')
    feed.hear(times, times + 2 * DAY)
    assert feed.at(times[-1] + 2 * DAY).due == times[-1] + 2 * DAY + HOUR
    assert not feed.at(times[-1] + 2 * DAY + 6 * HOUR).overdue
    assert feed.at(times[-1] + 2 * DAY + 8 * HOUR).overdue


def test_a_node_is_silent_while_others_report_and_one_that_never_came_is_not_yet(tmp_path: Path) -> None:
    times = clock(HOUR, 24 * 40)
    reports = np.ones((len(times), 4), bool)
    reports[24 * 10:, 1] = False  # stopped a month ago: further back than the rows that waits are learnt from
    reports[:, 2] = False
    reports[: 24 * 39, 3] = False  # began yesterday
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + HOUR, reports)
    found = feed.at(times[-1] + HOUR)
    assert not found.overdue and found.silent == ("n1",)
    assert found.nodes[1].newest == times[24 * 10 - 1] and found.nodes[2].newest is None
    assert feed.at(times[24 * 10] + 3 * HOUR).silent == () and feed.at(times[24 * 10] + 12 * HOUR).silent == ("n1",)


def test_a_node_that_reports_by_day_only_is_not_silent_at_night(tmp_path: Path) -> None:
    times = clock(HOUR, 24 * 40)
    reports = np.ones((len(times), 2), bool)
    hour = np.arange(len(times)) % 24
    reports[(hour < 6) | (hour > 18), 1] = False
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + HOUR, reports)
    for now in times[24 * 30: 24 * 32]:
        assert feed.at(now).silent == ()


def test_vehicles_come_and_go(tmp_path: Path) -> None:
    times = clock(HOUR, 240)
    reports = np.ones((len(times), 2), bool)
    reports[100:, 1] = False
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + HOUR, reports, kind="point")
    assert feed.at(times[-1] + HOUR).silent == ()
    assert feed.at(times[-1] + DAY).overdue


def test_only_what_is_known_now_counts(tmp_path: Path) -> None:
    times = clock(HOUR, 24 * 20)
    feed = Feed(tmp_path, "1h", "6h")
    feed.hear(times, times + HOUR)
    now = times[24 * 10] + np.timedelta64(30, "m")
    assert feed.at(now).newest == times[24 * 10 - 1] and not feed.at(now).overdue


def test_it_imports_nothing_heavy() -> None:
    code = ("import sys, terracast.flows.reporting.freshness; "
            "sys.exit(', '.join(one for one in ('torch', 'prefect', 'mlflow') if one in sys.modules) or 0)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
