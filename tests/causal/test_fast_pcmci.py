"""The compiled PCMCI and PCMCI+ find what tigramite finds: graphs, values, p-values and separating sets."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tigramite.data_processing import DataFrame
from tigramite.independence_tests.parcorr import ParCorr
from tigramite.pcmci import PCMCI

from terracast.causal.fast.parcorr import CovarianceParCorr
from terracast.causal.fast.pcmci import FastPCMCI
from terracast.causal.graph.graph import Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.methods.explorer import explorer, quiet
from terracast.causal.search.engine import Search, search_links

pytestmark = pytest.mark.integration

GAP = 999.0


def world(series: int, length: int, seed: int, same_time: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.eye(series) + same_time * np.tril(rng.normal(size=(series, series)), -1) * (
        rng.random((series, series)) < 0.4)
    lagged = 0.4 * np.eye(series) + 0.3 * (rng.random((series, series)) < 1 / series)
    values = rng.normal(size=(length, series))
    for step in range(1, length):
        values[step] += np.clip(lagged @ values[step - 1], -20, 20)
    return np.asarray(values @ mix.T)


def compare(values: np.ndarray, method: str, tolerance: float = 1e-10, flag: float | None = None,
            by_rounding: float = 0.0, **options: Any) -> FastPCMCI:
    """Both engines say the same; ``by_rounding``: the share of entries that rounding may decide, where series are
    copies of each other and what is left of them is noise of the last digit."""
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for engine, test in ((FastPCMCI, CovarianceParCorr), (PCMCI, ParCorr)):
            made = engine(DataFrame(values.copy(), missing_flag=flag), test())
            found.append((made, getattr(made, method)(**options)))
    (ours, fast), (theirs, slow) = found
    assert (fast["graph"] == slow["graph"]).all()
    for name in ("val_matrix", "p_matrix"):
        off = ~np.isclose(fast[name], slow[name], rtol=0, atol=tolerance, equal_nan=True)
        assert off.mean() <= by_rounding, f"{off.sum()} of {off.size} entries of {name}"
    if method == "run_pcmciplus":
        assert all(fast["sepsets"].get(key, []) == value for key, value in slow["sepsets"].items())
        assert fast["ambiguous_triples"] == slow["ambiguous_triples"]
    else:
        assert ours.all_parents == theirs.all_parents
    return ours  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pcmci(seed: int) -> None:
    engine = compare(world(7, 500, seed), "run_pcmci", tau_max=3, pc_alpha=0.2)
    assert sum(engine.counts.values()) > 300 and engine.cond_ind_test.on_data == 0


@pytest.mark.parametrize("options", [
    {"pc_alpha": 0.05}, {"pc_alpha": 0.01, "contemp_collider_rule": "conservative"},
    {"pc_alpha": 0.2, "contemp_collider_rule": "none", "max_conds_dim": 2},
    {"pc_alpha": 0.05, "max_conds_py": 2, "max_conds_px": 1, "max_conds_px_lagged": 0},
    {"pc_alpha": 0.05, "reset_lagged_links": True}, {"pc_alpha": [0.01, 0.05]}, {"pc_alpha": 0.05, "tau_min": 1}])
def test_pcmciplus(options: dict[str, Any]) -> None:
    compare(world(6, 400, 4), "run_pcmciplus", tau_max=2, **options)


@pytest.mark.parametrize("options", [
    {"max_conds_dim": 2}, {"max_combinations": 3}, {"max_conds_py": 1, "max_conds_px": 2}, {"tau_min": 2},
    {"fdr_method": "fdr_bh"}, {"pc_alpha": None}, {"save_iterations": True}])
def test_pcmci_with_other_settings(options: dict[str, Any]) -> None:
    compare(world(5, 300, 5), "run_pcmci", tau_max=3, **({"pc_alpha": 0.2} | options))


def test_strong_same_time_links_with_vanishing_p_values() -> None:
    rng = np.random.default_rng(6)
    values = 3 * rng.normal(size=(3000, 1)) + rng.normal(size=(3000, 5))
    values[1:] += 0.9 * values[:-1]
    compare(values, "run_pcmciplus", tau_max=1, pc_alpha=0.01)


@pytest.mark.parametrize("method", ["run_pcmci", "run_pcmciplus"])
def test_knowledge_in_any_order(method: str) -> None:
    marks = {0: {(1, -1): "-->", (0, -1): "-->", (2, -2): "-?>", (1, 0): "o?o"},
             1: {(0, 0): "o?o", (1, -1): "-?>", (2, 0): "-->", (0, -2): "-?>"},
             2: {(1, 0): "<--", (2, -1): "-?>", (0, -1): "-?>", (3, 0): "<?-"}, 3: {(2, 0): "-?>", (3, -2): "-?>"}}
    compare(world(4, 400, 7), method, tau_max=2, pc_alpha=0.1, link_assumptions=marks)


@pytest.mark.parametrize("method", ["run_pcmci", "run_pcmciplus"])
def test_gaps(method: str) -> None:
    values = world(5, 400, 8)
    values[np.random.default_rng(0).random(values.shape) < 0.05] = GAP
    compare(values, method, flag=GAP, tau_max=2, pc_alpha=0.1)


@pytest.mark.parametrize("method", ["run_pcmci", "run_pcmciplus"])
def test_copies_near_copies_and_constants(method: str) -> None:
    values, rng = world(4, 600, 9, same_time=0.0), np.random.default_rng(1)
    table = np.column_stack([values, values[:, 0] + 1e-6 * rng.normal(size=600), values[:, 1], np.full(600, 2.0),
                             np.full(600, 0.1), np.roll(values[:, 2], 1), values[:, 0] - values[:, 3]])
    engine = compare(table, method, 1e-8, by_rounding=0.01, tau_max=2, pc_alpha=0.1)
    assert engine.cond_ind_test.on_data > 50


@pytest.mark.parametrize("method", ["PCMCI+", "PCMCI"])
@pytest.mark.parametrize("gaps", [0.0, 0.01])
def test_discovery_with_either_engine(method: str, gaps: float) -> None:
    values = world(6, 500, 11)
    values[np.random.default_rng(2).random(values.shape) < gaps] = np.nan
    series = tuple(Series("air", f"s{one}") for one in range(6))
    marks = Knowledge.parse("air.s1 never causes air.s0\nair.s2 causes air.s3 at lag 1").link_assumptions(series, 2)
    links = [search_links(values, series, marks, Search(2, 0.05, method, same_time_conditions=2,
                                                        lagged_conditions=3, engine=engine))
             for engine in ("fast", "tigramite")]
    assert [(one.cause, one.effect, one.lag, one.oriented, one.known) for one in links[0]] == [
        (one.cause, one.effect, one.lag, one.oriented, one.known) for one in links[1]]
    assert np.allclose([(one.strength, one.p_value) for one in links[0]],
                       [(one.strength, one.p_value) for one in links[1]], rtol=0, atol=1e-11)


def test_robust_tests_keep_tigramites_engine() -> None:
    with quiet():
        engine = explorer(world(3, 100, 1), Search(1, test="RobustParCorr"))
    assert not isinstance(engine, FastPCMCI)
