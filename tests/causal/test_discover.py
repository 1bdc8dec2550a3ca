"""Discovery against systems whose graph is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.causal.discover import DiscoverError, discover, stability
from terracast.causal.graph.graph import CausalGraph, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Preparation, Prepared, prepare
from terracast.causal.search.engine import Search

NAMES = (Series("weather", "rain"), Series("weather", "wind"), Series("air", "pm25"), Series("traffic", "flow"))
TRUTH = {("weather.rain", "traffic.flow", 2, -1), ("weather.wind", "air.pm25", 1, -1),
         ("traffic.flow", "air.pm25", 0, 1)}


def city(rows: int, seed: int) -> np.ndarray:
    """rain -> flow (2 steps), wind -> pm25 (1 step), flow -> pm25 (same step), own memory .5 each."""
    rng = np.random.default_rng(seed)
    out = np.zeros((rows + 50, 4))
    for row in range(2, rows + 50):
        rain, wind, dust, flow = 0.5 * out[row - 1] + rng.normal(size=4)
        flow -= 0.5 * out[row - 2, 0]
        out[row] = rain, wind, dust - 0.5 * out[row - 1, 1] + 0.5 * flow, flow
    return out[50:]


def prepared(values: np.ndarray, series: tuple[Series, ...] = NAMES) -> Prepared:
    return Prepared(values, series, "1h", np.arange(len(values)))


def cross(graph: CausalGraph, oriented: bool = True) -> set[tuple[str, str, int, int]]:
    return {(str(link.cause), str(link.effect), link.lag, 1 if link.strength > 0 else -1) for link in graph.links
            if link.cause != link.effect and link.oriented is oriented}


def test_the_known_graph_is_found_with_its_lags_and_signs() -> None:
    graph = discover(prepared(city(1200, 1)), max_lag=3, alpha=0.001)
    assert cross(graph) == TRUTH and not cross(graph, oriented=False)
    assert {(str(link.cause), link.lag) for link in graph.links if link.cause == link.effect} >= {
        (str(one), 1) for one in NAMES}
    assert all(link.p_value <= 0.001 and 0 < abs(link.strength) < 1 for link in graph.links)
    assert graph.samples == 1200 and CausalGraph.from_json(graph.to_json()) == graph
    assert any("causal sufficiency" in line for line in graph.assumptions)
    assert any("at most 3 same-time series" in line for line in graph.assumptions)


def test_pcmci_finds_the_same_pairs_and_leaves_same_time_links_open() -> None:
    graph = discover(prepared(city(1200, 1)), max_lag=3, alpha=0.001, method="PCMCI")
    assert {link for link in TRUTH if link[2]} <= cross(graph)
    assert {frozenset(link[:2]) for link in cross(graph, oriented=False)} >= {
        frozenset(("traffic.flow", "air.pm25"))}
    known = discover(prepared(city(1200, 1)), max_lag=3, alpha=0.001, method="PCMCI",
                     knowledge=Knowledge.parse("air.* never causes traffic.*"))
    assert ("traffic.flow", "air.pm25", 0, 1) in cross(known)


def test_pcmci_agrees_with_tigramite_called_by_hand() -> None:
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.pcmci import PCMCI

    values = city(600, 2)
    graph = discover(prepared(values), max_lag=2)
    by_hand = PCMCI(DataFrame(values), ParCorr(), verbosity=0).run_pcmciplus(tau_max=2, pc_alpha=0.01)
    found = {(NAMES.index(link.cause), NAMES.index(link.effect), link.lag): link for link in graph.links}
    wanted = {(int(i), int(j), int(lag)) for i, j, lag in zip(*np.nonzero(by_hand["graph"] == "-->"), strict=True)}
    assert {key for key, link in found.items() if link.oriented} == wanted
    for key, link in found.items():
        assert link.strength == pytest.approx(by_hand["val_matrix"][key], abs=1e-12)
        assert link.p_value == pytest.approx(by_hand["p_matrix"][key], abs=1e-12)


def six_with_a_common_day(seed: int) -> dict[str, xr.Dataset]:
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * 90)
    noise = rng.normal(size=(len(hours), 6))
    for row in range(1, len(hours)):
        noise[row] += 0.6 * noise[row - 1]
    day = 4 * np.sin(2 * np.pi * hours / 24 + np.array([0.0, 0.4, 0.8, 1.2, 1.6, 2.0])[:, None]).T
    values = noise + day
    return {"city": xr.Dataset(
        {f"s{one}": (("time", "node"), values[:, [one]], {"units": "1", "long_name": f"s{one}"})
         for one in range(6)},
        {"time": pd.date_range("2021-01-01", periods=len(hours), freq="h"), "node": ["all"]},
        {"domain": "city", "kind": "sensor", "step": "1h"})}


def test_preparing_removes_the_links_that_a_common_season_makes() -> None:
    panels = six_with_a_common_day(5)
    raw = discover(prepare(panels, how=Preparation(remove_season=False)), max_lag=2, alpha=0.001)
    clean = discover(prepare(panels), max_lag=2, alpha=0.001)
    false_raw = len(cross(raw)) + len(cross(raw, oriented=False))
    false_clean = len(cross(clean)) + len(cross(clean, oriented=False))
    assert false_clean <= 1 and false_raw >= 8
    assert any("hour of day" in line for line in clean.assumptions)


def test_gaps_cost_power_but_give_no_false_link() -> None:
    values = city(2500, 3)
    rng = np.random.default_rng(0)
    for column in range(4):  # outages of a day, a twentieth of the time
        for start in rng.integers(0, 2476, size=5):
            values[start:start + 24, column] = np.nan
    graph = discover(prepared(values), max_lag=3, alpha=0.001)
    assert cross(graph) == TRUTH
    assert 1900 < graph.samples < 2500


@pytest.mark.parametrize("method", ["PCMCI+", "PCMCI"])
def test_forbidden_links_never_come_back(method: str) -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(size=(900, 1))  # an unseen common cause ties everything to everything at the same time
    values = city(900, 4) + 2.0 * common + np.roll(common, 1)
    known = Knowledge.parse("air.* never causes *\ntraffic.* never causes weather.*")
    free = discover(prepared(values), max_lag=2, method=method)
    held = discover(prepared(values), max_lag=2, method=method, knowledge=known)
    assert any(not known.allows(link.cause, link.effect, link.lag) for link in free.links)
    assert len(held.links) > 4
    assert all(known.allows(link.cause, link.effect, link.lag) for link in held.links)
    assert all(link.oriented or (known.allows(link.effect, link.cause, 0)) for link in held.links)


def test_a_certain_link_is_put_in_and_measured() -> None:
    known = Knowledge.parse("weather.rain causes traffic.flow at lag 2\nweather.wind causes weather.rain at lag 1")
    graph = discover(prepared(city(1200, 1)), max_lag=3, alpha=0.001, knowledge=known)
    put_in = {(str(link.cause), link.lag): link for link in graph.links if link.known}
    assert put_in.keys() == {("weather.rain", 2), ("weather.wind", 1)}
    assert -0.6 < put_in["weather.rain", 2].strength < -0.3 and put_in["weather.rain", 2].p_value < 1e-9
    assert abs(put_in["weather.wind", 1].strength) < 0.1 and put_in["weather.wind", 1].p_value > 0.001


def test_copies_sums_and_constants_leave_with_a_reason() -> None:
    values = city(700, 6)
    shifted = np.roll(values[:, 0], 1)
    shifted[0] = np.nan
    table = np.column_stack([values, values[:, 2], values[:, 0] + values[:, 1], np.full(700, 2.0), shifted])
    names = (*NAMES, Series("x", "copy"), Series("x", "sum"), Series("x", "flat"), Series("x", "shifted"))
    graph = discover(prepared(table, names), max_lag=2, alpha=0.001)
    assert graph.series == NAMES and cross(graph) == TRUTH
    told = "\n".join(graph.assumptions)
    assert "x.copy was left out: a copy of air.pm25." in told
    assert "x.sum was left out: an exact linear combination of other series." in told
    assert "x.flat was left out: constant or never observed." in told
    assert "x.shifted was left out: a copy of weather.rain shifted by 1 steps." in told


def test_near_copies_do_not_fail() -> None:
    values = city(600, 8)
    twins = [values[:, 0] + size * np.random.default_rng(9).normal(size=600) for size in (1e-3, 1e-6)]
    graph = discover(prepared(np.column_stack([values, *twins]), (*NAMES, Series("x", "a"), Series("x", "b"))),
                     max_lag=2)
    assert len(graph.series) in (5, 6)


def test_too_few_samples_and_wrong_settings_are_one_line() -> None:
    with pytest.raises(DiscoverError, match=r"50 complete steps for 4 series and 6 lags") as caught:
        discover(prepared(city(50, 1)), max_lag=6)
    assert "\n" not in str(caught.value) and "longer span" in str(caught.value)
    with pytest.raises(DiscoverError, match="one of PCMCI"):
        discover(prepared(city(300, 1)), max_lag=2, method="GES")
    with pytest.raises(DiscoverError, match="max_lag 0"):
        discover(prepared(city(300, 1)), max_lag=0)
    with pytest.raises(DiscoverError, match="1 usable series"):
        discover(prepared(city(300, 1)[:, :1], NAMES[:1]), max_lag=2)


def test_heavy_tails_with_the_robust_test() -> None:
    values = np.sinh(city(900, 10))
    graph = discover(prepared(values), max_lag=3, search=Search(3, 0.001, test="RobustParCorr"))
    assert {link[:3] for link in cross(graph)} >= {link[:3] for link in TRUTH if link[2]}


def test_strong_same_time_links_stay_within_the_caps() -> None:
    rng = np.random.default_rng(11)
    values = 3 * rng.normal(size=(400, 1)) + rng.normal(size=(400, 9))
    names = tuple(Series("air", f"s{one}") for one in range(9))
    graph = discover(prepared(values, names), max_lag=1, search=Search(1, majority_degree=4))
    assert sum(link.lag == 0 for link in graph.links) > 20  # all tied, and still an answer
    assert graph.settings["search"]["majority_degree"] == 4  # type: ignore[index]


def test_stability_tells_a_true_link_from_a_chance_one() -> None:
    data = prepared(city(500, 12))
    graph = stability(data, discover(data, max_lag=2, alpha=0.2), draws=8, seed=1)
    again = stability(data, discover(data, max_lag=2, alpha=0.2), draws=8, seed=1)
    assert graph == again
    share = {(str(link.cause), str(link.effect), link.lag): link.stability for link in graph.links}
    assert all(share[link[:3]] == 1.0 for link in TRUTH if link[2])
    true = {link[:3] for link in TRUTH}
    chance = [value for key, value in share.items() if key[0] != key[1] and key not in true]
    assert chance and np.mean(chance) < 0.8
    assert graph.settings["stability"] == {"draws": 8, "seed": 1, "block": 8}


def test_nothing_is_printed_and_progress_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[float] = []
    discover(prepared(city(300, 1)), max_lag=1, progress=lambda share, words: heard.append(share))
    out = capfd.readouterr()
    assert out.out == "" and out.err == ""
    assert heard == sorted(heard) and len(heard) >= 6
