"""Rotated modes against closed forms and planted regions; neighbours; the longest lag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.discover import DiscoverError, discover
from causal.graph import Series
from causal.longest_lag import longest_lag
from causal.modes import leading_modes, varimax
from causal.neighbours import with_neighbours
from causal.prepare import Prepared, PrepareError, prepare


def panel(values: np.ndarray, **coords: object) -> xr.Dataset:
    nodes = [f"n{one:02d}" for one in range(values.shape[1])]
    return xr.Dataset({"o3": (("time", "node"), values, {"units": "ppb", "long_name": "ozone"})},
                      {"time": pd.date_range("2020-01-01", periods=len(values), freq="h"), "node": nodes, **coords},
                      {"domain": "air", "kind": "sensor", "step": "1h"})


def memory(noise: np.ndarray, weight: float) -> np.ndarray:
    out = noise.copy()
    for row in range(1, len(out)):
        out[row] += weight * out[row - 1]
    return out


def three_regions(steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """15 nodes in three regions of 7, 5 and 3, each a slow series of its own seen through noise."""
    rng = np.random.default_rng(seed)
    truth = memory(rng.normal(size=(steps, 3)), 0.8)
    truth /= truth.std(axis=0)
    return truth[:, np.repeat([0, 1, 2], [7, 5, 3])] + 0.7 * memory(rng.normal(size=(steps, 15)), 0.5), truth


def test_planted_regions_are_found_and_named() -> None:
    values, truth = three_regions(1500, 1)
    day = np.sin(np.arange(1500) * np.pi / 12)[:, None]
    modes = leading_modes(panel(values + 4 * day), "o3")
    assert modes.loadings.shape == (15, 3) and "3 modes" in modes.reason
    assert np.abs(modes.loadings).argmax(axis=1).tolist() == np.repeat([0, 1, 2], [7, 5, 3]).tolist()
    assert all(abs(np.corrcoef(modes.series[:, one], truth[:, one])[0, 1]) > 0.9 for one in range(3))
    assert all(set(name.split(", ")) <= {f"n{one:02d}" for one in where} for name, where in zip(
        modes.names, (range(7), range(7, 12), range(12, 15)), strict=True))
    assert list(modes.share) == sorted(modes.share, reverse=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nodes_that_share_nothing_have_no_more_than_one_mode(seed: int) -> None:
    values = memory(np.random.default_rng(seed).normal(size=(800, 10)), 0.9)  # memory alone makes large eigenvalues
    assert leading_modes(panel(values), "o3").loadings.shape[1] == 1


def test_modes_are_the_leading_components_turned() -> None:
    values, _ = three_regions(1000, 4)
    weeks = pd.date_range("2020-01-01", periods=1000, freq="7D")
    modes = leading_modes(panel(values).assign_coords(time=weeks).assign_attrs(step="7D"), "o3")
    found, vectors = np.linalg.eigh(np.corrcoef(values.T))
    of_three = (vectors[:, -3:] * found[-3:]) @ vectors[:, -3:].T
    np.testing.assert_allclose(modes.loadings @ modes.loadings.T, of_three, atol=1e-9)
    assert sum(modes.share) == pytest.approx(found[-3:].sum() / 15)
    np.testing.assert_allclose(np.corrcoef(modes.series.T), np.eye(3), atol=1e-9)  # turned, still uncorrelated
    np.testing.assert_allclose(modes.series.std(axis=0), 1.0, atol=1e-9)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(scaled.T @ modes.series / 1000, modes.loadings, atol=1e-9)


@given(st.integers(0, 2**31), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_varimax_is_a_turn_that_no_plane_can_better(seed: int, count: int) -> None:
    loadings = np.random.default_rng(seed).normal(size=(9, count))
    turned = varimax(loadings)
    np.testing.assert_allclose(turned @ turned.T, loadings @ loadings.T, atol=1e-9)
    best = (turned**2).var(axis=0).sum()
    assert best >= (loadings**2).var(axis=0).sum() - 1e-12
    for angle in np.linspace(0, np.pi, 60):
        plane = np.eye(count)
        plane[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        assert ((turned @ plane) ** 2).var(axis=0).sum() <= best + 1e-9


def test_gaps_move_the_modes_little_and_a_silent_region_is_a_gap() -> None:
    values, _ = three_regions(1200, 5)
    whole = leading_modes(panel(values), "o3")
    holes = values.copy()
    holes[np.random.default_rng(6).random(values.shape) < 0.1] = np.nan
    holes[100:120, 7:12] = np.nan
    modes = leading_modes(panel(holes), "o3")
    assert modes.loadings.shape == whole.loadings.shape
    assert np.isnan(modes.series[100:120, 1]).all() and np.isfinite(modes.series[100:120, 0]).all()
    seen = np.isfinite(modes.series[:, 0])
    assert np.corrcoef(modes.series[seen, 0], whole.series[seen, 0])[0, 1] > 0.97


def test_modes_go_through_preparation_into_discovery() -> None:
    rng = np.random.default_rng(7)
    west = memory(rng.normal(size=800), 0.5)
    east = memory(rng.normal(size=800), 0.5)
    east[2:] += 0.8 * west[:-2]
    values = np.hstack([west[:, None] + 0.3 * rng.normal(size=(800, 6)),
                        east[:, None] + 0.3 * rng.normal(size=(800, 4))])
    air = panel(values)
    done = prepare({"air": leading_modes(air, "o3").panel(air)})
    graph = discover(done, max_lag=3, alpha=0.001)
    first, second = Series("air", "o3_mode_1"), Series("air", "o3_mode_2")
    assert done.labels["air.o3_mode_1"].startswith("ozone around n")
    strongest = max((one for one in graph.links if one.cause != one.effect), key=lambda one: abs(one.strength))
    assert (strongest.cause, strongest.effect, strongest.lag) == (first, second, 2)


def test_nodes_without_life_are_left_out_and_too_few_are_said() -> None:
    values, _ = three_regions(300, 8)
    values[:, 3], values[:, 4] = 5.0, np.nan
    assert set(leading_modes(panel(values), "o3").nodes) == {f"n{one:02d}" for one in range(15) if one not in (3, 4)}
    with pytest.raises(PrepareError, match="1 nodes of o3 vary"):
        leading_modes(panel(values[:, [0, 3, 4]]), "o3")
    with pytest.raises(PrepareError, match="no variable 'so2'"):
        leading_modes(panel(values), "so2")


def test_neighbours_are_the_nearest_and_a_gap_does_not_move_them() -> None:
    rng = np.random.default_rng(9)
    values = rng.normal(size=(100, 4)) + np.array([0.0, 10.0, 20.0, 30.0])
    air = panel(values, lat=("node", [50.0, 50.1, 50.2, 60.0]), lon=("node", [179.95, -179.95, 179.8, 10.0]))
    near = with_neighbours(air, "n00", count=2)
    assert list(near["node"].values) == ["n00"] and "(n01, n02)" in near["o3_near"].attrs["long_name"]
    by_hand = (values[:, 1:3] - values[:, 1:3].mean(axis=0)).mean(axis=1)
    np.testing.assert_allclose(near["o3_near"].values[:, 0], by_hand, atol=1e-12)
    air["o3"][10, 2] = np.nan
    gone = with_neighbours(air, "n00", count=2)["o3_near"].values[10, 0]
    assert abs(gone - (values[10, 1] - values[:, 1].mean())) < 1e-12
    assert prepare({"air": near}).series == (Series("air", "o3"), Series("air", "o3_near"))
    with pytest.raises(PrepareError, match="no node 'n9'"):
        with_neighbours(air, "n9")
    with pytest.raises(PrepareError, match="distances are not known"):
        with_neighbours(panel(values), "n00")
    assert "o3_near" in with_neighbours(panel(values), "n00", neighbours=["n03"])


def prepared(values: np.ndarray) -> Prepared:
    return Prepared(values, tuple(Series("a", f"s{one}") for one in range(values.shape[1])), "1h",
                    np.arange(len(values)))


@pytest.mark.parametrize("lag", [1, 4, 11])
def test_the_longest_link_sets_the_lag_through_strong_memory(lag: int) -> None:
    noise = np.random.default_rng(lag).normal(size=(2000, 4))
    driven = noise.copy()
    driven[lag:, 3] += 0.4 * noise[:-lag, 0]
    found = longest_lag(prepared(memory(driven, 0.9)), most=20)
    assert found.lag == found.across == lag and found.own == 1
    assert f"a.s0 -> a.s3 at {lag}" in found.reason


def test_chance_sets_no_lag_as_often_as_said() -> None:
    longer = 0
    for seed in range(40):
        noise = memory(np.random.default_rng(seed).normal(size=(400, 5)), 0.8)
        found = longest_lag(prepared(noise), most=15, seed=seed)
        longer += found.across > 0
    assert longer <= 7  # 5 % of 40 is 2; more than 7 has a chance below 0.2 %


def test_own_memory_counts_and_the_edge_is_told() -> None:
    noise = np.random.default_rng(3).normal(size=(1000, 2))
    for row in range(6, 1000):
        noise[row, 1] += 0.5 * noise[row - 6, 1]
    found = longest_lag(prepared(noise), most=10)
    assert (found.lag, found.across, found.own) == (6, 0, 6) and "a.s1 remembers itself over 6" in found.reason
    assert "raise most above 6" in longest_lag(prepared(noise), most=6).reason
    noise[::9, 0] = np.nan
    assert longest_lag(prepared(noise), most=10).lag == 6
    with pytest.raises(DiscoverError, match="1000 steps for lags up to 200"):
        longest_lag(prepared(noise), most=200)
