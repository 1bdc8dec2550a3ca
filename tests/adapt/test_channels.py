"""Evidence of input and calibration: one promise with the errors, found where planted, silent where nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.evaluation.scores import pit
from terracast.adapt.monitoring.channels.covariate_shift import CovariateShift, features
from terracast.adapt.monitoring.channels.interval_calibration import IntervalCalibration
from terracast.adapt.monitoring.detection.alarm_threshold import count_episodes
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.monitor import Monitor
from tests.adapt.watched_worlds import DAY, HOUR, LEADS, NAMES, NODES, START, World

pytestmark = pytest.mark.integration

FITTED, ONSET, END = 200, 230, 275


def at(node: int, size: float, since: int = ONSET) -> Callable[[int], np.ndarray]:
    return lambda day: np.where(np.arange(NODES) == node, size, 0.0) * (day >= since)


def everywhere(size: float) -> Callable[[int], np.ndarray]:
    return lambda day: np.full(NODES, size if day >= ONSET else 0.0)


def day_of(one: Evidence) -> int:
    return int((one.time - START) / DAY)


def alarms(found: Iterable[Evidence], first: int, last: int) -> int:
    days = np.zeros(last - first + 1, bool)
    days[[day_of(one) - first for one in found]] = True
    return count_episodes(days, 7)


@pytest.mark.parametrize(("worlds", "yearly"), [
    (1, 0.0), pytest.param(4, 0.0, marks=pytest.mark.slow), pytest.param(4, 2.0, marks=pytest.mark.slow)])
def test_all_kinds_together_keep_one_promise(worlds: int, yearly: float) -> None:
    """A year after a year in which nothing changed, at two false alarms a month; seasons are nothing new in it."""
    told = 0
    for seed in range(worlds):
        world = World.of(10 + seed, 730, yearly=yearly)
        monitor = world.fit(365, 2.0)
        assert monitor.kinds == ("error", "input", "calibration")
        told += alarms(world.watched(monitor, 365, 729), 365, 729)
    stated = 2.0 * worlds * 364 / 30.5
    assert told <= 1.2 * stated + 2 * (1.2 * stated) ** 0.5


@pytest.fixture(scope="module")
def calm() -> World:
    return World.of(3, END)


@pytest.mark.parametrize(("width", "direction", "nodes"), [
    (lambda day: 1 - at(1, 0.5)(day), "narrow", ("b",)), (lambda day: 1 - everywhere(0.35)(day), "narrow", NAMES),
    (lambda day: 1 + everywhere(0.8)(day), "wide", NAMES)])
def test_intervals_of_another_width_are_told_as_that(calm: World, width: Callable, direction: str,
                                                     nodes: tuple) -> None:
    changed = World.of(3, END, width=width)
    np.testing.assert_array_equal(changed.residuals, calm.residuals)  # the model's own errors are what they were
    monitor = changed.fit(FITTED, 1.0)
    found = [one for one in changed.watched(monitor, FITTED, END - 1)
             if day_of(one) >= ONSET and one.channel != "error"]
    assert {one.channel for one in found} == {"calibration"}
    first = next(one for one in found if one.direction == direction)
    assert first.nodes == nodes and day_of(first) <= ONSET + 14
    best = max(found, key=lambda one: one.strength)
    assert best.nodes == nodes and best.details["now"] != best.details["before"]
    assert abs((best.since - START) / DAY - ONSET) <= 5


@pytest.mark.parametrize(("moved", "nodes"), [(at(2, 4.0), ("c",)), (everywhere(3.0), NAMES)])
def test_a_context_never_seen_is_told_where_errors_are_as_before(calm: World, moved: Callable, nodes: tuple) -> None:
    changed = World.of(3, END, moved=moved)
    np.testing.assert_allclose(changed.residuals, calm.residuals, atol=1e-9)
    of_calm, of_changed = ([one for one in world.watched(world.fit(FITTED, 1.0), FITTED, END - 1)
                            if day_of(one) >= ONSET] for world in (calm, changed))
    told = [one for one in of_changed if one.channel == "input"]
    assert told and not any(one.channel == "input" for one in of_calm)
    errors = [[(one.time, one.nodes, one.change_type) for one in found if one.channel == "error"]
              for found in (of_changed, of_calm)]
    assert errors[0] == errors[1]
    assert day_of(told[0]) <= ONSET + 10
    best = max(told, key=lambda one: one.strength)
    assert best.nodes == nodes and best.details["features"].startswith("level lies")
    assert "above normal" in best.details["features"]
    assert alarms(told, FITTED, END) <= 7  # one change, told while it lasts


def test_a_season_that_the_reference_never_saw_is_stated_and_is_no_storm() -> None:
    """It comes slowly, so that on no day it is news; how far off it is by now is said without an alarm."""
    world = World.of(6, 365, yearly=6.0)
    monitor = world.fit(120, 1.0)
    assert "is like the reference" in monitor.status["input"]
    assert set(monitor.status) == {"input"}  # nothing was served yet
    found = [one for one in world.watched(monitor, 120, 275) if one.channel == "input"]
    assert alarms(found, 120, 275) <= 5
    assert "is unlike the reference: it lies farther off than" in monitor.status["input"]
    assert "80 % intervals cover" in monitor.status["calibration"]


def test_what_all_share_is_seen_where_most_nodes_are_dead() -> None:
    """Of ten counters six never report: the other four are the network, in errors and in levels."""
    draws, days = np.random.default_rng(5), 150
    times = START + np.arange(24 * days) * HOUR
    residuals, seen = draws.normal(size=(len(times), 10)), np.exp(draws.normal(0, 0.1, (len(times), 10)))
    residuals[24 * 140:], seen[24 * 140:] = residuals[24 * 140:] - 0.8, 0.6 * seen[24 * 140:]
    residuals[:, 4:], seen[:, 4:] = np.nan, np.nan
    levels = np.stack([seen, np.ones_like(seen)], axis=1)
    levels[:, 1, 4:] = np.nan
    first = slice(0, 24 * 130)
    monitor = Monitor.fit(residuals[first], times[first], seed=1, levels=levels[first])
    found = monitor.observe(times[24 * 130:], residuals[24 * 130:], levels=levels[24 * 130:])
    alike = [one for one in found if len(one.nodes) + one.others >= 4 and one.direction == "down"]
    assert alike and min(one.time for one in alike) <= times[24 * 142]
    assert any(one.details.get("form") == "weeks before" for one in alike)
    assert np.isfinite(monitor.calibration.scan.limits[:, -3:]).any()


def test_what_comes_back_to_normal_is_no_news() -> None:
    changed = World.of(5, 330, width=lambda day: 1 - at(1, 0.5)(day) + at(1, 0.5, 300)(day))
    found = [one for one in changed.watched(changed.fit(FITTED, 1.0), FITTED, 329) if one.channel == "calibration"]
    assert {one.direction for one in found if one.nodes == ("b",)} == {"narrow"}
    confidence = IntervalCalibration()
    surroundings = CovariateShift(("x",), *[np.zeros((5, 1))] * 2, np.eye(5), np.ones(5, bool))
    assert confidence.is_alarm(0.7, 0.5, 0.5) and confidence.is_alarm(0.3, 0.5, 0.5)
    assert not confidence.is_alarm(0.5, 0.7, 0.5)
    assert surroundings.is_alarm(2.0, 1.0, 0.99)
    assert not surroundings.is_alarm(2.0, 1.0, 0.5) and not surroundings.is_alarm(1.0, 2.0, 0.99)


def test_evidence_states_its_windows() -> None:
    changed = World.of(3, END, width=lambda day: 1 - everywhere(0.35)(day), missed=at(0, 1.5))
    found = [one for one in changed.watched(changed.fit(FITTED, 1.0), FITTED, END - 1) if day_of(one) >= ONSET]
    assert {one.channel for one in found} >= {"error", "calibration"}
    for one in found:
        windows = one.windows
        assert windows is not None
        assert windows.reference[0] == changed.times[0, 0] and windows.reference[1] <= START + FITTED * DAY
        assert windows.current[1] == one.time + HOUR and windows.before[1] == windows.current[0]
        assert (windows.current[1] - windows.current[0]) / DAY in (1, 3, 7, 14)
        assert windows.overlap == 0.0 and windows.before[0] >= windows.current[0] - 56 * DAY
        assert "0 % of it in the reference" in windows.words and windows.to_json()["overlap"] == 0.0


def test_restarts_change_nothing_and_rows_count_once(same_trees: Callable) -> None:
    changed = World.of(3, END, moved=everywhere(3.0), width=lambda day: 1 - at(1, 0.5)(day))
    state = changed.fit(FITTED, 1.0).state()
    whole, parted = Monitor.restore(state), Monitor.restore(state)
    same_trees(whole.state(), state)
    expected, found = changed.watched(whole, FITTED, END - 1), []
    for day in range(FITTED, END - 1):
        found += changed.watched(parted, day, day + 1)
        if day % 5 == 0:
            found += changed.watched(parted, day - 1, day)  # nothing later than what was seen
            parted = Monitor.restore(parted.state())
    assert {one.channel for one in expected} >= {"input", "calibration"}
    skipped = [row for row in range(LEADS) if changed.times[0, row] - changed.times[0, 0] < HOUR]
    assert skipped == [0] and found == expected
    same_trees(whole.state(), parted.state())


def test_a_monitor_without_them_is_what_it_was() -> None:
    world = World.of(3, END)
    plain = world.fit(FITTED, 1.0, pits=False, inputs=False)
    state = plain.state()
    assert plain.kinds == ("error",) and plain.variables == ()
    unknown = Monitor.restore({**state, "calibration": {**state["calibration"], "reference": None}})
    said, then = world.watched(plain, FITTED, END - 1), world.watched(unknown, FITTED, END - 1)
    assert [one.details for one in said] == [one.details for one in then] and all(one.windows is None for one in then)
    only = world.fit(FITTED, 1.0, inputs=False)
    assert only.kinds == ("error", "calibration") and only.variables == ()


def test_a_new_champion_forgets_intervals_but_not_the_context(calm: World) -> None:
    monitor = calm.fit(FITTED, 1.0)
    calm.watched(monitor, FITTED, ONSET)
    monitor.restart()
    context, intervals = monitor.state()["_channels"]["past"]  # type: ignore[index]
    assert np.isfinite(context).all() and np.isnan(intervals).all()


def test_features_by_hand() -> None:
    time = START + np.arange(48) * HOUR
    values = np.stack([5 + np.cos(np.arange(48) * np.pi / 12), np.full(48, 7.0), np.full(48, np.nan)], axis=1)
    values[:12, 1] = np.nan
    panel = xr.Dataset(dict.fromkeys(("x", "d.w"), (("time", "node"), values)), {"time": time, "node": list("abc")})
    made = dict(zip(CovariateShift(("x", "d.w", "gone"), *[np.zeros((9, 3))] * 2, np.eye(9), np.ones(9, bool)).names,
                    features(panel, ("x", "d.w", "gone")), strict=True))
    np.testing.assert_allclose(made["level"], [5.0, 7.0, np.nan])
    np.testing.assert_allclose(made["spread"][:2], [0.5**0.25, 0.0], atol=1e-9)
    np.testing.assert_allclose(made["share missing"], [0.0, 0.25, 1.0])
    assert made["daily swing"][0] == pytest.approx(1.0) and np.isnan(made["roughness"][1])
    assert made["level of d.w"][0] == 5.0 and np.isnan(made["level of gone"]).all()
    frozen = CovariateShift.fit(np.random.default_rng(0).normal(size=(60, 9, 3)), ("x", "d.w", "gone"))
    assert np.isnan(frozen.distances(frozen.standardised(np.full((1, 9, 3), np.nan)))).all()
    context = np.zeros((1, 9, 3))
    context[0, frozen.names.index("share missing"), 1] = 0.5
    assert np.isnan(frozen.distances(frozen.standardised(context))[0]).tolist() == [False, True, False]


def test_where_labels_fall_by_hand() -> None:
    quantiles = (0.1, 0.5, 0.9)
    values = np.array([[0.0, 1.0, 2.0]] * 5)
    fell = pit(values, np.array([-1.0, 0.5, 1.0, 3.0, np.nan]), quantiles)
    np.testing.assert_allclose(fell, [0.05, 0.3, 0.5, 0.95, np.nan])
    assert 0.3 < pit(np.zeros((1, 3)), np.zeros(1), quantiles)[0] < 0.7  # all quantiles at the label: the middle


def test_levels_of_a_short_past_are_compared_by_means_and_of_a_long_one_by_medians() -> None:
    """Of few blocks nobody can tell how far two strange days may go together."""
    draws = np.random.default_rng(2)
    for days, medians in ((120, False), (300, True)):
        times = START + np.arange(24 * days) * HOUR
        seen = np.exp(draws.normal(0, 0.1, (len(times), 1)))
        monitor = Monitor.fit(draws.normal(size=(len(times), 1)), times, seed=1,
                              levels=np.stack([seen, np.ones_like(seen)], axis=1))
        assert monitor._channels is not None
        used = np.isfinite(monitor._channels.scan.limits[:, -2])
        assert used.tolist() == [not medians] * 4 + [medians] * 3
