"""Each method and test of tigramite behind discover, on a small world where its property shows."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from causal.discover import DiscoverError, discover, stability
from causal.graph import HIDDEN, MAYBE_HIDDEN, CausalGraph, Series
from causal.joint import discover_contexts
from causal.knowledge import Knowledge
from causal.methods.contexts import Contexts
from causal.prepare import Prepared
from causal.search import Search

RAIN, FLOW, DUST = Series("weather", "rain"), Series("traffic", "flow"), Series("air", "pm25")


def prepared(values: np.ndarray, series: tuple[Series, ...]) -> Prepared:
    return Prepared(values, series, "1h", np.arange(len(values)))


def arrows(graph: CausalGraph) -> set[tuple[str, str, int]]:
    return {(str(link.cause), str(link.effect), link.lag) for link in graph.links
            if link.cause != link.effect and link.oriented}


def with_unseen_cause(rows: int, seed: int) -> np.ndarray:
    """A hidden wind moves flow one step and dust two steps later; rain drives flow, salt drives dust."""
    rng = np.random.default_rng(seed)
    wind, out = rng.normal(size=rows), rng.normal(size=(rows, 4))
    for row in range(2, rows):
        out[row] += np.array([0.5, 0.0, 0.0, 0.5]) * out[row - 1]
        out[row, 1] += 0.9 * wind[row - 1] + 0.7 * out[row - 1, 0]
        out[row, 2] += 0.9 * wind[row - 2] + 0.7 * out[row - 1, 3]
    return out


def test_a_hidden_cause_is_not_reported_as_a_direct_link() -> None:
    names = (RAIN, FLOW, DUST, Series("air", "salt"))
    data = prepared(with_unseen_cause(1500, 0), names)
    misled = discover(data, max_lag=2, alpha=0.01)
    aware = discover(data, max_lag=2, alpha=0.01, method="LPCMCI")
    assert ("traffic.flow", "air.pm25", 1) in arrows(misled)
    assert arrows(aware) == {("weather.rain", "traffic.flow", 1), ("air.salt", "air.pm25", 1)}
    told = {(str(one.cause), str(one.effect), one.lag): one for one in aware.links}
    hidden = told["traffic.flow", "air.pm25", 1]
    assert hidden.note == HIDDEN and not hidden.oriented
    assert not aware.into(DUST)[0].note
    assert aware.assumptions[0].startswith("Common causes may be unseen")
    assert CausalGraph.from_json(aware.to_json()) == aware


def test_what_cannot_be_told_is_said_and_a_forbidden_link_stays_away() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(600, 2))
    values[1:, 1] += 0.8 * values[:-1, 0]
    data = prepared(values, (RAIN, FLOW))
    graph = discover(data, max_lag=1, method="LPCMCI")
    link, = (one for one in graph.links if one.cause != one.effect)
    assert (link.cause, link.effect, link.lag, link.oriented, link.note) == (RAIN, FLOW, 1, False, MAYBE_HIDDEN)
    known = Knowledge.parse("weather.rain causes traffic.flow at lag 1\ntraffic.flow never causes weather.rain")
    sure = discover(data, max_lag=1, method="LPCMCI", knowledge=known)
    put_in, = (one for one in sure.links if one.cause != one.effect)
    assert put_in.oriented and put_in.known
    assert stability(data, graph, draws=3).links[-1].stability == 1.0
    never = discover(data, max_lag=1, method="LPCMCI", knowledge=Knowledge.parse("weather.* never causes traffic.*"))
    assert not [one for one in never.links if (one.cause, one.effect) == (RAIN, FLOW)]


def test_lpcmci_is_tigramites_own() -> None:
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.lpcmci import LPCMCI

    names = (RAIN, FLOW, DUST, Series("air", "salt"))
    values = with_unseen_cause(500, 3)
    by_hand = LPCMCI(DataFrame(values), ParCorr(), verbosity=0).run_lpcmci(
        tau_max=2, pc_alpha=0.01, max_p_global=3, max_p_non_ancestral=3, max_pds_set=30)
    graph = discover(prepared(values, names), max_lag=2, method="LPCMCI")
    wanted = {(int(i), int(j), int(lag)) for i, j, lag in np.argwhere(by_hand["graph"] != "")
              if lag > 0 or i < j}
    found = {(names.index(one.cause), names.index(one.effect), one.lag): one for one in graph.links}
    assert {key if key[2] or key[0] < key[1] else (key[1], key[0], 0) for key in found} == wanted
    for key, link in found.items():
        assert link.p_value == pytest.approx(by_hand["p_matrix"][key], abs=1e-10)
        assert link.oriented == (by_hand["graph"][key] == "-->")


def nodes_with_unseen_levels(number: int, rows: int, seed: int) -> dict[str, Prepared]:
    """Each node has an unseen level that acts on flow and dust; height and a common rain are measured."""
    rng = np.random.default_rng(seed)
    rain, found = rng.normal(size=rows), {}
    for node in range(number):
        level, values = 2.0 * rng.normal(), rng.normal(size=(rows, 3))
        values[:, 0] = rain
        values[:, 1] += level
        values[:, 2] += level
        values[1:, 1] += 0.8 * rain[:-1]
        found[f"node{node}"] = prepared(values, (RAIN, FLOW, DUST))
    return found


def test_many_nodes_are_contexts_of_one_graph() -> None:
    nodes = nodes_with_unseen_levels(8, 120, 4)
    pooled = prepared(np.vstack([one.values for one in nodes.values()]), (RAIN, FLOW, DUST))
    blind = discover(pooled, max_lag=1)
    assert any({one.cause, one.effect} == {FLOW, DUST} for one in blind.links)
    graph = discover_contexts(nodes, max_lag=1, contexts=Contexts(over_time=(RAIN,)))
    assert arrows(graph) == {("weather.rain", "traffic.flow", 1)}
    assert not [one for one in graph.links if {one.cause, one.effect} == {FLOW, DUST}]
    assert any(line == "Unseen differences between nodes act on traffic.flow, air.pm25."
               for line in graph.assumptions)
    assert graph.method == "J-PCMCI+" and graph.samples == 960


def test_a_context_that_differs_over_nodes_is_a_cause_and_never_an_effect() -> None:
    rng, height = np.random.default_rng(2), Series("site", "height")
    heights = {f"n{one}": float(one) / 3 for one in range(12)}
    nodes = {}
    for name, high in heights.items():
        values = rng.normal(size=(60, 2))
        values[:, 1] += high
        values[1:, 1] += 0.7 * values[:-1, 0]
        nodes[name] = prepared(values, (FLOW, DUST))
    graph = discover_contexts(nodes, max_lag=1, alpha=0.001,
                              contexts=Contexts(over_nodes={height: heights}, unseen=()))
    assert arrows(graph) == {("site.height", "air.pm25", 0), ("traffic.flow", "air.pm25", 1)}
    with pytest.raises(DiscoverError, match="context site"):
        discover_contexts(nodes, max_lag=1, contexts=Contexts(over_nodes={height: {"n0": 1.0}}))
    with pytest.raises(DiscoverError, match="at least 2"):
        discover_contexts({"n0": nodes["n0"]}, max_lag=1)
    with pytest.raises(DiscoverError, match=r"discover \(RPCMCI\)"):
        discover(nodes["n0"], max_lag=1, method="J-PCMCI+")


def in_two_regimes(rows: int, seed: int) -> np.ndarray:
    """rain drives flow upwards, but downwards in the middle third."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 2))
    for row in range(1, rows):
        sign = -1.0 if rows // 3 <= row < 2 * rows // 3 else 1.0
        values[row] += 0.2 * values[row - 1]
        values[row, 1] += 0.9 * sign * values[row - 1, 0]
    return values


@pytest.mark.skipif(importlib.util.find_spec("ortools") is None, reason="RPCMCI needs ortools")
def test_two_regimes_are_recovered() -> None:
    data = prepared(in_two_regimes(240, 6), (RAIN, FLOW))
    graph = discover(data, max_lag=1, search=Search(1, method="RPCMCI", transitions=2, annealings=2))
    spans = graph.settings["regimes"]
    assert isinstance(spans, list) and [regime for _, _, regime in spans] == [0, 1, 0]
    assert abs(spans[0][1] - 80) <= 3 and abs(spans[1][1] - 160) <= 3
    link, = (one for one in graph.links if (one.cause, one.effect) == (RAIN, FLOW))
    assert link.lag == 1 and not link.note  # in both regimes, with either sign
    assert CausalGraph.from_json(graph.to_json()) == graph
    with pytest.raises(DiscoverError, match="stability of RPCMCI"):
        stability(data, graph)


@pytest.mark.parametrize("test", ["CMIknn", pytest.param("GPDC", marks=pytest.mark.slow)])
def test_a_link_without_correlation_is_found(test: str) -> None:
    if test == "GPDC":
        pytest.importorskip("dcor")
    rng = np.random.default_rng(1)
    values = rng.normal(size=(80 if test == "GPDC" else 150, 2))
    values[1:, 1] = 0.6 * values[1:, 1] + values[:-1, 0] ** 2
    data = prepared(values, (RAIN, FLOW))
    assert not arrows(discover(data, max_lag=1))
    graph = discover(data, max_lag=1, search=Search(1, test=test, shuffles=100))
    assert arrows(graph) == {("weather.rain", "traffic.flow", 1)}
    assert graph == discover(data, max_lag=1, search=Search(1, test=test, shuffles=100))
    assert any("not a correlation" in line for line in graph.assumptions)


@pytest.mark.parametrize("method", ["PCMCI", "PCMCI+"])
def test_a_correction_holds_the_share_of_false_links(method: str) -> None:
    false = dict.fromkeys(("none", "fdr_bh"), 0)
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(200, 6))
        data = prepared(noise, tuple(Series("a", f"s{one}") for one in range(6)))
        for correction in false:
            graph = discover(data, max_lag=2, search=Search(2, 0.05, method, correction=correction))
            false[correction] += bool(graph.links)
    assert false["none"] >= 15  # some hundred tests at 5 % each
    assert false["fdr_bh"] <= 4  # nothing is true here: at most 5 % of the worlds may have any link


def test_a_correction_keeps_what_is_strong_and_takes_the_family_of_open_links() -> None:
    from scipy.stats import false_discovery_control

    names = (RAIN, FLOW, DUST, Series("air", "salt"))
    data = prepared(with_unseen_cause(600, 8), names)
    everything, corrected = (discover(data, max_lag=1, search=Search(1, alpha, "PCMCI", correction=correction))
                             for alpha, correction in ((0.9999, "none"), (0.05, "fdr_bh")))
    assert len(everything.links) == 16 + 6  # lag 1 and each same-time pair once
    wanted = false_discovery_control([one.p_value for one in everything.links])
    told = {(one.cause, one.effect, one.lag): one.p_value for one in corrected.links}
    assert told == pytest.approx({(one.cause, one.effect, one.lag): p_value for one, p_value in zip(
        everything.links, wanted, strict=True) if p_value <= 0.05})
    assert {("weather.rain", "traffic.flow", 1), ("air.salt", "air.pm25", 1)} <= arrows(corrected)


@pytest.mark.parametrize(("settings", "words"), [
    ({"correction": "bonferroni"}, "one of none, fdr_bh"), ({"test": "CMI"}, "one of ParCorr"),
    ({"test": "CMIknn", "shuffles": 50}, "at least 100"), ({"method": "LPCMCI", "correction": "fdr_bh"}, "p-values"),
    ({"method": "RPCMCI", "test": "GPDC"}, "expected ParCorr")])
def test_settings_that_do_not_go_together_are_one_line(settings: dict[str, object], words: str) -> None:
    data = prepared(np.random.default_rng(0).normal(size=(200, 2)), (RAIN, FLOW))
    with pytest.raises(DiscoverError, match=words) as caught:
        discover(data, max_lag=1, search=Search(1, **settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["LPCMCI", "PCMCI+", "RPCMCI"])
def test_bad_series_are_named_whatever_the_method(method: str) -> None:
    values = in_two_regimes(150, 9)
    table = np.column_stack([values, values[:, 1], np.full(150, 3.0)])
    names = (RAIN, FLOW, Series("x", "copy"), Series("x", "flat"))
    graph = discover(prepared(table, names), max_lag=1, search=Search(
        1, method=method, annealings=2, transitions=2))
    assert graph.series == (RAIN, FLOW)
    with pytest.raises(DiscoverError, match="20 complete steps"):
        discover(prepared(table[:20], names), max_lag=1, method=method)
