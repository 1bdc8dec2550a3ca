"""Losses against independent references."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.adapt.evaluation.scores import crps, inside, level, residual
from terracast.stfm.forecaster import QUANTILES


def test_crps_equals_scoringrules() -> None:
    scoringrules = pytest.importorskip("scoringrules")
    random = np.random.default_rng(0)
    values = np.sort(random.normal(size=(40, len(QUANTILES))), axis=1)
    labels = random.normal(size=40)
    expected = scoringrules.crps_quantile(labels, values, np.array(QUANTILES))
    np.testing.assert_allclose(crps(values, labels, QUANTILES), expected, rtol=1e-12)


def test_crps_of_a_dense_normal_is_its_closed_form() -> None:
    from scipy.stats import norm

    levels = (np.arange(2000) + 0.5) / 2000
    label = np.array([0.7])
    closed = 0.7 * (2 * norm.cdf(0.7) - 1) + 2 * norm.pdf(0.7) - 1 / np.sqrt(np.pi)
    assert crps(norm.ppf(levels)[None], label, tuple(levels))[0] == pytest.approx(closed, abs=1e-3)


def test_levels_are_interpolated_and_nan_labels_stay_nan() -> None:
    values = np.array([[0.0, 10.0, 20.0]])
    assert level(values, (0.1, 0.5, 0.9), 0.3)[0] == pytest.approx(5.0)
    assert np.isnan(inside(values, np.array([np.nan]), (0.1, 0.5, 0.9))[0])
    assert inside(values, np.array([20.0]), (0.1, 0.5, 0.9))[0] == 1.0
    assert inside(values, np.array([20.1]), (0.1, 0.5, 0.9))[0] == 0.0


def test_residuals_of_a_calibrated_normal_forecast_are_standard() -> None:
    from scipy.stats import norm

    random = np.random.default_rng(1)
    spread = random.uniform(0.5, 5.0, size=20000)
    values = spread[:, None] * norm.ppf(np.array(QUANTILES))
    z = residual(values, spread * random.normal(size=20000), QUANTILES)
    assert z.mean() == pytest.approx(0.0, abs=0.03)
    assert z.std() == pytest.approx(1.0, abs=0.03)
