"""The contract of a detector, kept by the four built in and by one of a user's own; how they are named."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from scipy.signal import lfilter

from terracast.adapt.monitoring.detection.alarm_threshold import count_episodes
from terracast.adapt.monitoring.detection.conformance import DetectorConformance
from terracast.adapt.monitoring.detection.detector import (
    DETECTORS,
    DetectorError,
    ReferenceStatistics,
    check_name,
    detector_named,
)
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import Monitor
from terracast.benchmarks.drift.bulk_replay import bulk_replay

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2018-01-01", "ns")
OWN = "tests.adapt.own_detector:Chart"
NAMES = ("a", "b", "c", "d")


class TestScan(DetectorConformance):
    detector = "scan"


class TestAdwin(DetectorConformance):
    detector = "adwin"


class TestPageHinkley(DetectorConformance):
    detector = "page-hinkley"


class TestKswin(DetectorConformance):
    detector = "kswin"


class TestOneOfAUsersOwn(DetectorConformance):
    detector = OWN


def network(seed: int, days: int) -> np.ndarray:
    """Residuals (hour, node) of a stationary network: autocorrelated, partly common."""
    shocks = np.random.default_rng(seed).normal(size=(24 * days, len(NAMES) + 1)) * 0.6
    shocks = lfilter([1.0], [1.0, -0.8], shocks, axis=0)
    return np.asarray(0.8 * shocks[:, :1] + 0.6 * shocks[:, 1:])


def stamps(first: int, rows: int) -> np.ndarray:
    return START + (24 * first + np.arange(rows)) * HOUR


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], Monitor]:
    """A monitor with this detector that promises two false alarms a month, fitted once."""
    made: dict[str, dict[str, object]] = {}
    residuals = network(0, 300)

    def of(name: str) -> Monitor:
        if name not in made:
            made[name] = Monitor.fit(residuals, stamps(0, len(residuals)), 2.0, seed=3, nodes=NAMES,
                                     detector=name).state()
        return Monitor.restore(made[name])
    return of


@pytest.mark.parametrize("name", [*DETECTORS, OWN])
def test_each_keeps_the_stated_number_of_false_alarms(fitted: Callable[[str], Monitor], name: str) -> None:
    days, alarms = 3 * 365, 0
    for seed in (1, 2):
        later = network(seed, days)
        told = np.zeros(days + 1, bool)
        for one in bulk_replay(fitted(name), stamps(300, len(later)), later):
            told[int((one.time - stamps(300, 1)[0]) / DAY)] = True
        alarms += count_episodes(told, 7)
    assert 0 < alarms <= 1.5 * 2.0 * 2 * days / 30.5


@pytest.mark.slow
def test_each_keeps_it_whatever_the_world_is_like() -> None:
    from terracast.benchmarks.drift.replays import RATES, ReplayBench

    summary = ReplayBench(nodes=12, seeds=2, detectors=tuple(DETECTORS)).answer("command")["summary"]
    assert len(summary) == len(DETECTORS) * len(RATES) and max(summary.values()) <= 1.5


@pytest.mark.parametrize("name", [*DETECTORS, OWN])
def test_what_each_finds_is_placed_named_and_folded_as_any_change(fitted: Callable[[str], Monitor], name: str) -> None:
    monitor, episodes, opened, clues = fitted(name), Episodes(14 * DAY), [], []
    residuals = network(5, 120)
    residuals[24 * 90:, 2] += 2.0
    times = stamps(300, len(residuals))
    for row in range(0, len(times), 24):
        found = monitor.observe(times[row:row + 24], residuals[row:row + 24])
        if row == 24 * 95:  # in the midst of it
            monitor = Monitor.restore(monitor.state())
        clues += (new := [one for one in found if one.time >= times[24 * 90]])
        opened += episodes.fold(times[row + 23], new)
    assert opened and opened[0].opened <= times[24 * 90] + 21 * DAY
    assert opened[0].nodes == ("c",) and opened[0].change_type == "level"
    assert abs(max(clues, key=lambda one: one.strength).since - times[24 * 90]) <= 3 * DAY


@pytest.mark.parametrize("name", [*DETECTORS, OWN])
def test_how_it_is_fed_and_restarted_changes_nothing(fitted: Callable[[str], Monitor], name: str,
                                                     same_trees: Callable) -> None:
    residuals = network(6, 100)
    residuals[24 * 80:, 1] *= 2.5
    residuals[24 * 30:24 * 31] = np.nan
    times = stamps(300, len(residuals))
    whole, parted = fitted(name), fitted(name)
    expected, found = whole.observe(times, residuals), []
    for row in range(0, len(times), 117):
        found += parted.observe(times[row:row + 117], residuals[row:row + 117])
        parted = Monitor.restore(parted.state())
    assert found == list(expected)
    same_trees(whole.state(), parted.state())
    assert [one for one in expected if one.change_type != "health"] == list(bulk_replay(fitted(name), times, residuals))


def test_an_entry_point_names_a_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(**asked: str) -> list[EntryPoint]:
        return [EntryPoint("chart", OWN, "terracast.detectors")] if asked == {
            "group": "terracast.detectors", "name": "chart"} else []

    monkeypatch.setattr("importlib.metadata.entry_points", installed)
    assert detector_named("chart").__name__ == "Chart" and check_name("chart") == "chart"


@pytest.mark.parametrize(("name", "says"), [
    ("cusum", "one of scan, adwin"), ("no_such_module:Thing", "install its package"),
    ("tests.adapt.own_detector:Gone", "mend the name"), ("tests.adapt.own_detector:Unfinished", "lacks at, fit"),
    ("numpy:ndarray", "inherits terracast.adapt.monitoring.detection.detector.Detector")])
def test_a_name_that_is_no_detector_says_what_is(name: str, says: str) -> None:
    with pytest.raises(DetectorError, match=says):
        detector_named(name)


def test_kswin_says_where_it_cannot_be_as_strict_as_the_budget_asks() -> None:
    streams = np.random.default_rng(0).normal(size=(24, 30))
    reference = ReferenceStatistics(streams, np.zeros(30, int), np.array([1e-7]))
    with pytest.raises(DetectorError, match="choose another"):
        detector_named("kswin").fit(reference)
