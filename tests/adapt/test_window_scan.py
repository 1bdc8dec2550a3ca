"""The scan in time, where and what: against counting by hand, and planted changes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.detection.detector import ReferenceStatistics
from terracast.adapt.monitoring.detection.glr_scan import (
    FEWEST,
    HISTORY,
    MEANS,
    RUN,
    WINDOWS,
    WindowScan,
    differences,
    median_differences,
)
from terracast.adapt.monitoring.diagnosis.change_types import began, change_type_of
from terracast.adapt.monitoring.diagnosis.localisation import grown, localise
from terracast.benchmarks.drift.expectation import Expectation


def normal(streams, rate):
    """A reference of one kind."""
    return ReferenceStatistics(streams, np.zeros(streams.shape[1], int), np.array([rate]))


@given(st.lists(st.one_of(st.floats(-9, 9), st.just(float("nan"))), min_size=1, max_size=90), st.integers(1, 14))
@example([0.0] * 7 + [1.0, float("nan"), 0.0, 0.0], 3)  # a gap in the window
@settings(max_examples=60, deadline=None)
def test_differences_are_those_of_means(values, window):
    stream = np.array(values)
    found = differences(stream[:, None], window)[-1, 0]
    last, before = stream[-window:], stream[:-window][-HISTORY:]
    last, before = last[np.isfinite(last)], before[np.isfinite(before)]
    if len(before) < FEWEST or 2 * len(last) < window or not len(last):
        assert np.isnan(found)
        return
    sure = np.sqrt((1 / window + 1 / HISTORY) / (1 / len(last) + 1 / len(before)))
    assert found == pytest.approx((last.mean() - before.mean()) * sure, abs=1e-9)


@given(st.integers(1, 90), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_last_block_alone_is_compared_as_all_are(blocks, seed):
    draws = np.random.default_rng(seed)
    streams = np.where(draws.random((blocks, 5)) < 0.3, np.nan, draws.normal(size=(blocks, 5)))
    _, moved = WindowScan(np.ones((len(WINDOWS), 5))).latest(streams)
    for at, window in enumerate(WINDOWS):
        compared = differences if at < len(MEANS) else median_differences
        assert moved[at] == pytest.approx(compared(streams, window)[-1], abs=1e-12, nan_ok=True)


@given(st.lists(st.one_of(st.floats(-9, 9), st.just(float("nan"))), min_size=1, max_size=90), st.integers(1, 14))
@example([0.0] * 8 + [1.0, float("nan")], 2)  # half of two days says nothing
@settings(max_examples=60, deadline=None)
def test_medians_are_compared_as_by_hand(values, window):
    stream = np.array(values)
    found = median_differences(stream[:, None], window)[-1, 0]
    last, before = stream[-window:], stream[:-window][-HISTORY:]
    last, before = last[np.isfinite(last)], before[np.isfinite(before)]
    if len(before) < FEWEST or 2 * len(last) <= window:
        assert np.isnan(found)
        return
    off = sorted(last - before.mean())
    middle = sorted((off[(len(off) - 1) // 2], off[len(off) // 2]), key=abs)[0]
    across = off[(len(off) - 1) // 2] < 0 < off[len(off) // 2]
    sure = np.sqrt((1 / window + 1 / HISTORY) / (1 / len(last) + 1 / len(before)))
    assert found == pytest.approx(0.0 if across else middle * sure, abs=1e-9)


def test_one_strange_day_hides_no_new_level_and_is_none():
    """A reference with a strike now and then: two days at a new level pass where their mean could not."""
    draws = np.random.default_rng(1)
    streams = draws.normal(0, 0.1, (400, 1))
    streams[draws.choice(400, 8, replace=False)] += 1.0
    means, medians = (WindowScan.fit(ReferenceStatistics(streams, np.zeros(1, int), np.array([rates])))
                      for rates in ([0.002] * 4 + [0.0] * 3, [0.0] * 4 + [0.006, 0.0, 0.0]))
    later = np.concatenate([draws.normal(0, 0.1, (56, 1)), np.full((2, 1), 0.45)])
    assert medians.update(later).all() and not means.update(later).any()
    later[-2] = 0.0
    later[-1] = 1.5
    assert not medians.update(later).any()


def test_limits_are_passed_at_the_stated_rate():
    draws = np.random.default_rng(0)
    for tails in (draws.normal, lambda size: draws.standard_t(4, size)):
        scan = WindowScan.fit(normal(tails(size=(400, 40)), 0.002))
        passed = scan.scores(tails(size=(4000, 40)))[64:] > 1
        runs = passed[:len(passed) // RUN * RUN].reshape(-1, RUN, 40).any(axis=1)
        assert 0.0008 <= runs.mean() / RUN <= 0.004


def test_limits_from_the_other_parts_foretell_what_is_passed_later():
    draws = np.random.default_rng(5)
    reference, later = draws.standard_t(4, (365, 300)), draws.standard_t(4, (3650, 300))
    scan, rows = WindowScan.fit(normal(reference, 0.0003)), np.arange(365)
    crossed = WindowScan.crossed(normal(reference, 0.0003)).scores(rows)
    truth = (scan.scores(later)[64:] > 1).mean()
    assert (scan.scores(reference)[64:] > 1).mean() < 0.8 * truth  # in sample: fewer than there will be
    assert 0.75 * truth < (crossed[64:] > 1).mean() < 1.6 * truth


def test_a_window_longer_than_the_reference_can_tell_is_not_used():
    scan = WindowScan.fit(normal(np.random.default_rng(0).normal(size=(24, 5)), 0.01))
    assert np.isfinite(scan.limits).all(axis=1).tolist() == [True, True, True, False, False, False, False]


def test_the_culprit_is_named_and_not_its_neighbours():
    draws = np.random.default_rng(1)
    weights = draws.random((8, 8)) * (1 - np.eye(8))
    weights /= 1.05 * weights.sum(axis=1, keepdims=True)
    amounts = np.zeros(8)
    amounts[[2, 5]] = 3.0, -2.0
    found = localise((np.eye(8) - weights) @ amounts, weights, np.full(8, 0.5), np.full(8, True))
    assert found == pytest.approx({2: 3.0, 5: -2.0})
    far = np.zeros((9, 9))
    far[:8, :8] = weights
    moved = (np.eye(9) - far) @ np.append(amounts, 1.0)
    assert 8 not in localise(moved, far, np.full(9, 0.5), np.arange(9) == 2)  # moved too, but linked to nothing
    assert grown({}, np.zeros(8), weights) == {} and set(grown(found, np.zeros(8), weights)) == {2, 5}


def moments(level=0.0, gain=0.0, noise=1.0, rise=None, blocks=60, age=10, seed=0):
    """Block moments of a node that follows its neighbours, with one change ``age`` blocks before the end."""
    draws = np.random.default_rng(seed)
    rows, cycle = [], np.zeros((blocks, 2))
    for block in range(blocks):
        after = block - (blocks - age)
        swing = draws.normal() * 2
        expected = swing + draws.normal(size=24)
        moved = 0.0 if after < 0 else level if rise is None else level * min((after + 1) / rise, 1.0)
        local = draws.normal(size=24) * 0.5 * (noise if after >= 0 else 1.0) + moved
        local = local + (gain * expected if after >= 0 else 0.0)
        rows.append([local.mean(), expected.mean(), (local * expected).mean(), (expected**2).mean(), (local**2).mean()])
    return np.array(rows), cycle


@pytest.mark.parametrize(("change", "name", "direction"), [
    ({"level": 1.0}, "level", "up"), ({"level": -1.0}, "level", "down"), ({"gain": 0.4}, "scale", "wider"),
    ({"gain": -0.3}, "scale", "narrower"), ({"gain": -1.0}, "relation", "loose"), ({"noise": 3.0}, "scale", "wider"),
    ({"level": 2.0, "rise": 10, "age": 14}, "trend", "up")])
def test_sorts(change, name, direction):
    said = [change_type_of(*moments(**change, seed=seed))[0] for seed in range(5)]
    assert sum(one.name == name and one.direction == direction for one in said) >= 4


def test_when_it_began_lies_in_the_interval():
    inside = 0
    for seed in range(40):
        levels = np.random.default_rng(seed).normal(size=50)
        levels[-9:] += 1.5
        when = began(levels)
        assert when.youngest <= when.age <= when.oldest
        inside += when.youngest <= 9 <= when.oldest
    assert inside >= 34


def test_the_expectation_is_out_of_sample_and_its_state_exact():
    draws = np.random.default_rng(3)
    times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 40) * np.timedelta64(1, "h")
    values = draws.normal(size=(len(times), 3)) + 4 * np.sin(np.arange(len(times)) * np.pi / 12)[:, None]
    values[draws.random(values.shape) < 0.1] = np.nan
    crossed = Expectation.crossed(values, times)
    assert 0.9 < np.nanstd(crossed) < 1.2 and (np.isnan(crossed) == np.isnan(values)).all()
    fit = Expectation.fit(values, times)
    again = Expectation.restore(fit.state())
    assert again.residuals(values, times).tobytes() == fit.residuals(values, times).tobytes()
    poisoned = values.copy()
    poisoned[-192:] = 1e6
    assert Expectation.fit(poisoned[:-192], times[:-192]).weights.tobytes() == \
        Expectation.fit(values[:-192], times[:-192]).weights.tobytes()
