"""The causal bench answers in the one form, scores what it should, and prints the reading of the edge file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.benchmarks.causal.data import TruthError
from terracast.benchmarks.causal.panels import KINDS, simulated_panel
from terracast.benchmarks.causal.scores import auroc
from terracast.benchmarks.causal.simulated import PanelBench
from terracast.benchmarks.causal.simulated import answer as simulated
from terracast.benchmarks.causal.truth import COLUMNS, answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(400, 3))
    values[1:, 1] += 0.7 * values[:-1, 0]
    pd.DataFrame(values, columns=list("xyz")).to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "edges.csv").write_text("1,0,1\n1,1,1\n", encoding="utf-8")
    told = {"pairs": {"one.csv": "edges.csv"}, "columns": ["effect", "cause", "lag"]}
    (tmp_path / "truth.json").write_text(json.dumps(told), encoding="utf-8")
    return tmp_path


def test_a_folder_with_known_edges(folder: Path) -> None:
    result = answer(folder, folder / "truth.json", max_lag=2)
    assert result.keys() == {"bench", "data", "protocol", "rows", "summary", "command"} and json.dumps(result)
    assert result["protocol"]["reading"] == "columns of the edge file: effect, cause, lag"
    assert [row["method"] for row in result["rows"]] == ["terracast", "tigramite-pcmci", "tigramite-pcmciplus",
                                                         "var-granger", "abs-correlation"]
    assert set(COLUMNS) <= result["rows"][0].keys()
    ours = result["rows"][0]
    assert ours["f1"] == ours["auroc"] == ours["adjacency_f1"] == 1.0


def test_forbidden_variables_are_counted_over_pairs_and_lags(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, 2))
    values[1:, 1] += 0.7 * values[:-1, 0]
    time = pd.date_range("2020-01-01", periods=500, freq="h")
    pd.DataFrame({"time": time, "node": "a", "x": values[:, 0], "y": values[:, 1]}).to_csv(
        tmp_path / "d.csv", index=False)
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"forbidden_edges": [{"cause": "x", "effect": "y"}], "expected_edges": []}),
                     encoding="utf-8")
    row = answer(tmp_path / "d.csv", truth, max_lag=3, methods=("terracast",))["rows"][0]
    assert row["forbidden_pairs"] == 1 and row["forbidden_share"] == 0.25
    truth.write_text("{}", encoding="utf-8")
    with pytest.raises(TruthError, match="no edges"):
        answer(tmp_path / "d.csv", truth)


def test_auroc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score  # a second

    rng = np.random.default_rng(3)
    score = rng.integers(0, 4, size=(6, 6)).astype(float)
    pairs = [(cause, effect) for cause in range(6) for effect in range(6) if cause != effect]
    true = {pairs[int(one)] for one in rng.permutation(30)[:9]}
    assert auroc(score, true) == pytest.approx(
        roc_auc_score([pair in true for pair in pairs], [score[pair] for pair in pairs]))
    assert auroc(score, set()) is None


def test_panels_differ_by_kind_only_in_what_they_say() -> None:
    made = {kind: simulated_panel(kind, 5, 3, 300) for kind in KINDS}
    assert all(np.isfinite(one.values).all() and len(one.links) == 5 for one in made.values())
    assert made["plain"].links == made["season"].links == made["trend"].links == made["regimes"].links
    np.testing.assert_array_equal(simulated_panel("both", 5, 3, 300).values, made["both"].values)


def test_simulated_answer_in_one_form() -> None:
    result = simulated(PanelBench(variables=(4,), seeds=2, kinds=("plain", "both"), steps=600, first_seed=2000))
    assert {row["method"] for row in result["rows"]} == {"terracast", "tigramite-pcmciplus", "tigramite-pcmci"}
    ours = [row for row in result["rows"] if row["method"] == "terracast"]
    assert all(row["f1"] > 0.6 and row["false_positive_rate"] < 0.02 for row in ours)
    assert json.dumps(result)


SHARED = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="shared/data is not here")


@real
@pytest.mark.parametrize("file", ["london_bike_weather/london_bike.nc", "salmon_river_hydrology/salmon_river.nc",
                                  "lievre_basin_vic_raster/lievre_basin.nc"])
def test_what_cannot_be_a_cause_is_not_found_without_knowledge(file: str) -> None:
    path = SHARED / file
    row, = answer(path, path.parent / "truth.json", methods=("terracast",))["rows"]
    assert row["forbidden_share"] <= 0.01


@real
@pytest.mark.slow
def test_the_river_is_found_better_than_by_peers() -> None:
    path = SHARED / "danube_west" / "danube_west.nc"
    summary = answer(path, path.parent / "truth.json")["summary"]
    assert summary["f1"] > summary["best_peer_f1"] + 0.05
