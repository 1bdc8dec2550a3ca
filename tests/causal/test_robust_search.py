"""Breaks, curves and agreement: sizes by simulation, equality with plain F tests, and what the default finds."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tigramite.data_processing import DataFrame

from terracast.causal.discover import discover
from terracast.causal.graph.graph import Link, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import prepare
from terracast.causal.search.change_points import best_break, spans
from terracast.causal.search.link_filters import partial_correlation_filter, replicates
from terracast.causal.search.polynomial_parcorr import CAUSE, DEGREE, PolynomialParCorr, curves, nonlinearity_p_value
from terracast.causal.search.robust_search import Redraws, default_search, robust_search
from terracast.causal.settings import DiscoverError, Search


def panel(values: np.ndarray) -> dict[str, xr.Dataset]:
    return {"a": xr.Dataset(
        {f"s{place}": (("time", "node"), column[:, None], {"units": "1", "long_name": f"s{place}"})
         for place, column in enumerate(values.T)},
        {"time": pd.date_range("2020-01-01", periods=len(values), freq="h"), "node": ["all"]},
        {"domain": "a", "kind": "sensor", "step": "1h"})}


def memory(rng: np.random.Generator, rows: int, series: int) -> np.ndarray:
    values = rng.normal(size=(rows, series))
    for row in range(1, rows):
        values[row] += 0.5 * values[row - 1]
    return values


def test_the_curved_test_is_the_f_test_of_two_regressions() -> None:
    rng = np.random.default_rng(0)
    values = memory(rng, 300, 3)
    test = PolynomialParCorr()
    test.set_dataframe(DataFrame(values))
    value, p_value = test.run_test([(0, -1)], [(1, 0)], [(2, -1), (1, -1)], tau_max=2)
    table, rows = curves(values), np.arange(4, 300)

    def columns(place: int, lag: int, degrees: int) -> np.ndarray:
        return table[rows - lag][:, [place + 3 * degree for degree in range(degrees)]]

    given = np.column_stack([np.ones(len(rows)), columns(2, 1, DEGREE), columns(1, 1, DEGREE)])
    both = np.column_stack([given, columns(0, 1, CAUSE)])
    effect = values[rows, 1]
    less, more = (float(((effect - one @ np.linalg.lstsq(one, effect, rcond=None)[0]) ** 2).sum())
                  for one in (given, both))
    assert value**2 == pytest.approx(1 - more / less, abs=1e-6)
    assert 0 < p_value < 1


def test_the_curved_test_keeps_its_size_and_meets_a_parabola() -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(300):
        test = PolynomialParCorr()
        test.set_dataframe(DataFrame(memory(rng, 250, 2)))
        p_values += [test.run_test([(0, -1)], [(1, 0)], [(1, -1), (0, -2)], tau_max=1)[1],
                     test.run_test([(0, 0)], [(1, 0)], [(1, -1), (0, -1)], tau_max=1)[1]]
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.085
    values = memory(rng, 400, 2)
    values[:, 1] += values[:, 0] ** 2
    test = PolynomialParCorr()
    test.set_dataframe(DataFrame(values))
    assert test.run_test([(0, 0)], [(1, 0)], tau_max=1)[1] < 1e-9


def test_breaks_and_curvature_rarely_cry_where_there_is_none() -> None:
    rng = np.random.default_rng(2)
    draws = [memory(rng, 500, 3) for _ in range(60)]
    assert sum(one is not None and one.p_value < 0.05 for one in map(best_break, draws)) <= 6
    assert sum(nonlinearity_p_value(one, 2) < 0.05 for one in draws) <= 8
    assert best_break(draws[0][:20]) is None


@pytest.mark.parametrize("change", [300, 520])
def test_a_turned_link_cuts_the_span_where_it_turns(change: int) -> None:
    rng = np.random.default_rng(change)
    values = memory(rng, 800, 3)
    values[1:, 1] += np.where(np.arange(799) < change, 0.6, -0.6) * values[:-1, 0]
    (_, cut), (start, stop) = spans(values, least=100)
    assert abs(cut - change) < 40 and (start, stop) == (cut, 800)


def test_the_default_finds_a_link_that_turns_and_one_that_is_even() -> None:
    rng = np.random.default_rng(4)
    values = memory(rng, 900, 3)
    values[1:, 1] += np.where(np.arange(899) < 450, 0.7, -0.7) * values[:-1, 0]
    pairs = {(str(link.cause), str(link.effect), link.lag) for link in
             robust_search(panel(values), Search(2, correction="fdr_bh")).links}
    assert ("a.s0", "a.s1", 1) in pairs
    bent = memory(rng, 700, 3)
    bent[2:, 2] += 0.8 * bent[:-2, 0] ** 2
    found = robust_search(panel(bent), Search(3, correction="fdr_bh"))
    assert ("a.s0", "a.s2", 2) in {(str(link.cause), str(link.effect), link.lag) for link in found.links}
    assert any("tested on curves" in line for line in found.assumptions)
    held = robust_search(panel(bent), Search(3), knowledge=Knowledge.parse("a.s0 never causes a.s2"))
    assert not [link for link in held.links if str(link.cause) == "a.s0" and str(link.effect) == "a.s2"]


def test_without_breaks_and_curves_it_is_the_plain_search() -> None:
    values = memory(np.random.default_rng(6), 500, 4)
    values[1:, 1] += 0.5 * values[:-1, 0]
    prepared = prepare(panel(values))
    plain = discover(prepared, max_lag=2)
    told = robust_search(panel(values), Search(2), whole=prepared, redraws=Redraws(5))
    assert {replace(link, stability=None) for link in told.links} == {
        link for link in partial_correlation_filter(plain.links, prepared.values,
                                                    prepared.series) if abs(link.strength) >= 0.05}
    assert told.settings["stability"] == {"draws": 5, "seed": 0, "block": 8}
    assert {link.stability for link in told.links if link.cause != link.effect and link.lag == 1} == {1.0}


def test_a_link_that_turns_is_stable_in_its_part_and_says_when_it_holds() -> None:
    rng = np.random.default_rng(8)
    values = memory(rng, 900, 3)
    values[1:, 1] += np.where(np.arange(899) < 450, 0.8, 0.0) * values[:-1, 0]
    values[1:, 2] += np.where(np.arange(899) < 450, 0.0, 0.8) * values[:-1, 0]
    graph = robust_search(panel(values), default_search(2), redraws=Redraws(8))
    first, = (link for link in graph.links if (link.cause.variable, link.effect.variable) == ("s0", "s1"))
    later, = (link for link in graph.links if (link.cause.variable, link.effect.variable) == ("s0", "s2"))
    assert first.note == "holds 2020-01-01 to 2020-01-19" and later.note.endswith("to 2020-02-07")
    assert first.stability == later.stability == 1.0
    assert graph.settings["search"] == asdict(default_search(2)) and "within each part" in " ".join(graph.assumptions)


def test_a_part_that_hardly_saw_a_series_does_not_end_the_search() -> None:
    rng = np.random.default_rng(12)
    values = memory(rng, 1200, 4)
    values[1:, 1] += np.where(np.arange(1199) < 900, 0.8, -0.8) * values[:-1, 0]
    values[:840, 3] = np.nan
    graph = robust_search(panel(values), default_search(8))
    assert any("cannot be searched one by one" in line for line in graph.assumptions)
    assert any((link.cause.variable, link.effect.variable) == ("s0", "s1") for link in graph.links)


def test_curved_redraws_find_the_parabola_again() -> None:
    values = memory(np.random.default_rng(9), 500, 2)
    values[1:, 1] += 0.8 * values[:-1, 0] ** 2
    graph = robust_search(panel(values), default_search(2), redraws=Redraws(6))
    link, = (link for link in graph.links if link.cause != link.effect)
    assert link.stability == 1.0 and any("tested on curves" in line for line in graph.assumptions)


def test_links_that_the_parts_do_not_share_are_not_told() -> None:
    x, y = Series("a", "x"), Series("a", "y")
    told = [Link(x, y, 0, 0.5, 1e-9), Link(x, y, 1, 0.5, 1e-9), Link(y, x, 2, 0.06, 1e-9)]
    values = np.zeros((3000, 2))
    both = [x, y]
    assert replicates(told, values, both, lambda part: told) == tuple(told)
    weak = told[2]  # too weak to be missed
    split = iter([[told[0]], [Link(y, x, 0, 0.5, 1e-9), Link(x, y, 2, 0.5, 1e-9)], [told[0], told[1]]])
    kept = replicates(told, values, both, lambda part: next(split))
    assert not kept[0].oriented and kept[1:] == (told[1], weak)
    assert replicates(told, values, both, lambda part: []) == (weak,)
    unseen = np.full((3000, 2), np.nan)
    assert replicates(told, unseen, both, lambda part: []) == (replace(
        told[0], oriented=False, note="direction not agreed by the parts of the span"), *told[1:])
    assert replicates(told, values, both, lambda part: None) == tuple(told)
    assert replicates(told, values[:100], both, lambda part: []) == tuple(told)
    assert replicates([replace(told[1], known=True)], values, both, lambda part: [])


def test_a_hidden_cause_of_many_series_leaves_no_net_but_true_links_stay() -> None:
    rng = np.random.default_rng(10)
    number, rows = 14, 1500
    values = rng.normal(size=(rows, number)) + 2 * rng.normal(size=(rows, 1))
    values[:, 1] += 1.5 * (own := rng.normal(size=rows))
    values[:, 0] += 1.5 * own
    series = [Series("a", f"s{place}") for place in range(number)]
    net = [Link(series[one], series[other], 0, 0.5, 1e-9, oriented=False)
           for other in range(number) for one in range(other)]
    kept = {(link.cause.variable, link.effect.variable) for link in partial_correlation_filter(net, values, series)}
    assert ("s0", "s1") in kept and len(kept) < len(net) / 3
    inverse = np.linalg.inv(np.cov(values, rowvar=False))  # an independent reference: the partial correlations
    partial = np.abs(inverse / np.sqrt(np.outer(inverse.diagonal(), inverse.diagonal())))
    assert kept == {(one.variable, other.variable) for place, one in enumerate(series)
                    for far, other in enumerate(series) if place < far and partial[place, far] >= 0.1}
    holed = values.copy()
    holed[::2] = np.nan
    assert partial_correlation_filter(net, holed[:100], series) == tuple(net)  # too few rows say nothing


def test_direct_links_survive_when_all_others_are_held_fixed() -> None:
    """The guarantee: an edge of a linear model without hidden causes is seldom taken away."""
    rng, lost, asked = np.random.default_rng(11), 0, 0
    for _ in range(40):
        noise = rng.normal(size=(1000, 6))
        weights = np.tril(rng.choice([0.0, 0.4, -0.4, 0.6], (6, 6), p=[0.6, 0.15, 0.15, 0.1]), -1)
        values = noise @ np.linalg.inv(np.eye(6) - weights).T
        series = [Series("a", str(place)) for place in range(6)]
        true = [Link(series[cause], series[effect], 0, 0.4, 1e-9) for effect, cause in np.argwhere(weights).tolist()]
        asked += len(true)
        lost += len(true) - len(partial_correlation_filter(true, values, series))
    assert lost <= 0.03 * asked


def test_a_long_span_with_a_series_that_began_late() -> None:
    values = memory(np.random.default_rng(13), 3300, 3)
    values[1:, 1] += 0.5 * values[:-1, 0]
    values[:1500, 2] = np.nan
    graph = robust_search(panel(values), default_search(2))
    assert ("s0", "s1", 1) in {(link.cause.variable, link.effect.variable, link.lag) for link in graph.links}


@pytest.mark.parametrize("spoil", ["constant", "copy", "missing", "sum", "short"])
def test_bad_input_is_named_or_left_out(spoil: str) -> None:
    values = memory(np.random.default_rng(7), 400, 4)
    extra = {"constant": np.full(400, 2.0), "copy": values[:, 0], "missing": np.full(400, np.nan),
             "sum": values[:, 0] + values[:, 1], "short": values[:, 1]}[spoil]
    table = np.column_stack([values, extra])
    if spoil == "short":
        with pytest.raises(DiscoverError, match="longer span"):
            robust_search(panel(table[:60]), Search(6))
        return
    graph = robust_search(panel(table), Search(2))
    assert {f"a.s{place}" for place in range(4)} <= {str(one) for one in graph.series}
