"""The one place that calls tigramite: matrix and settings in, links out; silent, one BLAS thread, capped."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from causal.graph import Link, Series
from causal.knowledge import LinkAssumptions

METHODS = ("PCMCI+", "PCMCI")
TESTS = ("ParCorr", "RobustParCorr")
ENGINES = ("fast", "tigramite")
_FLAG = 987654.25  # stands for a gap; standardised series never come near it

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Search:
    """The settings of a search, all of them stated in the graph.

    ``condition_alpha`` is the level at which PCMCI picks lagged conditions (0.2 in the literature costs
    ten times more for forty series; PCMCI+ picks at ``alpha``). ``same_time_conditions`` caps how many
    same-time series a test conditions on at once, ``lagged_conditions`` how many lagged parents of each
    side (strongest first), ``majority_degree`` the number of same-time neighbours up to which directions
    are voted over all their subsets; beyond it the plain collider rule is used. Without these caps strong
    same-time links make PCMCI+ combinatorial. ``engine`` "fast" answers ParCorr from one lagged covariance
    (see ``causal.fast``), with tigramite's own results; "tigramite" is the reference it is tested against.
    """

    max_lag: int
    alpha: float = 0.01
    method: str = "PCMCI+"
    test: str = "ParCorr"
    condition_alpha: float = 0.05
    same_time_conditions: int = 3
    lagged_conditions: int = 30
    majority_degree: int = 6
    engine: str = "fast"


@dataclass(frozen=True)
class Redraw:
    """A block-bootstrap draw of time steps."""

    seed: int
    block: int


def search_links(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search,
                 progress: Progress | None = None, redraw: Redraw | None = None) -> tuple[Link, ...]:
    """Search the links among columns of ``values`` (time, series; NaN = gap) that ``marks`` leaves open.

    Cost grows with series^2 x lags and with the cube of the number of conditions (see ``Search``); with gaps,
    or with the engine "tigramite", also with time.
    """
    with _quiet(), threadpool_limits(1):
        explorer = _explorer(values, search, progress, redraw)
        if search.method == "PCMCI+":
            results = explorer.run_pcmciplus(
                link_assumptions=marks, tau_min=0, tau_max=search.max_lag, pc_alpha=search.alpha,
                max_conds_py=search.lagged_conditions, max_conds_px=search.lagged_conditions)
        else:
            results = explorer.run_pcmci(
                link_assumptions=marks, tau_min=0, tau_max=search.max_lag, pc_alpha=search.condition_alpha,
                alpha_level=search.alpha, max_conds_py=search.lagged_conditions,
                max_conds_px=search.lagged_conditions)
        links = list(_read(results, series, marks, search))
        return tuple(_measured(link, links, explorer, series, search) if link.known else link
                     for link in links)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """tigramite prints on import and warns on thin data; a user's terminal sees neither."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _explorer(values: np.ndarray, search: Search, progress: Progress | None, redraw: Redraw | None) -> Any:
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.independence_tests.robust_parcorr import RobustParCorr
    from tigramite.pcmci import PCMCI

    from causal.fast.parcorr import CovarianceParCorr
    from causal.fast.pcmci import FastPCMCI

    frame = DataFrame(np.where(np.isfinite(values), values, _FLAG), missing_flag=_FLAG)
    if redraw is not None:
        frame.bootstrap = {"boot_blocklength": redraw.block,
                           "random_state": np.random.default_rng(redraw.seed)}
    test: Any = {"ParCorr": ParCorr, "RobustParCorr": RobustParCorr}[search.test]
    base: Any = PCMCI
    if search.engine == "fast" and search.test == "ParCorr":
        test, base = CovarianceParCorr, FastPCMCI
    return _capped(base)(frame, test(significance="analytic"), search, progress)


@functools.cache
def _capped(base: Any) -> Any:
    """``base`` (PCMCI or its fast twin) with the caps of ``Search`` and a word on progress."""

    class Explorer(base):  # type: ignore[misc]
        def __init__(self, frame: Any, test: Any, search: Search, progress: Progress | None) -> None:
            super().__init__(dataframe=frame, cond_ind_test=test, verbosity=0)
            self.search, self.progress = search, progress or (lambda share, words: None)

        def _said(self, share: float, words: str) -> None:
            self.progress(share, words)

        def _run_pc_stable_single(self, j: int, **options: Any) -> Any:
            self.progress(0.4 * j / self.N, "lagged conditions")
            return super()._run_pc_stable_single(j, **options)

        def _pcmciplus_mci_skeleton_phase(self, **options: Any) -> Any:
            self.progress(0.4, "testing links")
            return super()._pcmciplus_mci_skeleton_phase(
                **options | {"max_conds_dim": self.search.same_time_conditions})

        def _pcmciplus_collider_phase(self, skeleton_graph: Any, *rest: Any, **options: Any) -> Any:
            self.progress(0.8, "directions")
            degree = (skeleton_graph[:, :, 0] != "").sum(axis=1).max()
            if degree > self.search.majority_degree:
                options["contemp_collider_rule"] = "none"
            return super()._pcmciplus_collider_phase(skeleton_graph, *rest, **options)

    return Explorer


def _read(results: dict[str, Any], series: Sequence[Series], marks: LinkAssumptions,
          search: Search) -> Iterator[Link]:
    """Links from tigramite's arrays; a direction fixed by knowledge stays fixed whatever the rules voted."""
    graph, strength, p_value = results["graph"], results["val_matrix"], results["p_matrix"]
    places = range(len(series))
    for cause, effect, lag in itertools.product(places, places, range(1, search.max_lag + 1)):
        if graph[cause, effect, lag] == "-->":
            yield Link(series[cause], series[effect], lag, float(strength[cause, effect, lag]),
                       float(p_value[cause, effect, lag]), known=marks[effect].get((cause, -lag)) == "-->")
    for cause, effect in itertools.combinations(places, 2):
        mark = marks[effect].get((cause, 0), "")
        there = graph[cause, effect, 0] != "" if search.method == "PCMCI+" else bool(
            max(p_value[cause, effect, 0], p_value[effect, cause, 0]) <= search.alpha)
        if not mark or not there:
            continue
        voted = mark if mark != "o?o" else graph[cause, effect, 0]
        oriented = voted[0] == "<" or voted[2] == ">"
        oriented = oriented and (mark != "o?o" or search.method == "PCMCI+")
        first, last = (effect, cause) if oriented and voted[0] == "<" else (cause, effect)
        yield Link(series[first], series[last], 0, float(strength[cause, effect, 0]),
                   float(p_value[cause, effect, 0]), oriented=oriented, known=mark in ("-->", "<--"))


def _measured(link: Link, links: list[Link], explorer: Any, series: Sequence[Series], search: Search) -> Link:
    """A link put in by knowledge, with its partial correlation given the effect's other causes."""
    place = {one: number for number, one in enumerate(series)}
    others = [(place[one.cause], -one.lag) for one in links
              if one.effect == link.effect and one.oriented
              and (one.cause, one.lag) != (link.cause, link.lag)]
    value, p_value = explorer.cond_ind_test.run_test(
        X=[(place[link.cause], -link.lag)], Y=[(place[link.effect], 0)], Z=others, tau_max=search.max_lag)[:2]
    return Link(link.cause, link.effect, link.lag, float(value), float(p_value), known=True)
