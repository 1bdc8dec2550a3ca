"""ResidualRidge: a ridge equal to the textbook's, blind to the future, harmless where it knows nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.correction.residual_ridge import FEWEST_PAIRS, SHARE, ResidualRidge, RidgeTerms
from terracast.stfm.forecaster import Request

HOUR = np.timedelta64(1, "h")
LEADS, NODES = 6, 3


def panel_of(values: np.ndarray) -> xr.Dataset:
    time = pd.date_range("2020-01-01", periods=len(values), freq="h").to_numpy().astype("datetime64[ns]")
    return xr.Dataset({"x": (("time", "node"), values)}, {"time": time, "node": [f"n{i}" for i in range(NODES)]})


def walked(half_life: float = 1e9, pairs: int = 400) -> tuple[ResidualRidge, list[tuple[np.ndarray, ...]]]:
    """A series whose base forecast is off by what its window tells; stacking fed with every closed forecast."""
    random = np.random.default_rng(0)
    values = np.cumsum(random.normal(size=(pairs + 80, NODES)), axis=0) * 0.1 + 5
    panel, residual_ridge = panel_of(values), ResidualRidge(RidgeTerms(5.0, 1.0, half_life, 1e-3), LEADS)
    fed = []
    for row in range(60, 60 + pairs):
        request = Request("x", panel["time"].values[row], LEADS, HOUR)
        median = np.repeat(values[row][None], LEADS, axis=0)
        features = residual_ridge.features(panel, request, median)
        labels = median + 0.5 * (values[row] - values[row - 1]) + 0.01 * random.normal(size=(LEADS, NODES))
        residual_ridge.learn(features, median, labels)
        fed.append((features, median, labels))
    return residual_ridge, fed


def test_correction_equals_a_weighted_ridge_solved_from_the_data() -> None:
    residual_ridge, fed = walked(half_life=100.0)
    scaled = np.arcsinh
    weights = [0.5 ** ((len(fed) - 1 - at) / 100.0) for at in range(len(fed))]
    inputs = np.concatenate([np.sqrt(w) * features for w, (features, _, _) in zip(weights, fed, strict=True)])
    left = np.concatenate([np.sqrt(w) * np.clip(scaled(labels - 5) - scaled(median - 5), -2, 2).T
                           for w, (_, median, labels) in zip(weights, fed, strict=True)])
    gram = inputs.T @ inputs
    ridge = 1e-3 * np.trace(gram) / len(gram) + 1e-9
    solved = np.linalg.lstsq(np.vstack([inputs, np.sqrt(ridge) * np.eye(len(gram))]),
                             np.vstack([left, np.zeros((len(gram), LEADS))]), rcond=None)[0]
    features, median, _ = fed[-1]
    expected = median + SHARE * (5 + np.sinh(scaled(median - 5) + (features @ solved).T) - median)
    served = residual_ridge.apply(median[..., None], median, features)[..., 0]
    np.testing.assert_allclose(served, expected, atol=1e-6)


def test_it_takes_half_of_an_error_that_the_window_tells() -> None:
    residual_ridge, fed = walked()
    moved, told = (np.stack(parts) for parts in zip(*(
        (residual_ridge.apply(median[..., None], median, features)[..., 0] - median, labels - median)
        for features, median, labels in fed[-100:]), strict=True))
    assert np.corrcoef(moved.ravel(), told.ravel())[0, 1] > 0.8
    np.testing.assert_allclose((moved * told).sum() / (told**2).sum(), SHARE, atol=0.15)


def test_what_comes_after_the_issue_time_is_not_read() -> None:
    values = np.random.default_rng(1).normal(size=(100, NODES))
    poisoned = values.copy()
    poisoned[61:] = 1e6
    request = Request("x", panel_of(values)["time"].values[60], LEADS, HOUR)
    residual_ridge, median = ResidualRidge(RidgeTerms(0.0, 1.0, 100.0), LEADS), np.zeros((LEADS, NODES))
    np.testing.assert_array_equal(residual_ridge.features(panel_of(values), request, median),
                                  residual_ridge.features(panel_of(poisoned), request, median))


def test_without_pairs_or_values_the_base_is_served_as_it_is() -> None:
    values = np.random.default_rng(2).normal(size=(100, NODES))
    values[:, 1] = np.nan
    request = Request("x", panel_of(values)["time"].values[60], LEADS, HOUR)
    fresh, median = ResidualRidge(RidgeTerms(0.0, 1.0, 100.0), LEADS), np.zeros((LEADS, NODES))
    features = fresh.features(panel_of(values), request, median)
    assert np.isnan(features[1]).any() and np.isfinite(features[[0, 2]]).all()
    fan = np.linspace(-1, 1, 5) + np.zeros((LEADS, NODES, 1))
    np.testing.assert_array_equal(fresh.apply(fan, median, features), fan)
    learnt, _ = walked(pairs=FEWEST_PAIRS)
    served = learnt.apply(fan, median, features)
    np.testing.assert_array_equal(served[:, 1], fan[:, 1])
    assert np.isfinite(served).all()


def test_a_restart_goes_on_to_the_bit(same_trees: Callable[[object, object], None]) -> None:
    steady, fed = walked(half_life=50.0, pairs=200)
    again = ResidualRidge.restore(steady.state())
    for features, median, labels in fed[:20]:
        steady.learn(features, median, labels)
        again.learn(features, median, labels)
    same_trees(steady.state(), again.state())
