"""How a stream changed, against counting by hand; and what sort of change the monitor makes of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.changes import change_in, steady_change
from adapt.monitor import Monitor

HOUR = np.timedelta64(1, "h")


@given(st.lists(st.one_of(st.floats(-9, 9), st.just(float("nan"))), max_size=30))
def test_the_best_split_is_the_best_of_all(values):
    past = np.array(values, float)
    step, age = change_in(past)
    seen = past[np.isfinite(past)]
    if len(seen) < 4:
        assert step == 0 and age == len(past)
        return
    tried = {k: seen[k:].mean() - seen[:k].mean() for k in range(2, len(seen) - 1)}
    worth = {k: abs(moved) * np.sqrt(k * (len(seen) - k)) for k, moved in tried.items()}
    kept = np.isfinite(past[len(past) - age:]).sum()
    assert worth[len(seen) - kept] >= max(worth.values()) - 1e-9
    assert step == pytest.approx(tried[len(seen) - kept], abs=1e-9)
    assert steady_change(past, age)[0] == pytest.approx(step, abs=1e-9)


def test_too_short_is_no_change():
    assert steady_change(np.array([1.0, 2.0, np.nan]), 1) == (0.0, 0.0)
    assert steady_change(np.full(9, np.nan), 4) == (0.0, 0.0)


def slow(seed, days, memory=0.93):
    """One common and four own slow swings, hourly: days differ in level, and the more so when errors grow."""
    draws = np.random.default_rng(seed)
    swings = draws.normal(size=(24 * days, 5)) * np.sqrt(1 - memory**2)
    for row in range(1, len(swings)):
        swings[row] += memory * swings[row - 1]
    return 0.9 * swings[:, :1] + 0.4 * swings[:, 1:] + 0.2 * draws.normal(size=(24 * days, 4))


def test_errors_that_grow_slowly_swinging_are_a_scale_and_shifts_a_level():
    start = np.datetime64("2020-01-01", "ns")
    reference = slow(0, 250)
    times = start + np.arange(len(reference) + 24 * 60) * HOUR
    state = Monitor.fit(reference, times[:len(reference)], seed=2).state()
    said = {"scale": [], "level": []}
    for seed in range(1, 9):
        for sort, change in (("scale", lambda x: 2.5 * x), ("level", lambda x: x + 1.5)):
            later = slow(seed, 60)
            later[24 * 20:, 1] = change(later[24 * 20:, 1])
            found = Monitor.restore(state).observe(times[len(reference):], later)
            said[sort] += [one.sort for one in found if one.nodes == ("1",)][:1]
    for sort, heard in said.items():
        assert len(heard) >= 6 and heard.count(sort) >= 0.7 * len(heard)
