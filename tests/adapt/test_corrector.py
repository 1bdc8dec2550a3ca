"""The corrector against weighted least squares, and what must not teach it; levels that the network shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from terracast.adapt.correction.experts.network_residual import (
    FRESH,
    SMALLEST_MISS,
    NetworkResidual,
    network_residual_width,
    reading,
)
from terracast.adapt.correction.quantile_tracking import QuantileTracker, Rates


def _issues(number: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    draws = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        truth, ridges = draws.normal(size=(3, 4)), draws.normal(size=(2, 3, 4))
        base = truth + np.array([-1.0, 0.1, 1.0])[:, None, None]
        found.append((*reading(ridges, base, draws.normal(size=(2, 4)), draws.normal(size=(4, 2))), truth))
    return found


def test_first_solution_is_weighted_ridge_in_closed_form() -> None:
    issues = _issues(FRESH)
    width = network_residual_width(ridges=2, leads=3, covariates=2)
    corrector = NetworkResidual(3, width, strength=7.0)
    for read, middle, truth in issues:
        corrector.learn(read, middle, truth)
    x = np.concatenate([read for read, _, _ in issues])
    y = np.concatenate([(truth - middle).T for _, middle, truth in issues])
    root = np.sqrt(1 / (np.abs(y).mean(axis=1) + SMALLEST_MISS))[:, None]  # before any solution the middle is said
    pull = 7.0 * 4 * np.trace((root * x).T @ (root * x)) / width / (root**2).sum()
    rows = np.concatenate([root * x, np.sqrt(pull) * np.eye(width)])
    solved = np.linalg.lstsq(rows, np.concatenate([root * y, np.zeros((width, 3))]), rcond=None)[0]
    read, middle, _ = _issues(1, seed=9)[0]
    np.testing.assert_allclose(corrector.predict(read, middle), middle + (read @ solved).T, atol=1e-6)


def test_missing_labels_teach_nothing_and_a_restart_goes_on_to_the_bit(
        same_trees: Callable[[object, object], None]) -> None:
    one, two = (NetworkResidual(3, network_residual_width(2, 3, 2)) for _ in range(2))
    for read, middle, truth in _issues(FRESH - 1):  # before the first solution
        gaps = truth.copy()
        gaps[:, 3] = np.nan
        one.learn(read, middle, gaps)
        one.learn(read, middle, np.full((3, 4), np.nan))
        two.learn(read[:3], middle[:, :3], truth[:, :3])
    same_trees(one.state(), two.state())
    for number, (read, middle, truth) in enumerate(_issues(30, seed=1)):
        one.learn(read, middle, truth)
        two.learn(read, middle, truth)
        if number == 13:
            one = NetworkResidual.restore(one.state())
    same_trees(one.state(), two.state())
    assert np.abs(one.predict(read, middle) - middle).max() > 0


def test_a_shift_of_the_whole_network_is_caught_up_with_sooner_together() -> None:
    draws = np.random.default_rng(2)
    covered = {}
    for common in (0.0, 0.1):
        rates = Rates(interval=0.02, common=common)
        calibration = QuantileTracker(20, 2, (0.1, 0.5, 0.9), rates)
        base, hits = np.tile([-1.28, 0.0, 1.28], (2, 20, 1)), []
        for day in range(120):
            served = calibration.apply(base)
            labels = (1.0 if day < 60 else 2.5) * draws.normal(size=(2, 20))
            hits.append(((labels >= served[..., 0]) & (labels <= served[..., 2])).mean())
            calibration.learn(base, labels)
        covered[common] = float(np.mean(hits[70:90]))
        assert abs(np.mean(hits[20:60]) - 0.8) < 0.05
    assert covered[0.1] > covered[0.0] + 0.05
