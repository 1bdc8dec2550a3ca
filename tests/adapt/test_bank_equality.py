"""The banks against river's own detectors, value by value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.detection.bank.adwin import AdwinBank
from terracast.adapt.monitoring.detection.bank.kswin import KswinBank, kswin_flags
from terracast.adapt.monitoring.detection.bank.page_hinkley import PageHinkleyBank

pytestmark = pytest.mark.integration

BANKS = {"adwin": AdwinBank, "page_hinkley": PageHinkleyBank, "kswin": KswinBank}
RIVER = {"adwin": "ADWIN", "page_hinkley": "PageHinkley", "kswin": "KSWIN"}
STEPS, NODES = 4000, 400


def rivers(kind, values, **chosen):
    """What one river detector a node says of each value that there is."""
    from river import drift  # a second

    flags = np.zeros(values.shape, bool)
    for node in range(values.shape[1]):
        detector = getattr(drift, RIVER[kind])(**chosen)
        for step, value in enumerate(values[:, node].tolist()):
            if value == value:
                detector.update(value)
                flags[step, node] = detector.drift_detected
    return flags


def varied(seed, steps, nodes):
    """A kind of stream for every node: noise, seasons, memory, jumps, ramps, heavy tails, constants, counts, hits,
    huge and tiny units, far from zero, and with gaps."""
    draws = np.random.default_rng(seed)
    time = np.arange(steps)
    noise = draws.normal(size=(steps, nodes))
    values = noise.copy()
    walk = np.zeros(nodes)
    for step in range(steps):
        walk = 0.95 * walk + noise[step]
        values[step, 1::14] = walk[1::14]
    values[:, 2::14] += 2 * np.sin(2 * np.pi * time / 24)[:, None]
    values[:, 3::14] += np.where(time[:, None] // draws.integers(200, 900, values[:, 3::14].shape[1]) % 2, 1.5, 0.0)
    values[:, 4::14] += 3 * time[:, None] / steps
    values[:, 5::14] = draws.standard_t(1.5, size=values[:, 5::14].shape)
    values[:, 6::14] = draws.choice([0.0, 1.0, 5.5, -2.0, 1e9], size=values[:, 6::14].shape[1])
    values[:, 7::14] = draws.poisson(0.3, size=values[:, 7::14].shape)
    values[:, 8::14] = draws.random(values[:, 8::14].shape) < 0.2 + 0.4 * (time > steps // 2)[:, None]
    values[:, 9::14] *= 10.0 ** draws.integers(3, 160, values[:, 9::14].shape[1])
    values[:, 10::14] *= 10.0 ** -draws.integers(3, 160, values[:, 10::14].shape[1])
    values[:, 11::14] += 10.0 ** draws.integers(6, 16, values[:, 11::14].shape[1])
    values[:, 12::14] = np.where(draws.random(values[:, 12::14].shape) < 0.01, 1e6, values[:, 12::14])
    values[draws.random(values.shape) < 0.15 * (np.arange(nodes) % 3 == 0)] = np.nan
    return values


DATA = varied(0, STEPS, NODES)
SETTINGS = [
    ("adwin", {}), ("adwin", {"clock": 1, "delta": float(np.exp(-20))}),
    ("adwin", {"delta": 0.3, "max_buckets": 2, "clock": 7, "min_window_length": 1, "grace_period": 0}),
    ("adwin", {"delta": 0.01, "max_buckets": 9, "clock": 16, "min_window_length": 20, "grace_period": 100}),
    ("page_hinkley", {}), ("page_hinkley", {"threshold": 8.0, "delta": 0.2, "min_instances": 5, "alpha": 0.99}),
    ("page_hinkley", {"threshold": 20.0, "mode": "up"}), ("page_hinkley", {"threshold": 20.0, "mode": "down"}),
]


@pytest.mark.parametrize(("kind", "chosen"), SETTINGS)
def test_flags_are_rivers_on_many_streams(kind, chosen):
    expected = rivers(kind, DATA, **chosen)
    flags = BANKS[kind](NODES, **chosen).update_many(DATA)
    assert expected.sum() > 100
    assert np.argwhere(flags != expected).tolist() == []


ODD = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=64), st.sampled_from([0.0, -1.0, 1.0, 1e300]),
                st.just(float("nan")), st.floats(-3, 3))
PIECE = st.tuples(ODD, st.floats(0, 3), st.integers(1, 60))  # level, spread, length


def drawn(pieces, seed):
    noise = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        return np.concatenate([level + spread * noise.normal(size=(length, 3)) * [1, 0, 1e-9]
                               for level, spread, length in pieces])


ADWIN = st.fixed_dictionaries({
    "delta": st.sampled_from([1e-30, 1e-4, 0.002, 0.3, 1.0, 6.0]), "clock": st.integers(1, 40),
    "max_buckets": st.integers(2, 12), "min_window_length": st.integers(1, 12), "grace_period": st.integers(0, 40)})
PAGE_HINKLEY = st.fixed_dictionaries({
    "min_instances": st.integers(0, 40), "delta": st.floats(0, 1), "threshold": st.floats(0, 60),
    "alpha": st.floats(0.5, 1), "mode": st.sampled_from(["up", "down", "both"])})


@pytest.mark.parametrize(("kind", "choice"), [("adwin", ADWIN), ("page_hinkley", PAGE_HINKLEY)])
@given(pieces=st.lists(PIECE, min_size=1, max_size=8), seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=150, deadline=None)
def test_flags_are_rivers_whatever_comes(kind, choice, pieces, seed, data):
    chosen, values = data.draw(choice), drawn(pieces, seed)
    expected = rivers(kind, values, **chosen)
    assert BANKS[kind](3, **chosen).update_many(values).tolist() == expected.tolist()


@pytest.mark.parametrize("alpha", [0.2, 0.005, 1e-4])
def test_kswin_and_its_compiled_twin_are_rivers(alpha):
    values, chosen = DATA[:220, :28], {"alpha": alpha, "window_size": 50, "stat_size": 12}
    expected = rivers("kswin", values, seed=0, **chosen)
    steps = KswinBank(28, **chosen)
    assert expected.any() and np.array([steps.update(row) for row in values]).tolist() == expected.tolist()
    assert kswin_flags(values, **chosen).tolist() == expected.tolist()
    mixed, row, found = KswinBank(28, **chosen), 0, []
    for cut in (70, 1, 1, 40, 1, 107):
        found += mixed.update_many(values[row:row + cut]).tolist()
        row += cut
    assert found == expected.tolist()
