"""The scorecard: intervals that cover, cells that ask what they say, a page that needs nothing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.base.data import Case, case_of
from terracast.benchmarks.scorecard.bench import answer
from terracast.benchmarks.scorecard.block_bootstrap import BlockPair, skill_of
from terracast.benchmarks.scorecard.cases import (
    coarser_space,
    coarser_step,
    earlier,
    half_of_nodes,
    valid_hours,
    worlds,
)
from terracast.flows.scorecards.drawing import draw_card
from terracast.flows.scorecards.page import render, write
from terracast.streams.errors import TerracastError


def _case(data: str = "waves", seed: int = 0) -> Case:
    draws = np.random.default_rng(seed)
    values = 10 + 2 * np.sin(np.arange(1200) / 24 * 2 * np.pi)[:, None] + draws.normal(size=(1200, 8)) * 0.3
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                       {"time": pd.date_range("2020-01-01", periods=1200, freq="h"),
                        "node": [f"{data} & <n{one}>" for one in range(8)],
                        "lat": ("node", draws.uniform(40, 41, 8)), "lon": ("node", draws.uniform(10, 11, 8))},
                       {"domain": data, "kind": "sensor", "step": "1h"})
    return case_of(panel, "x", data, issues=12)


@pytest.fixture(scope="module")
def card() -> dict[str, object]:
    return answer([_case("a", 1), _case("b", 2)], "native", "terracast scorecard --data x")


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Neighbouring errors move together; an interval that took them for independent would cover far less."""
    covered, draws = 0, np.random.default_rng(0)
    for trial in range(150):
        pairs = []
        for name in range(6):
            shared = np.exp(0.5 * _ar(draws, 60))
            pairs.append(BlockPair(f"d{name}", 0.8 * shared * draws.gamma(8, 1 / 8, 60),
                                   np.exp(0.5 * _ar(draws, 60)) * draws.gamma(8, 1 / 8, 60)))
        found = skill_of(pairs, seed=trial, draws=200)
        assert found is not None
        covered += found.low <= 0.2 <= found.high
    assert 0.75 <= covered / 150 <= 0.99


def _ar(draws: np.random.Generator, length: int) -> np.ndarray:
    noise, series = draws.normal(size=length), np.zeros(length)
    for row in range(1, length):
        series[row] = 0.7 * series[row - 1] + noise[row] * np.sqrt(1 - 0.49)
    return series


def test_skill_is_the_geometric_mean_and_leaves_out_what_cannot_be_compared() -> None:
    pairs = [BlockPair("a", np.full(9, 0.5), np.ones(9)), BlockPair("b", np.full(9, 2.0), np.full(9, 1.0)),
             BlockPair("c", np.ones(9), np.zeros(9)), BlockPair("d", np.full(9, np.nan), np.ones(9))]
    found = skill_of(pairs)
    assert found is not None and abs(found.skill) < 1e-12 and found.series == 2
    assert skill_of(pairs[2:]) is None


def test_changed_cases_ask_what_they_say() -> None:
    case = _case()
    early = earlier(case)
    assert early.issues.min() >= case.trained - 1 and (early.issues + case.horizon).max() < case.issues.min()
    slow = coarser_step(case)
    assert pd.Timedelta(slow.step) == pd.Timedelta("6h") and slow.horizon == 20 and slow.season == 4
    assert np.allclose(slow.values[-1], case.values[-6:].mean(axis=0))
    blurred = coarser_space(case)
    assert blurred.values.shape == (1200, 2) and np.nanstd(blurred.values) < np.nanstd(case.values)
    day, working = valid_hours(case)
    assert day.shape == (12, 24) and abs(day.mean() - 0.5) < 0.01 and 0.4 < working.mean() < 1.0
    assert half_of_nodes(case).tolist() == [True, False] * 4


def test_worlds_are_forecast_like_data() -> None:
    found = list(worlds(3, 2, 4))
    assert found and all(np.isfinite(case.scale).all() and len(case.issues) <= 4 for case in found)


def test_the_card_has_every_axis_and_tells_refusals(card: dict[str, object]) -> None:
    rows = {(row["axis"], row["side"], row["part"]): row for row in card["rows"]}  # type: ignore[attr-defined]
    for axis in ("domain", "spatial", "temporal", "scale"):
        for side in ("in", "out"):
            assert (axis, side, "all") in rows
    assert rows["spatial", "in", "nodes taught on"]["skill_seasonal_naive"] > 0
    assert rows["domain", "out", "taught on another dataset"]["series"] == 2
    assert rows["scale", "out", "coarser step"]["refused"] == 2  # the native model is bound to its step
    assert len(card["nodes"]) == 16  # type: ignore[arg-type]


def test_seasonal_naive_has_no_skill_against_itself() -> None:
    told = answer([_case()], "seasonal-naive", "x", simulated=2)
    skills = [row["skill_seasonal_naive"] for row in told["rows"]]
    assert all(abs(one) < 1e-5 for one in skills if one is not None)


def test_an_unknown_forecaster_is_refused() -> None:
    with pytest.raises(TerracastError, match="no forecaster"):
        answer([_case()], "oracle", "x")


def test_the_page_stands_alone_and_escapes(card: dict[str, object], tmp_path: Path) -> None:
    card = {**card, "protocol": {**card["protocol"], "left_out": {}}}  # type: ignore[dict-item]
    page = write(card, tmp_path / "deep" / "card.html").read_text(encoding="utf-8")
    assert page == render(card)
    assert "<n0>" not in page and "&lt;n0&gt;" in page and "<script" not in page
    assert not re.findall(r"(?:src|href)=\"https?:", page)
    assert page.count("<svg") == 4  # two drawings of the card, two maps
    assert "refused" in page


def test_a_side_without_a_figure_says_so() -> None:
    row = {"axis": "scale", "side": "out", "skill_ridge": None, "ridge_low": None, "ridge_high": None}
    assert "no figure" in draw_card([row], "ridge")
