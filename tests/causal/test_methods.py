"""Each method and test of tigramite behind discover, on a small world where its property shows."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.causal.discover import DiscoverError, discover
from terracast.causal.graph.graph import CausalGraph, Series
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.settings import Search

pytestmark = pytest.mark.integration

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
    ({"test": "CMIknn", "shuffles": 50}, "at least 100"), ({"method": "LPCMCI"}, "one of PCMCI")])
def test_settings_that_do_not_go_together_are_one_line(settings: dict[str, object], words: str) -> None:
    data = prepared(np.random.default_rng(0).normal(size=(200, 2)), (RAIN, FLOW))
    with pytest.raises(DiscoverError, match=words) as caught:
        discover(data, max_lag=1, search=Search(1, **settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_bad_series_are_named() -> None:
    values = np.random.default_rng(9).normal(size=(150, 2))
    table = np.column_stack([values, values[:, 1], np.full(150, 3.0)])
    names = (RAIN, FLOW, Series("x", "copy"), Series("x", "flat"))
    assert discover(prepared(table, names), max_lag=1).series == (RAIN, FLOW)
    with pytest.raises(DiscoverError, match="20 complete steps"):
        discover(prepared(table[:20], names), max_lag=1)
