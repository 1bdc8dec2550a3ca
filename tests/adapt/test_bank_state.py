"""The banks' contract: blocks and steps agree, state is exact, resets forget what they should."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.detection.bank.adwin import AdwinBank
from terracast.adapt.monitoring.detection.bank.adwin_window import rows_for
from terracast.adapt.monitoring.detection.bank.contract import DetectorError
from terracast.adapt.monitoring.detection.bank.kswin import KswinBank
from terracast.adapt.monitoring.detection.bank.page_hinkley import PageHinkleyBank

BANKS = [(AdwinBank, {"clock": 1, "delta": 0.05}), (AdwinBank, {"max_buckets": 3}),
         (PageHinkleyBank, {"threshold": 8.0, "min_instances": 5}),
         (KswinBank, {"alpha": 0.02, "window_size": 40, "stat_size": 10})]


def stream(seed, steps, nodes=4):
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(steps, nodes))
    values[steps // 2:, 0] += 3
    values[draws.random(values.shape) < 0.1] = np.nan
    return values


def through_plain_data(state):
    """Through JSON for all but arrays, and through bytes for arrays: what a store does."""
    if isinstance(state, dict):
        return {name: through_plain_data(value) for name, value in state.items()}
    if isinstance(state, np.ndarray):
        return np.frombuffer(state.tobytes(), state.dtype).reshape(state.shape).copy()
    return json.loads(json.dumps(state))


def same(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        if isinstance(value, np.ndarray):
            assert value.shape == right[name].shape and value.tobytes() == right[name].tobytes(), name
        else:
            assert value == right[name]


@pytest.mark.integration
@pytest.mark.parametrize(("bank", "chosen"), BANKS)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 120), max_size=4))
@settings(max_examples=25, deadline=None)
def test_cuts_and_restarts_change_nothing(bank, chosen, seed, cuts):
    values = stream(seed, 300)
    whole, steps, parted = bank(4, **chosen), bank(4, **chosen), bank(4, **chosen)
    expected = whole.update_many(values)
    assert [steps.update(row).tolist() for row in values] == expected.tolist()
    found, row = [], 0
    for cut in [*cuts, len(values)]:
        found += parted.update_many(values[row:row + cut]).tolist()
        row = min(row + cut, len(values))
        parted = bank.restore(through_plain_data(parted.state()))
    assert found == expected.tolist()
    same(parted.state(), whole.state())
    same(steps.state(), whole.state())


@pytest.mark.parametrize(("bank", "chosen"), BANKS)
def test_reset_forgets_only_the_nodes_asked(bank, chosen):
    values = stream(1, 100)
    used, kept, fresh = bank(4, **chosen), bank(4, **chosen), bank(4, **chosen)
    used.update_many(values)
    kept.update_many(values)
    mask = np.array([True, False, True, False])
    used.reset(mask)
    later = stream(2, 400)
    flags = used.update_many(later)
    assert (flags[:, ~mask] == kept.update_many(later)[:, ~mask]).all()
    assert (flags[:, mask] == fresh.update_many(later)[:, mask]).all()
    used.reset()
    same(used.state(), bank(4, **chosen).state())


@pytest.mark.parametrize(("bank", "chosen"), BANKS)
def test_nothing_seen_and_nobody_watched(bank, chosen):
    silent = bank(3, **chosen)
    assert not silent.update_many(np.full((50, 3), np.nan)).any()
    same(silent.state(), bank(3, **chosen).state())
    nobody = bank(0, **chosen)
    assert nobody.update_many(np.zeros((5, 0))).shape == (5, 0) and nobody.update(np.zeros(0)).shape == (0,)
    assert bank(2, **chosen).update_many(np.zeros((0, 2))).shape == (0, 2)
    bank.restore(nobody.state()).update(np.zeros(0))


def test_errors_say_what_is_expected():
    for bank, _ in BANKS:
        with pytest.raises(DetectorError, match="one value a node"):
            bank(2).update(np.zeros(3))
        with pytest.raises(DetectorError, match="one row a step"):
            bank(2).update_many(np.zeros(2))
        with pytest.raises(DetectorError, match="expected bool"):
            bank(2).reset(np.array([0, 1]))
    with pytest.raises(DetectorError, match="at least 1"):
        AdwinBank(2, clock=0)
    with pytest.raises(DetectorError, match="one of up"):
        PageHinkleyBank(2, mode="sideways")
    with pytest.raises(DetectorError, match="twice as large"):
        KswinBank(2, window_size=40, stat_size=30)


def test_memory_is_as_promised():
    values = np.random.default_rng(3).normal(size=(4000, 50))
    for bank, most in ((AdwinBank(50), 1200), (PageHinkleyBank(50), 64)):
        bank.update_many(values)
        assert bank.bytes_per_node <= most
    assert 24 + 64 * rows_for(600_000, 5) <= 1200


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_numbers_and_strides(dtype):
    values = (10 * stream(4, 200)).copy()
    values = np.nan_to_num(values).astype(dtype)
    for bank, chosen in BANKS:
        plain = bank(4, **chosen).update_many(values.astype(float))
        assert (bank(4, **chosen).update_many(np.asfortranarray(values)) == plain).all()
        assert (bank(4, **chosen).update_many(np.repeat(values, 2, axis=1)[:, ::2]) == plain).all()
