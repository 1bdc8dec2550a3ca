"""Boosted trees among the experts: the same as scikit-learn's, no peeking, exact restart, hindcasts that teach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.correction.experts.boosted_trees import BoostedTrees
from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts
from terracast.adapt.correction.experts.tree_expert import TreeFeatures
from terracast.adapt.correction.hindcasts import Hindcasts
from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.correction.rehearsal import begin_rehearsed
from terracast.stfm.forecaster import Request
from terracast.streams.storage.tree import pack, unpack

HOUR = 3600 * 10**9
RECIPE = ExpertConfig.usual(24, 6, 24 * 60, 2, trees=HOUR)
LEVELS = (0.1, 0.5, 0.9)


def _stream(days: int, seed: int = 0) -> np.ndarray:
    """Two streets whose rush hours are missing on Sundays, which no line over lags can say."""
    draws = np.random.default_rng(seed)
    hour, day = np.arange(24 * days) % 24, np.arange(24 * days) // 24 % 7
    busy = np.exp(-((hour - 8) ** 2) / 8) + np.exp(-((hour - 17) ** 2) / 8)
    return np.asarray((busy * (day != 6))[:, None] * [5.0, 2.0] + 0.1 * draws.normal(size=(24 * days, 2)))


def test_frozen_trees_say_what_scikit_learn_says() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor  # a second

    draws = np.random.default_rng(3)
    x = draws.normal(size=(3000, 4))
    x[draws.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + draws.normal(size=3000)
    model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=40, learning_rate=0.08, max_leaf_nodes=31,
                                          early_stopping=False, random_state=0).fit(x, y)
    np.testing.assert_allclose(BoostedTrees.fit(x, y, rounds=40).predict(x), model.predict(x), rtol=0, atol=1e-12)


def _points(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    return _points_of(Experts.begin(values[:start], 0, 6, RECIPE), values, start, stop)


def _points_of(experts: Experts, values: np.ndarray, start: int, stop: int) -> np.ndarray:
    found = []
    for row in values[start:stop]:
        found.append(experts.points())
        experts.observe(row)
    return np.stack(found)


@pytest.mark.usefixtures("few_trees")
def test_poison_after_t_leaves_every_point_up_to_t() -> None:
    clean = _stream(40)
    poisoned = clean.copy()
    at = 24 * 30 + 100
    poisoned[at:] = 1e12
    one, other = _points(clean, 24 * 30, at + 30), _points(poisoned, 24 * 30, at + 30)
    np.testing.assert_array_equal(one[:at + 1 - 24 * 30], other[:at + 1 - 24 * 30])


def test_trees_see_what_no_line_sees() -> None:
    values = _stream(90)
    start = 24 * 60
    experts = Experts.begin(values[:start], 0, 6, RECIPE)
    said = _points_of(experts, values, start, start + 24 * 20)
    labels = np.stack([values[row:row + 6] for row in range(start, start + 24 * 20)])
    mae = dict(zip(experts.names, np.abs(said - labels[:, None]).mean(axis=(0, 2, 3)), strict=True))
    assert mae["trees"] < 0.9 * min(error for name, error in mae.items() if name.startswith("ridge-lags"))


@pytest.mark.usefixtures("few_trees")
def test_restart_goes_on_to_the_bit_while_trees_grow(same_trees: Callable[[object, object], None]) -> None:
    values = _stream(42)  # trees grow with the tenth day after the thirtieth
    one = Experts.begin(values[:24 * 30], 0, 6, RECIPE)
    grown_at, trees = [], one.trees._trees
    twin = Experts.restore(unpack(pack(one.state())))
    for number, row in enumerate(values[24 * 30:]):
        if number % 37 == 0:
            np.testing.assert_array_equal(one.points(), twin.points())
            twin = Experts.restore(unpack(pack(twin.state())))
        one.observe(row)
        twin.observe(row)
        if one.trees._trees is not trees:
            grown_at.append(number)
            trees = one.trees._trees
    assert grown_at  # else nothing was tried
    same_trees(one.state(), twin.state())


@pytest.mark.usefixtures("few_trees")
def test_growing_makes_a_checkpoint_so_that_a_restart_grows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = _stream(60)
    experts = Experts.begin(values[:24 * 30], 0, 6, RECIPE)
    fits, fit = [], BoostedTrees.fit
    monkeypatch.setattr(BoostedTrees, "fit", lambda *given, **named: fits.append(1) or fit(*given, **named))
    for row in values[24 * 30:]:
        experts.observe(row)
        before = len(fits)
        if before:
            Experts.restore(experts.state())
            assert len(fits) == before
            return
    raise AssertionError("no trees were grown")


@pytest.mark.parametrize("leads", [1, 30, 200, 400])
def test_features_read_nothing_after_the_origin(leads: int) -> None:
    features = TreeFeatures.of(HOUR, 24, 24 * 100, leads)
    draws = np.random.default_rng(0)
    scaled = draws.normal(size=(features.lookback + leads, 2))
    at = np.full(leads, features.lookback - 1)
    lead, node = np.arange(1, leads + 1), np.zeros(leads, int)
    one, _ = features.read(scaled, at, lead, node, at)
    scaled[features.lookback:] = np.nan
    other, _ = features.read(scaled, at, lead, node, at)
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()


def _panel(values: np.ndarray) -> xr.DataArray:
    stamps = np.datetime64("2020-01-06", "ns") + np.arange(len(values)) * np.timedelta64(1, "h")
    return xr.DataArray(values, dims=("time", "node"), coords={"time": stamps, "node": ["a", "b"]})


@pytest.mark.usefixtures("few_trees")
def test_hindcasts_teach_the_weights_and_nothing_is_spent_of_what_they_gained() -> None:
    values = _stream(60)
    known = _panel(values)
    issues = np.arange(24 * 35, 24 * 59, 6)
    wrong = np.full((len(issues), 6, 2, 3), 9.0) + np.array([-1.0, 0.0, 1.0])
    request = Request("x", known["time"].values[-1], 6, np.timedelta64(1, "h"), LEVELS)
    cold = Mixture.begin(known, request, per_issue=6)
    warm = begin_rehearsed(known, request, per_issue=6, hindcasts=Hindcasts(known["time"].values[issues], wrong))
    for mixture in (cold, warm):
        mixture.apply(known, request, wrong[0])
    assert warm.weights()["base"] < 0.2 * cold.weights()["base"]
    assert warm.weights()["trusted"] == cold.weights()["trusted"] == 0.0
    assert warm.stream.experts.newest == cold.stream.experts.newest


@pytest.mark.usefixtures("few_trees")
def test_hindcasts_read_no_label_before_it_came() -> None:
    values = _stream(60)
    poisoned = values.copy()
    poisoned[24 * 58:] = 1e6
    issues = np.arange(24 * 50, 24 * 58, 6)
    base = np.zeros((len(issues), 6, 2, 3)) + np.array([-1.0, 0.0, 1.0])
    found = []
    for one in (values, poisoned):
        known = _panel(one)
        request = Request("x", known["time"].values[24 * 58 - 1], 6, np.timedelta64(1, "h"), LEVELS)
        mixture = begin_rehearsed(known, request, per_issue=6, hindcasts=Hindcasts(known["time"].values[issues], base))
        found.append(mixture.apply(known, request, base[0]))
    np.testing.assert_array_equal(*found)
