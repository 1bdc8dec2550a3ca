"""The bench of adaptation: protocols cut where they say, nothing peeks, rows in the house form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.adapt.answer import bench_adapt
from terracast.benchmarks.adapt.cell import AdaptCell, BenchError, CellTally
from terracast.benchmarks.adapt.cost import rows_of_cost
from terracast.benchmarks.adapt.gate import GateBench
from terracast.benchmarks.adapt.online import OnlineBench

COLUMNS = {"method", "horizon", "mse", "mae", "scaled_error", "crps", "coverage80", "ms_per_step", "worst_node_ratio"}


def _values(rows: int) -> np.ndarray:
    draws = np.random.default_rng(0)
    wave = np.sin(np.arange(rows)[:, None] * 2 * np.pi / 8 + np.arange(2))
    return np.asarray(wave + 0.2 * draws.normal(size=(rows, 2)))


def test_protocol_a_of_etth1_is_cut_where_published() -> None:
    bench = AdaptCell.of(_values(17420), 24, "A", 24)
    assert (bench.trained, bench.validated, len(bench.values)) == (2880, 3600, 14400)
    np.testing.assert_allclose(bench.values[:2880].std(axis=0), 1.0)
    parts = {name: AdaptCell.of(_values(17420), 24, name, 96) for name in "BC"}
    assert (parts["B"].trained, parts["B"].validated) == (10452, 13936)
    assert (parts["C"].trained, parts["C"].validated) == (10452, 12194)


def test_answer_has_the_house_form(tmp_path: Path) -> None:
    frame = pd.DataFrame(_values(900), columns=["a", "b"])
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=900, freq="3h"))
    path = tmp_path / "small.csv"
    frame.to_csv(path, index=False)
    answer = bench_adapt([path], "A", 4)
    rows = {row["method"]: row for row in answer["rows"]}
    assert {"terracast", "frozen", "ridge", "ridge-weekly", "ridge-hedge", "seasonal-naive",
            "last-value"} <= rows.keys()
    assert set(rows["terracast"]) >= COLUMNS
    assert rows["frozen"]["worst_node_ratio"] == 1.0
    assert rows["terracast"]["mse"] < rows["last-value"]["mse"]
    assert answer["command"] == f"terracast bench adapt --data {path} --protocol A --horizon 4"
    with pytest.raises(BenchError, match="no protocol"):
        bench_adapt([path], "Z", 4)
    with pytest.raises(BenchError, match="900 rows"):
        bench_adapt([path], "A", 400)


def test_errors_are_means_over_origins_leads_and_series() -> None:
    bench = AdaptCell.of(_values(400), 8, "A", 3)
    tally, expected = CellTally("zero", bench), []
    for origin in range(bench.trained, 400):
        tally.score(origin, np.zeros((1, 3, 2)))
        if bench.validated <= origin <= 397:
            expected.append(bench.values[origin:origin + 3])
    assert tally.row(tally)["mse"] == pytest.approx(np.mean(np.square(expected)))
    assert tally.row(tally)["mae"] == pytest.approx(np.mean(np.abs(expected)))


def test_online_protocol_runs_on_gaps_and_leaves_silent_nodes_out() -> None:
    values = np.concatenate([_values(600), np.full((600, 1), np.nan)], axis=1)
    values[300:340, 0] = np.nan
    panel = xr.Dataset({"x": (("time", "node"), values)},
                       {"time": pd.date_range("2020-01-01", periods=600, freq="3h"), "node": ["a", "b", "c"]},
                       {"domain": "air", "kind": "sensor", "step": "3h"})
    bench = OnlineBench.of(panel, "x", 4, every=2)
    assert (bench.left_out, bench.panel.sizes["node"]) == (1, 2)
    rows = {row["method"]: row for row in bench.rows()}
    assert np.isfinite([row["mae"] for row in rows.values()]).all()
    assert rows["terracast"]["mae"] < 1.01 * rows["frozen"]["mae"]
    assert rows["terracast"]["worst_node_ratio"] <= 1.01


def test_gate_and_cost_have_their_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame(_values(1200), columns=["a", "b"])
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=1200, freq="3h"))
    path = tmp_path / "small.csv"
    frame.to_csv(path, index=False)
    rows = {row["challenger"]: row for row in GateBench.of(path, None, 4).rows(trials=40)}
    assert rows["equal models"]["accepted"] <= 0.15
    assert rows["5 % less"]["accepted"] > 0.9 and rows["5 % less"]["median_weeks"] > 0
    with pytest.raises(BenchError, match="1200 rows"):
        GateBench.of(path, None, 24)
    costs = rows_of_cost(nodes=2, horizon=3)
    assert {row["method"] for row in costs} == {"frozen", "intervals", "mixture"}
    assert all(row["ms_per_step"] > 0 for row in costs)
