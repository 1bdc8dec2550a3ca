"""Tracked levels: harmless on a perfect base, cover a drifting world, learn only what matured, go on to the bit."""

import time
from statistics import NormalDist

import numpy as np
import pytest

from terracast.adapt.correction.quantile_tracking import CalibrationError, QuantileTracker, Rates, lead_groups
from terracast.adapt.evaluation.scores import crps, inside
from terracast.streams.storage.tree import pack, unpack

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NORMAL = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])


def serve(base, labels, rates=None, every=6):
    """Issue every ``every`` hours; each label is learned once, at the first issue after its own time."""
    issues, horizon, nodes, _ = base.shape
    calibration = QuantileTracker(nodes, horizon, QUANTILES, rates)
    served = np.empty_like(base)
    for now in range(issues):
        for then in range(max(0, now - -(-horizon // every)), now):
            first = (now - then - 1) * every
            fresh = np.full((horizon, nodes), np.nan)
            fresh[first:first + every] = labels[then, first:first + every]
            calibration.learn(base[then], fresh)
        served[now] = calibration.apply(base[now])
    return served, calibration


def world(seed, issues=1200, horizon=12, nodes=3, every=6):
    """Standard normal hours, cut into overlapping horizons: labels (issue, lead, node) and a perfect base."""
    draws = np.random.default_rng(seed)
    hours = draws.normal(size=(issues * every + horizon + 1, nodes))
    at = np.arange(issues)[:, None] * every + 1 + np.arange(horizon)
    base = np.broadcast_to(NORMAL, (issues, horizon, nodes, len(NORMAL))).copy()
    return hours, at, base


def test_harmless_when_the_base_is_perfect():
    hours, at, base = world(0)
    served, _ = serve(base, hours[at])
    ratio = crps(served, hours[at], QUANTILES).mean() / crps(base, hours[at], QUANTILES).mean()
    assert ratio <= 1.01


def test_identity_before_anything_was_learned():
    _, _, base = world(1, issues=1)
    assert (QuantileTracker(3, 12, QUANTILES).apply(base[0]) == base[0]).all()


def test_every_level_is_kept_while_the_world_drifts():
    hours, at, base = world(2, issues=1600)
    drift = np.linspace(0, 1, len(hours))[:, None]  # in 400 days errors grow by a half, and those above the
    hours = hours * (1 + drift / 2) * np.where((hours > 0) & (drift > 0.5), 1.25, 1.0)  # median at once by a quarter
    labels = hours[at]
    served, _ = serve(base, labels)
    late = slice(200, None)  # after the first weeks
    assert 0.77 <= inside(served[late], labels[late], QUANTILES).mean() <= 0.82
    below = (labels[late, ..., None] <= served[late]).mean(axis=(0, 1, 2))
    assert below == pytest.approx(QUANTILES, abs=0.03)
    assert inside(base[late], labels[late], QUANTILES).mean() < 0.68
    assert (served[..., 5] == base[..., 5]).all()  # the median is somebody else's
    assert crps(served, labels, QUANTILES).mean() < 0.99 * crps(base, labels, QUANTILES).mean()


def test_quantiles_never_cross_and_scale_does_not_matter():
    hours, at, base = world(3, issues=300)
    labels = 2 * hours[at] + 0.3
    served, _ = serve(base, labels)
    assert (np.diff(served, axis=-1) >= 0).all()
    other, _ = serve(1000 * base, 1000 * labels)
    assert other == pytest.approx(1000 * served, rel=1e-6, abs=1e-6)


def test_order_of_late_issues_does_not_leak_and_missing_labels_teach_nothing():
    hours, at, base = world(4, issues=60)
    labels = 2 * hours[at]
    poisoned = labels.copy()
    poisoned[40:] = 1e9  # labels of later issues cannot touch what is served before them
    clean, poison = serve(base[:41], labels[:41])[0], serve(base[:41], poisoned[:41])[0]
    assert (clean == poison).all()
    calibration = QuantileTracker(3, 12, QUANTILES)
    before = calibration.state()
    calibration.learn(base[0], np.full((12, 3), np.nan))
    after = calibration.state()
    assert all((before[name] == after[name]).all() for name in ("_offsets", "_common"))


def test_a_node_without_labels_is_left_alone():
    hours, at, base = world(5, issues=200)
    labels = 3 * hours[at]
    labels[..., 1] = np.nan
    served, _ = serve(base, labels)
    assert (served[:, :, 1] == base[:, :, 1]).all()
    assert served[-1, 0, 0, -1] > 2 * base[-1, 0, 0, -1]


def test_state_goes_on_to_the_bit():
    hours, at, base = world(6, issues=80)
    one, other = (QuantileTracker(3, 12, QUANTILES, Rates(interval=0.1)) for _ in range(2))
    for now in range(80):
        for calibration in (one, other):
            if now > 2:
                calibration.learn(base[now - 2], hours[at][now - 2])
        assert (one.apply(base[now]) == other.apply(base[now])).all()
        if now % 7 == 0:
            other = QuantileTracker.restore(unpack(pack(other.state())))


def test_one_quantile_or_no_width_is_harmless():
    calibration = QuantileTracker(2, 3, (0.5,))
    base = np.ones((3, 2, 1))
    for _ in range(50):
        calibration.apply(base)
        calibration.learn(base, np.full((3, 2), 5.0))
    assert calibration.apply(base) == pytest.approx(base, abs=1e-6)


def test_cost_is_constant_and_small():
    hours, at, base = world(7, issues=40, horizon=24, nodes=12)
    calibration = QuantileTracker(12, 24, QUANTILES)
    spent = []
    for number in range(40):
        calibration.apply(base[number])
        begun = time.thread_time()
        calibration.learn(base[number], hours[at][number])
        spent.append(time.thread_time() - begun)
    assert min(spent[20:]) < 2 * min(spent[:20])  # the best of twenty, for other work may run beside
    assert min(spent) < 6e-3  # about 0.6 ms on an idle core


def test_groups_and_errors():
    assert lead_groups(1).tolist() == [0]
    with pytest.raises(CalibrationError, match="calibration of its own"):
        QuantileTracker(3, 12, QUANTILES).apply(np.zeros((12, 2, 11)))
    with pytest.raises(CalibrationError, match="NaN where none came"):
        QuantileTracker(1, 2, (0.5,)).learn(np.zeros((2, 1, 1)), np.zeros(2))
