"""The base bench: its split cannot leak, its figures are those of independent formulas, any file is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.benchmarks.base.bench import BaseBench, rows_of, summary
from terracast.benchmarks.base.data import Case, CaseError, case_of, cases_of, spread_issues, windows_of
from terracast.benchmarks.base.etth1 import Etth1Bench, errors, long_ridge, mean_of, seasonal
from terracast.benchmarks.base.files import found, on_even_clock, panel_of
from terracast.benchmarks.base.methods import METHODS, asked, by_node, last_value, ridge, score, seasonal_naive
from terracast.benchmarks.base.ridge import RidgePeer, _solved
from terracast.benchmarks.base.tuned import answer as tuned_answer
from terracast.stfm.forecaster import QUANTILES
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import ReadError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared datasets are not here")


def _waves(rows: int = 720, nodes: int = 3, seed: int = 0, gaps: float = 0.05) -> xr.Dataset:
    draws = np.random.default_rng(seed)
    values = 10 + np.sin(np.arange(rows) / 24 * 2 * np.pi)[:, None] * np.arange(1, nodes + 1)
    values = values + draws.normal(size=values.shape) * 0.3
    values[draws.random(values.shape) < gaps] = np.nan
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": pd.date_range("2020-01-01", periods=rows, freq="h"),
                       "node": [f"n{one}" for one in range(nodes)]},
                      {"domain": "waves", "kind": "sensor", "step": "1h"})


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(_waves(), "x", "waves", issues=8)


@pytest.mark.parametrize("method", ["terracast", "seasonal-naive", "last-value", "ridge"])
def test_no_method_reads_what_comes_after_the_issue_time(case: Case, method: str) -> None:
    if method == "terracast":
        pytest.importorskip("terracast.stfm.base.model", reason="no pre-trained base here")
    one = replace(case, issues=case.issues[:1])
    row = int(one.issues[0])
    poisoned = one.panel.copy(deep=True)
    poisoned["x"][row + 1:] = 1e6
    made = METHODS[method](one)
    assert np.array_equal(made, METHODS[method](replace(one, panel=poisoned)))
    assert made.shape == (1, 24, 3, len(QUANTILES)) and (np.diff(made, axis=-1) >= -1e-12).all()


def test_fits_read_the_training_part_alone(case: Case) -> None:
    poisoned = case.panel.copy(deep=True)
    poisoned["x"][case.trained:] = 1e6
    pair = [RidgePeer.fit(one[:case.trained], 24, 24, QUANTILES, seed=0)
            for one in (case.values, poisoned["x"].values)]
    assert np.array_equal(pair[0].coefficients, pair[1].coefficients)
    assert case.issues.min() >= case.trained
    assert (case.issues + case.horizon).max() < len(case.values)


def test_a_forecaster_sees_no_row_after_its_issue_time(case: Case) -> None:
    for context, request in windows_of(case):
        assert context["time"].values.max() == request.issue_time
    assert np.allclose(asked(SeasonalNaive(), case), seasonal_naive(case), atol=1e-5)


def test_scores_are_those_of_independent_formulas(case: Case) -> None:
    values = last_value(case)
    scores = score(case, values)
    labels = case.labels()
    past = case.values[:case.trained]
    scale = np.array([np.nanmean(np.abs(past[24:, node] - past[:-24, node])) for node in range(3)])
    mase = [np.nanmean(np.abs(labels[..., node] - values[..., node, 5])) / scale[node] for node in range(3)]
    assert np.isclose(scores.mase, np.mean(mase))
    import scoringrules  # compiles when it is imported

    told = scoringrules.crps_quantile(np.nan_to_num(labels), values, np.array(QUANTILES))
    told = np.where(np.isnan(labels), np.nan, told) / scale
    assert np.isclose(scores.mean_crps, by_node(told))


def test_ratios_and_summary(case: Case) -> None:
    rows = rows_of(case, ("seasonal-naive", "ridge"))
    assert rows[0]["mase_ratio"] == 1.0
    assert np.isclose(rows[1]["mase_ratio"], rows[1]["mase"] / rows[0]["mase"])
    made = [{"data": name, "variable": "x", "method": "ridge", "mase_ratio": mase, "crps_ratio": crps}
            for name, mase, crps in (("a", 0.5, 0.9), ("b", 0.8, 1.1), ("c", None, None))]
    told = summary(made, ("ridge",))
    assert told["pairs"] == 3 and np.isclose(told["share_better"], 1 / 3)
    assert np.isclose(told["geomean_mase_ratio"], np.sqrt(0.4))


def test_the_ridge_is_a_ridge() -> None:
    draws = np.random.default_rng(1)
    x, y = draws.normal(size=(80, 6)), draws.normal(size=(80, 2))
    columns = np.concatenate([x, np.ones((80, 1))], axis=1)
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]  # a second

    peer = Ridge(alpha=0.1 * 80 * 0.1).fit(x, y)
    assert np.allclose(_solved(columns, y, 0.1)[:-1].T, peer.coef_, atol=1e-4)


def test_ridge_learns_what_is_linear_and_bridges_gaps() -> None:
    panel = _waves(1500, 2, seed=2, gaps=0.1)
    one = case_of(panel, "x", "waves", issues=20)
    assert score(one, ridge(one)).mase < 0.85 * score(one, seasonal_naive(one)).mase


@given(st.integers(0, 1000), st.integers(0, 5000), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_issues_are_distinct_rows_in_range(first: int, length: int, most: int) -> None:
    rows = spread_issues(first, first + length, most)
    assert len(rows) == min(most, length + 1) and rows.min() >= first and rows.max() <= first + length
    assert (np.diff(rows) > 0).all()


def test_flags_constants_and_short_series_are_left_out() -> None:
    panel = _waves(300).assign(flag=lambda one: (one["x"] > 10).astype(float))
    with pytest.raises(CaseError, match="flag"):
        case_of(panel, "flag", "waves")
    with pytest.raises(CaseError, match="few"):
        case_of(panel.isel(time=slice(0, 30)), "x", "waves")
    still = panel.copy(deep=True)
    still["x"][200:] = 3.0
    with pytest.raises(CaseError, match="nothing to forecast"):
        case_of(still, "x", "waves")


def test_months_and_missing_rows_come_onto_an_even_clock() -> None:
    months = pd.date_range("2000-01-01", periods=120, freq="MS").delete(5)
    panel = xr.Dataset({"x": (("time", "node"), np.arange(119.0)[:, None])}, {"time": months, "node": ["a"]})
    even = on_even_clock(panel, "months")
    assert even.sizes["time"] == 120 and np.isnan(even["x"].values[5, 0]) and even["x"].values[-1, 0] == 118


def test_any_table_is_read(tmp_path: Path) -> None:
    table = _waves(400, 2, gaps=0)["x"].to_pandas().reset_index().melt("time", var_name="node", value_name="level")
    table.sort_values("time").to_csv(tmp_path / "level.csv", index=False)
    cases, left_out = cases_of(tmp_path / "level.csv", issues=4)
    assert [(one.data, one.variable, one.values.shape) for one in cases] == [("level", "level", (400, 2))]
    assert not left_out
    answer = BaseBench((tmp_path,), issues=4, methods=("last-value", "ridge")).answer("x")
    assert len(answer["rows"]) == 2 and answer["bench"] == "base"
    with pytest.raises(ReadError, match="no such"):
        found([tmp_path / "none.csv"])


@needs_data
def test_a_folder_stands_for_its_forecasting_datasets() -> None:
    names = [path.name for path in found([SHARED])]
    assert {"ETTh1.csv", "nyc_crime_events.parquet", "beijing_air_quality.nc", "A1B_north_america.nc"} <= set(names)
    assert not any("tcdf" in str(path) or "nab" in path.parts for path in found([SHARED]))


@needs_data
def test_a_model_calendar_and_events_are_read() -> None:
    climate = cases_of(SHARED / "climate_a1b_north_america" / "A1B_north_america.nc", nodes=5, issues=5)[0][0]
    assert climate.season == 1 and climate.horizon == 10 and np.isfinite(climate.values).all()
    crimes = panel_of(SHARED / "nyc_crime" / "nyc_crime_events.parquet")
    assert len(crimes.data_vars) == 4 and int(sum(crimes[name].sum() for name in crimes.data_vars)) == 191580


@needs_data
def test_etth1_gives_the_published_seasonal_naive() -> None:
    bench = Etth1Bench(SHARED / "ett" / "ETTh1.csv")
    case = bench.case()
    assert len(case.issues) == 2785 and case.issues[0] == 11519
    told = errors(case, seasonal(case))
    assert told == {"mse": pytest.approx(0.512, abs=0.001), "mae": pytest.approx(0.433, abs=0.001)}
    few = bench.case(stride=48)
    assert errors(few, long_ridge(few))["mse"] < 0.45  # .3759 published for ridge-like maps, on all windows
    assert np.allclose(case.values[:8640].mean(axis=0), 0) and np.allclose(case.values[:8640].std(axis=0), 1)


def test_the_mean_of_a_normal_law_is_its_centre() -> None:
    from scipy.stats import norm

    assert abs(float(mean_of(norm.ppf(QUANTILES) * 3 + 2)) - 2) < 1e-9


def test_fine_tuning_is_judged_on_the_test_part() -> None:
    case = case_of(_waves(900, 2, seed=3), "x", "waves", issues=6)
    model = NativeModel.fit(case.training().isel(time=slice(0, 200)), case.request(), steps=30, seed=0,
                            delay=pd.Timedelta(0), lookback=48)
    told = tuned_answer([case], "x", {}, steps=60, forecaster=model)
    assert [row["method"] for row in told["rows"]] == ["zero-shot", "terracast"]
    assert told["summary"]["worst_ratio"] < 1.05


@needs_data
def test_the_shipped_base_beats_seasonal_naive_where_it_was_never_trained() -> None:
    pytest.importorskip("terracast.stfm.base.model", reason="no pre-trained base here")
    ratios = []
    for path in ("hungary_chickenpox/hungary_chickenpox.nc", "irish_wind/irish_wind.nc"):
        case = cases_of(SHARED / path, nodes=6, issues=24)[0][0]
        rows = rows_of(case, ("terracast",))
        ratios += [rows[0]["mase_ratio"], rows[0]["crps_ratio"]]
    assert max(ratios) < 0.9
