"""The bank against river itself, and its state against never having stopped."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from adapt.monitoring.detectors import DetectorError, RiverBank

SETTINGS = {"adwin": {"delta": 0.01, "clock": 1}, "page_hinkley": {"threshold": 8.0},
            "kswin": {"alpha": 0.001, "window_size": 40, "stat_size": 12, "seed": 5}}
RIVER = {"adwin": drift.ADWIN, "page_hinkley": drift.PageHinkley, "kswin": drift.KSWIN}


def stream(seed, steps, nodes=3):
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(steps, nodes))
    values[steps // 2:, 0] += 3
    values[draws.random(values.shape) < 0.1] = np.nan
    return values


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_flags_are_rivers_own(kind):
    values = stream(0, 300)
    bank = RiverBank(kind, 3, **SETTINGS[kind])
    flags = np.array([bank.update(row) for row in values])
    for node in range(3):
        alone, expected = RIVER[kind](**SETTINGS[kind]), []
        for value in values[:, node]:
            if np.isfinite(value):
                alone.update(value)
            expected.append(bool(np.isfinite(value) and alone.drift_detected))
        assert flags[:, node].tolist() == expected
    assert flags[150:, 0].any()


def through_plain_data(state):
    """Through JSON for all but arrays, and through bytes for arrays: what a store does."""
    if isinstance(state, dict):
        return {name: through_plain_data(value) for name, value in state.items()}
    if isinstance(state, np.ndarray):
        return np.frombuffer(state.tobytes(), state.dtype).reshape(state.shape).copy()
    return json.loads(json.dumps(state))


@pytest.mark.parametrize("kind", sorted(SETTINGS))
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 159), max_size=3))
@settings(max_examples=15, deadline=None)
def test_restored_is_never_interrupted(kind, seed, cuts):
    one = RiverBank(kind, 3, **SETTINGS[kind])
    other = RiverBank(kind, 3, **SETTINGS[kind])
    for step, row in enumerate(stream(seed, 160)):
        if step in cuts:
            other = RiverBank.restore(through_plain_data(other.state()))
        assert one.update(row).tolist() == other.update(row).tolist()
    left, right = one.state(), other.state()
    for name, column in left["detectors"].items():
        assert column["values"].tobytes() == right["detectors"][name]["values"].tobytes()


def test_reset_forgets_only_the_nodes_asked():
    values = stream(1, 80)
    bank, fresh = RiverBank("adwin", 3, **SETTINGS["adwin"]), RiverBank("adwin", 3, **SETTINGS["adwin"])
    for row in values:
        bank.update(row)
    bank.reset(np.array([True, False, True]))
    for name, column in bank.state()["detectors"].items():
        rows = np.split(column["values"], column["stops"][:-1])
        empty = np.split(fresh.state()["detectors"][name]["values"], fresh.state()["detectors"][name]["stops"][:-1])
        assert rows[0].tobytes() == empty[0].tobytes() and rows[2].tobytes() == empty[2].tobytes()
        if name == "window":
            assert rows[1].tobytes() != empty[1].tobytes()
    bank.reset()
    assert (bank.state()["detectors"]["window"]["values"] == fresh.state()["detectors"]["window"]["values"]).all()


def test_errors_say_what_is_expected():
    with pytest.raises(DetectorError, match="one of adwin"):
        RiverBank("cusum", 2)
    with pytest.raises(DetectorError, match="one value a node"):
        RiverBank("adwin", 2).update(np.zeros(3))
