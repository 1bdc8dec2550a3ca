"""tigramite's PCMCI and PCMCI+ with their three costly loops compiled; results equal, to rounding."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
from tigramite.pcmci import PCMCI

from terracast.causal.fast.covariance import LaggedCorrelation
from terracast.causal.fast.momentary import LinkTests
from terracast.causal.fast.parcorr import CovarianceParCorr
from terracast.causal.fast.parents import Candidates, ParentSearch
from terracast.causal.fast.skeleton import PairOutcome, SeriesPair, SubsetTests

_OPEN_ENDS = ("<--", "<?-")  # marks of links that leave the series they are listed for


class FastPCMCI(PCMCI):  # type: ignore[misc]
    """``PCMCI`` for ``CovarianceParCorr``: whole levels of tests at once where the data are without gaps.

    With gaps, or whatever the covariance does not serve, tigramite's own loops run, with the same answers.

    >>> from tigramite.data_processing import DataFrame
    >>> noise = np.random.default_rng(0).normal(size=(300, 3))
    >>> noise[1:, 1] += noise[:-1, 0]
    >>> found = FastPCMCI(DataFrame(noise), CovarianceParCorr()).run_pcmciplus(tau_max=2, pc_alpha=0.01)
    >>> [tuple(int(one) for one in link) for link in np.argwhere(found["graph"] != "")]
    [(0, 1, 1)]
    """

    def __init__(self, dataframe: Any, cond_ind_test: Any, verbosity: int = 0) -> None:
        super().__init__(dataframe, cond_ind_test, verbosity)
        self.counts: dict[int, int] = defaultdict(int)
        self.only: frozenset[int] | None = None  # the targets to do; None: all

    def _asked(self, target: int) -> bool:
        return self.only is None or target in self.only

    def _report_progress(self, share: float, words: str) -> None:
        """Hears how far a run is; for those who inherit."""

    def _fast(self, gaps: bool = False) -> bool:
        test = self.cond_ind_test
        return bool(isinstance(test, CovarianceParCorr) and test.from_covariance and (gaps or not test.has_gaps)
                    and self.verbosity == 0 and test.confidence is None)

    def _covariance(self, tau_max: int) -> LaggedCorrelation:
        return self.cond_ind_test.covariance(tau_max)  # type: ignore[no-any-return]

    def run_pc_stable(self, selected_links: Any = None, link_assumptions: Any = None, tau_min: int = 1,
                      tau_max: int = 1, save_iterations: bool = False, pc_alpha: Any = 0.2,
                      max_conds_dim: int | None = None, max_combinations: int = 1) -> Any:
        """See ``PCMCI.run_pc_stable``."""
        plain = isinstance(pc_alpha, int | float) and 0 <= pc_alpha < 1 and tau_max > 0 and max_combinations == 1
        if not self._fast(gaps=True) or not plain or save_iterations or selected_links is not None:
            return super().run_pc_stable(selected_links, link_assumptions, tau_min, tau_max, save_iterations,
                                         pc_alpha, max_conds_dim, max_combinations)
        self._check_tau_limits(tau_min, tau_max)
        least = max(1, tau_min)
        candidates = self._candidates(link_assumptions, least, tau_max)
        search = ParentSearch(self.cond_ind_test.tests(tau_max), float(pc_alpha), self.cond_ind_test.exact)
        found = search.run(candidates, self._set_max_condition_dim(max_conds_dim, least, tau_max),
                           lambda depth: self._report_progress(0.4 * (1 - 0.7**depth), "lagged conditions"))
        self._count(search.counts)
        self.val_matrix = np.zeros((self.N, self.N, tau_max + 1))
        self.p_matrix = np.ones((self.N, self.N, tau_max + 1))
        self.all_parents: dict[int, Any] = {}
        self.val_min: dict[int, Any] = {}
        self.pval_max: dict[int, Any] = {}
        self.iterations: dict[str, Any] = {}
        for target, (asked, one) in enumerate(zip(candidates, found, strict=True)):
            lag, cause = np.divmod(asked.columns, self.N)
            self.val_matrix[cause, target, lag], self.p_matrix[cause, target, lag] = one.value, one.p_value
            parents = self._nodes(one.columns)
            self.all_parents[target] = parents
            self.val_min[target] = dict(zip(parents, one.weakest.tolist(), strict=True))
            self.pval_max[target] = dict(zip(self._nodes(asked.columns), one.p_value.tolist(), strict=True))
        return self.all_parents

    def _count(self, counts: dict[int, int]) -> None:
        for size, number in counts.items():
            self.counts[size] += number

    def _nodes(self, columns: np.ndarray) -> list[tuple[int, int]]:
        return [(int(column) % self.N, -(int(column) // self.N)) for column in columns]

    def _columns(self, nodes: Any) -> np.ndarray:
        return np.array([-lag * self.N + place for place, lag in nodes], dtype=np.int64)

    def _candidates(self, link_assumptions: Any, tau_min: int, tau_max: int) -> list[Candidates]:
        nothing = Candidates(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
        if link_assumptions is None and tau_min == 1:
            everything = Candidates.everything(self.N, tau_max)
            return [everything if self._asked(target) else nothing for target in range(self.N)]
        marks = self._set_link_assumptions(link_assumptions, tau_min, tau_max, remove_contemp=True)
        found = []
        for target in range(self.N):
            if not self._asked(target):
                found.append(nothing)
                continue
            asked = [(node, mark) for node, mark in marks[target].items()
                     if node != (target, 0) and mark not in _OPEN_ENDS and node[1] < 0]
            found.append(Candidates(self._columns([node for node, _ in asked]),
                                    np.array([mark == "-->" for _, mark in asked], dtype=bool)))
        return found

    def _run_mci_or_variants(self, **options: Any) -> Any:
        tau_max, alpha = options["tau_max"], options.get("alpha_level", 0.05)
        if not self._fast() or options.get("val_only") or tau_max == 0 or not 0 <= alpha < 1:
            return super()._run_mci_or_variants(**options)
        marks = self._set_link_assumptions(options.get("link_assumptions"), options["tau_min"], tau_max)
        parents = self._get_int_parents(options.get("parents"))
        own, shifted = ([self._columns(parents[one][:options.get(side)]) for one in range(self.N)]
                        for side in ("max_conds_py", "max_conds_px"))
        tests = LinkTests(self._covariance(tau_max), own, shifted, self.cond_ind_test.exact)
        values, p_found = np.zeros((self.N, self.N, tau_max + 1)), np.ones((self.N, self.N, tau_max + 1))
        for target in filter(self._asked, range(self.N)):
            self._report_progress(0.4 + 0.6 * target / self.N, "testing links")
            for (place, lag), mark in marks[target].items():
                if mark in ("-->", "o-o"):
                    values[place, target, -lag], p_found[place, target, -lag] = 1.0, 0.0
            asked = self._columns([node for node, mark in marks[target].items() if node != (target, 0)
                                   and mark not in (*_OPEN_ENDS, "-->", "o-o")])
            lag, cause = np.divmod(asked, self.N)
            values[cause, target, lag], p_found[cause, target, lag] = tests.of(target, asked)
        self._count(tests.counts)
        return self._mci_results(values, p_found, marks, options)

    def _mci_results(self, values: np.ndarray, p_found: np.ndarray, marks: Any, options: dict[str, Any]) -> Any:
        if options.get("fdr_method", "none") != "none":
            p_found = self.get_corrected_pvalues(
                p_matrix=p_found, tau_min=options["tau_min"], tau_max=options["tau_max"], link_assumptions=marks,
                fdr_method=options["fdr_method"])
        graph = self.convert_to_string_graph(p_found <= options.get("alpha_level", 0.05))
        self.results = {"graph": graph, **self.symmetrize_p_and_val_matrix(
            p_matrix=p_found, val_matrix=values, link_assumptions=marks, conf_matrix=None)}
        return self.results

    def _pcalg_skeleton(self, **options: Any) -> Any:
        parents = options["lagged_parents"]
        if not self._fast() or options["mode"] != "contemp_conds" or parents is None or options["tau_max"] == 0 \
                or options["max_combinations"] != np.inf or not 0 <= options["pc_alpha"] < 1:
            return super()._pcalg_skeleton(**options)
        return _Skeleton(self, options).run()


class _Skeleton:
    """One run of the skeleton phase."""

    def __init__(self, engine: FastPCMCI, options: dict[str, Any]) -> None:
        self.engine, self.options, self.series = engine, options, engine.N
        self.graph = options["initial_graph"]
        self.graph[range(self.series), range(self.series), 0] = ""
        self.there = self.graph != ""
        self.certain = np.char.find(self.graph, "-", 1, 2) == 1
        self.value = np.zeros(self.graph.shape)
        self.p_value = np.where(self.there, 0.0, 1.0)
        self.weakest = np.where(self.there, np.inf, 0.0)
        self.sets: dict[Any, list[Any]] = defaultdict(list)
        found = engine._covariance(options["tau_max"])
        parents = options["lagged_parents"]
        lagged_limit = options["max_conds_px_lagged"]
        self.own = [engine._columns(parents[one][:options["max_conds_py"]]) for one in range(self.series)]
        self.far = [engine._columns(parents[one][:options["max_conds_px"] if lagged_limit is None else lagged_limit])
                    for one in range(self.series)]
        self.same = [engine._columns(parents[one][:options["max_conds_px"]]) for one in range(self.series)]
        widest = max(map(len, self.own)) + max(*map(len, self.same), *map(len, self.far)) + self.series + 2
        self.tests = SubsetTests(found, options["pc_alpha"], widest)

    def run(self) -> dict[str, Any]:
        neighbours = [np.flatnonzero(self.there[:, target, 0]) for target in range(self.series)]
        size = 0
        while size <= self.options["max_conds_dim"]:
            waiting = self._waiting(neighbours, size)
            if not len(waiting):
                break
            self.engine._report_progress(0.8 - 0.4 * 0.7**size, "testing links")
            # of a same-time pair the later half is only tried if the earlier half leaves the link
            late = (waiting[:, 2] == 0) & (waiting[:, 0] > waiting[:, 1])
            for half in (waiting[~late], waiting[late]):
                self._level([tuple(int(one) for one in link) for link in half if self.there[tuple(link)]],
                            neighbours, size)
            size += 1
            neighbours = [self._sorted(target) for target in range(self.series)]
        self.graph[~self.there] = ""
        return {"graph": self.graph, "sepsets": self.sets, "p_matrix": self.p_value, "val_matrix": self.value}

    def _waiting(self, neighbours: list[np.ndarray], size: int) -> np.ndarray:
        near = np.array([len(one) for one in neighbours])[None, :, None] - np.zeros(self.there.shape, dtype=int)
        near[:, :, 0] -= self.there[:, :, 0]
        links = np.argwhere(self.there & (near >= size))
        return links[links[:, 2] >= self.options["tau_min"]]

    def _sorted(self, target: int) -> np.ndarray:
        near = np.flatnonzero(self.there[:, target, 0])
        return np.asarray(near[np.argsort(-self.weakest[near, target, 0], kind="stable")])

    def _pair(self, link: tuple[int, ...], near: np.ndarray) -> SeriesPair:
        place, target, lag = link
        cause = lag * self.series + place
        own = self.own[target][self.own[target] != cause]
        side = (self.far if lag else self.same)[place] + lag * self.series
        given = np.concatenate([own, side[~np.isin(side, own)]])
        return SeriesPair(cause, target, given, near[near != place] if lag == 0 else near)

    def _level(self, links: list[tuple[int, ...]], neighbours: list[np.ndarray], size: int) -> None:
        for link in links:
            if self.certain[link]:
                self.value[link], self.weakest[link] = 1.0, min(1.0, self.weakest[link])
        links = [link for link in links if not self.certain[link]]
        pairs = [self._pair(link, neighbours[link[1]]) for link in links]
        for link, pair, found in zip(links, pairs, self.tests.run(pairs, size), strict=True):
            self.engine.counts[len(pair.lagged) + size + 2] += 1
            self._note(link, found if found.sure else self._on_data(pair, size))

    def _on_data(self, pair: SeriesPair, size: int) -> PairOutcome:
        """A pair's level test by test, where the covariance is not sure."""
        best, value, weakest = -1.0, 0.0, np.inf
        answer = self.engine.cond_ind_test.run_test
        cause, (target, *_) = self.engine._nodes(np.array([pair.cause]))[0], (pair.target,)
        for subset in itertools.combinations(pair.neighbours.tolist(), size):
            given = self.engine._nodes(np.concatenate([np.array(subset, dtype=np.int64), pair.lagged]))
            one, p_value, dependent = answer([cause], [(target, 0)], given, self.options["tau_max"],
                                             alpha_or_thres=self.options["pc_alpha"])
            weakest = min(abs(one), weakest)
            if p_value >= best:
                best, value = p_value, one
            if not dependent:
                return PairOutcome(subset, value, best, weakest, True)
        return PairOutcome(None, value, best, weakest, True)

    def _note(self, link: tuple[int, ...], found: PairOutcome) -> None:
        place, target, lag = link
        self.weakest[link] = min(found.weakest, self.weakest[link])
        if found.p_value >= self.p_value[link]:
            self.p_value[link], self.value[link] = found.p_value, found.value
        if found.separated_by is None:
            return
        self.there[link] = False
        separating = [(int(one), 0) for one in found.separated_by]
        self.sets[(place, -lag), target] = separating
        if lag == 0:
            self.there[target, place, 0] = False
            self.sets[(target, 0), place] = separating
            self.p_value[target, place, 0] = self.p_value[link]
