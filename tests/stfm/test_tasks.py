"""The light heads: each on real data against a plain way to do the same, and on what has a known answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stfm.forecaster import Forecaster, ForecastError, Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.stfm.tasks.anomaly import anomaly_scores
from terracast.stfm.tasks.classification import Classes, fit_classes, fit_joined
from terracast.stfm.tasks.clustering import cluster
from terracast.stfm.tasks.embedder import Embedder, PlainFeatures
from terracast.stfm.tasks.imputation import gaps_of, impute
from terracast.stfm.tasks.retrieval import similar_places

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared datasets are not here")


def _base() -> object:
    return pytest.importorskip("terracast.stfm.base.model", reason="no pre-trained base here").Base.shipped()


def _panel(values: np.ndarray, step: str = "1h") -> xr.Dataset:
    stamps = pd.date_range("2020-01-01", periods=len(values), freq=step)
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": stamps, "node": [f"n{one}" for one in range(values.shape[1])]},
                      {"domain": "test", "kind": "sensor", "step": step})


@pytest.fixture(scope="module")
def beijing() -> xr.Dataset:
    """PM2.5, temperature and wind of four stations, half a year of hours."""
    with xr.open_dataset(SHARED / "beijing_air_quality" / "beijing_air_quality.nc") as file:
        panel = file[["PM25", "TEMP", "WSPM"]].isel(time=slice(9000, 13000), node=slice(0, 4)).load()
    return panel.assign_attrs(domain="air", kind="sensor", step="1h")


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_gaps_are_exactly_the_missing_values_of_nodes_that_know_something(rows: list[list[bool]]) -> None:
    values = np.where(np.array(rows), 1.0, np.nan)
    marked = np.zeros(values.shape, bool)
    for gap in gaps_of(values):
        assert not marked[gap.start:gap.stop, gap.node].any()
        marked[gap.start:gap.stop, gap.node] = True
        assert gap.start == 0 or not np.isnan(values[gap.start - 1, gap.node])
        assert gap.stop == len(values) or not np.isnan(values[gap.stop, gap.node])
    assert np.array_equal(marked, np.isnan(values) & ~np.isnan(values).all(axis=0))


def test_imputation_leaves_what_was_observed_and_fills_the_rest() -> None:
    draws = np.random.default_rng(1)
    values = draws.normal(size=(300, 3)) + 10 * np.sin(np.arange(300) / 24 * 2 * np.pi)[:, None]
    values[:5, 0] = values[150:160, 1] = values[-4:, 2] = np.nan
    made = impute(_panel(values), "x", SeasonalNaive())
    seen = np.isfinite(values)
    assert np.array_equal(made["x"].values[seen], values[seen])
    assert np.isfinite(made["x"].values).all()
    assert np.array_equal(made["filled"].values, ~seen)
    assert (made["low"].values <= made["x"].values).all() and (made["x"].values <= made["high"].values).all()


def test_imputation_of_a_node_without_values_stays_empty() -> None:
    values = np.random.default_rng(2).normal(size=(200, 2))
    values[:, 1] = np.nan
    made = impute(_panel(values), "x", SeasonalNaive())
    assert np.isnan(made["x"].values[:, 1]).all() and not made["filled"].values[:, 1].any()


def test_imputation_refuses_a_clock_with_missing_rows() -> None:
    with pytest.raises(ForecastError, match="missing rows"):
        impute(_panel(np.ones((50, 1))).isel(time=[0, 1, 2, 5, 6]), "x", SeasonalNaive())


def _hidden(panel: xr.Dataset, name: str) -> tuple[xr.Dataset, np.ndarray, np.ndarray]:
    truth = panel[name].values.astype("float64")
    hidden = np.zeros(truth.shape, bool)
    for first in range(2000, 3900, 190):
        hidden[first:first + 12] = True
    holed = panel.assign({name: (("time", "node"), np.where(hidden, np.nan, truth))})
    return holed[[name]].isel(time=slice(500, None)), (hidden & np.isfinite(truth))[500:], truth[500:]


@needs_data
def test_the_base_imputes_real_gaps_better_than_a_straight_line(beijing: xr.Dataset) -> None:
    base = _base()
    ratios = []
    for name in ("TEMP", "WSPM"):
        holed, hidden, truth = _hidden(beijing, name)
        assert isinstance(base, Forecaster)
        made = impute(holed, name, base)
        line = holed[name].interpolate_na("time").values
        ratios.append(np.abs(made[name].values - truth)[hidden].mean() / np.abs(line - truth)[hidden].mean())
        inside = (truth >= made["low"].values) & (truth <= made["high"].values)
        assert 0.6 < inside[hidden].mean() <= 1.0
    assert np.exp(np.mean(np.log(ratios))) < 0.95


def test_anomaly_scores_do_not_know_the_future() -> None:
    values = np.random.default_rng(3).normal(size=(400, 2))
    before = anomaly_scores(_panel(values), "x", SeasonalNaive(), start=200, every=8)
    poisoned = values.copy()
    poisoned[301:] = 1e6
    after = anomaly_scores(_panel(poisoned), "x", SeasonalNaive(), start=200, every=8)
    assert np.array_equal(before[:301], after[:301], equal_nan=True)
    assert np.isnan(before[:200]).all() and np.isfinite(before[200:]).all()


def test_anomaly_scores_of_normal_noise_are_deviations() -> None:
    values = np.random.default_rng(4).normal(size=(1600, 1))
    scores = anomaly_scores(_panel(values), "x", SeasonalNaive(pd.Timedelta("1h")), start=1000, every=1)[1000:]
    assert 0.7 < np.quantile(scores, 0.683) < 1.3  # |z| below 1 in 68 % of the cases


@needs_data
def test_the_base_scores_planted_faults_above_calm_hours(beijing: xr.Dataset) -> None:
    base = _base()
    assert isinstance(base, Forecaster)
    panel = beijing[["TEMP"]].isel(time=slice(0, 1600))
    values = panel["TEMP"].values.copy()
    faults = np.arange(1000, 1580, 60)
    values[faults, :] += 12.0
    scores = anomaly_scores(panel.assign(TEMP=(("time", "node"), values)), "TEMP", base, start=900, every=6)
    calm = np.ones(len(values), bool)
    for fault in faults:
        calm[fault:fault + 25] = False
    calm[:900] = False
    assert np.nanmedian(scores[faults]) > np.nanquantile(scores[calm], 0.98)


@given(st.integers(0, 10**6), st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_classes_are_those_of_scikit_learn(seed: int, count: int) -> None:
    draws = np.random.default_rng(seed)
    labels = np.array([f"c{one % count}" for one in range(60)])
    embeddings = draws.normal(size=(60, 5)) + np.array([int(one[1:]) for one in labels])[:, None]
    head = fit_classes(embeddings, labels.tolist())
    z = (embeddings - embeddings.mean(axis=0)) / embeddings.std(axis=0)
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # a second

    peer = LogisticRegression(max_iter=500).fit(z, labels)
    assert np.allclose(head.probabilities(embeddings), peer.predict_proba(z))
    restored = Classes.restore(head.state())
    assert np.array_equal(restored.probabilities(embeddings), head.probabilities(embeddings))


def test_classification_needs_two_classes() -> None:
    with pytest.raises(ForecastError, match="at least two"):
        fit_classes(np.ones((3, 2)), ["a"] * 3)


def _examples(panel: xr.Dataset, embedder: Embedder, rows: range) -> tuple[np.ndarray, list[str]]:
    embeddings, names = [], []
    for name in map(str, panel.data_vars):
        for row in rows:
            window = panel[[name]].isel(time=slice(max(0, row - 700), row))
            embeddings.append(embedder.embed(window, window["time"].values[-1]))
            names += [name] * panel.sizes["node"]
    return np.concatenate(embeddings), names


@needs_data
@pytest.mark.parametrize(("kind", "least"), [("plain", 0.9), ("base", 0.75)])
def test_windows_of_later_months_are_classified_by_variable(beijing: xr.Dataset, kind: str, least: float) -> None:
    embedder = PlainFeatures() if kind == "plain" else _base()
    assert isinstance(embedder, Embedder)
    head = fit_classes(*_examples(beijing, embedder, range(800, 2000, 240)), strength=0.1)
    later, truth = _examples(beijing, embedder, range(2800, 4000, 400))
    assert (head.predict(later) == np.array(truth)).mean() > least


@needs_data
@pytest.mark.parametrize("kind", ["plain", "base"])
def test_places_of_one_variable_cluster_and_find_one_another(beijing: xr.Dataset, kind: str) -> None:
    embedder = PlainFeatures() if kind == "plain" else _base()
    assert isinstance(embedder, Embedder)
    embeddings, names = _examples(beijing, embedder, range(2000, 2001))
    found = cluster(embeddings, 3)
    groups = {name: set(found.labels[np.array(names) == name].tolist()) for name in set(names)}
    assert all(len(labels) == 1 for labels in groups.values()) and found.count == 3
    nearest = similar_places(embeddings, np.arange(len(names)), 3).places
    assert (np.array(names)[nearest] == np.array(names)[:, None]).mean() > 0.9


def test_clusters_do_not_depend_on_units_of_the_embedding() -> None:
    draws = np.random.default_rng(5)
    embeddings = np.concatenate([draws.normal(place, 0.3, (8, 4)) for place in (0, 4)])
    assert np.array_equal(cluster(embeddings).labels, cluster(embeddings * [1, 100, 0.01, 5] + 7).labels)


@pytest.mark.parametrize("count", [1, 6])
def test_clustering_refuses_impossible_numbers(count: int) -> None:
    with pytest.raises(ForecastError, match="clusters"):
        cluster(np.random.default_rng(0).normal(size=(6, 2)), count)


def test_no_place_is_its_own_neighbour() -> None:
    found = similar_places(np.random.default_rng(6).normal(size=(9, 4)), np.arange(9), 8)
    assert all(set(row.tolist()) == set(range(9)) - {number} for number, row in enumerate(found.places))
    assert (np.diff(found.likeness, axis=1) <= 1e-12).all()


def test_plain_features_ignore_level_units_and_the_future() -> None:
    values = np.random.default_rng(7).gamma(2, 1, size=(300, 2)).cumsum(axis=0)
    issue = pd.Timestamp("2020-01-08").to_datetime64()
    mine = PlainFeatures().embed(_panel(values), issue)
    assert np.allclose(mine, PlainFeatures().embed(_panel(values * 1000 + 5), issue))
    poisoned = np.where(np.arange(300)[:, None] > 168, np.nan, values)
    assert np.array_equal(mine, PlainFeatures().embed(_panel(poisoned), issue))
    with pytest.raises(ForecastError, match="rows"):
        PlainFeatures().embed(_panel(values), pd.Timestamp("2020-01-01T03").to_datetime64())


def test_the_interfaces_are_met() -> None:
    assert isinstance(PlainFeatures(), Embedder)
    assert Request("x", np.datetime64("2020-01-01"), 1, np.timedelta64(1, "h")).horizon == 1


def test_the_score_of_several_looks_is_the_mean_of_their_scores() -> None:
    values = np.random.default_rng(8).normal(size=(300, 1)) + 3 * np.sin(np.arange(300) / 24 * 2 * np.pi)[:, None]
    panel, naive = _panel(values), SeasonalNaive()
    new = [anomaly_scores(panel, "x", naive, start=start, every=6, looks=1) for start in (240, 246)]
    older = anomaly_scores(panel, "x", naive, start=240, every=12, looks=1)  # the second half: leads 7 to 12
    both = anomaly_scores(panel, "x", naive, start=240, every=6, looks=2)
    assert np.array_equal(both[240:246], new[0][240:246])  # the first steps have one forecast only
    assert np.allclose(both[246:252], (new[1][246:252] + older[246:252]) / 2)
    with pytest.raises(ForecastError, match="0 looks"):
        anomaly_scores(panel, "x", naive, start=240, looks=0)


def _two_views(seed: int) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Classes that embeddings tell beside a strong nuisance of the round, and statistics tell a little."""
    draws = np.random.default_rng(seed)
    rounds, kinds = np.repeat(np.arange(8), 12), np.tile(np.arange(4), 24)
    nuisance = draws.normal(size=(8, 20))[rounds] @ draws.normal(size=(20, 20)) * 2
    embeddings = draws.normal(size=(4, 20))[kinds] + nuisance + draws.normal(size=(96, 20)) * 0.3
    statistics = draws.normal(size=(4, 3))[kinds] * 0.7 + draws.normal(size=(96, 3))
    return embeddings, statistics, [f"kind {one}" for one in kinds], rounds


def test_embeddings_and_statistics_together_tell_more_than_either() -> None:
    right = {"joined": 0.0, "embeddings": 0.0, "statistics": 0.0}
    for seed in range(5):
        embeddings, statistics, labels, rounds = _two_views(seed)
        early, known = rounds < 5, np.array(labels)
        joined = fit_joined(embeddings[early], statistics[early], known[early].tolist(), rounds[early])
        heads = {"joined": (joined, np.concatenate([embeddings, statistics], axis=1)),
                 "embeddings": (fit_classes(embeddings[early], known[early].tolist()), embeddings),
                 "statistics": (fit_classes(statistics[early], known[early].tolist()), statistics)}
        for name, (head, examples) in heads.items():
            right[name] += float((head.predict(examples[~early]) == known[~early]).mean()) / 5
    assert right["joined"] > max(right["embeddings"], right["statistics"])


def test_embeddings_that_tell_nothing_do_not_spoil_statistics() -> None:
    draws = np.random.default_rng(2)
    kinds, rounds = np.tile(np.arange(3), 60), np.repeat(np.arange(6), 30)
    statistics = draws.normal(size=(3, 4))[kinds] * 2 + draws.normal(size=(180, 4))
    labels, noise = kinds.astype(str).tolist(), draws.normal(size=(180, 30))
    head, alone = fit_joined(noise, statistics, labels, rounds), fit_classes(statistics, labels)
    fresh = draws.normal(size=(3, 4))  # new examples around nothing: both maps must agree nearly everywhere
    examples = np.concatenate([np.zeros((3, 30)), fresh], axis=1)
    assert np.abs(head.probabilities(examples) - alone.probabilities(fresh)).max() < 0.35
    assert Classes.restore(head.state()).predict(examples).tolist() == head.predict(examples).tolist()
    with pytest.raises(ForecastError, match="one round"):
        fit_joined(noise, statistics, labels, np.zeros(180))
