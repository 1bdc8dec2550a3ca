"""RPCMCI (Saggioro, de Wiljes, Kretschmer & Runge, Chaos 2020): regimes of time, each with its own links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from causal.engine import read_links
from causal.graph import Link, Series
from causal.knowledge import LinkAssumptions
from causal.methods.explorer import framed, quiet
from causal.methods.independence import check_package
from causal.search import DiscoverError, Progress, Search


@dataclass(frozen=True, eq=False)
class Regimes:
    """``links`` per regime, and ``member`` (time,), the regime of each step; -1 where no regime can be told
    (the first ``max_lag`` steps). The regime of the first step that can be told has number 0."""

    links: tuple[tuple[Link, ...], ...]
    member: np.ndarray

    def spans(self) -> list[list[int]]:
        """Stretches [first step, step after the last, regime], in order of time.

        >>> Regimes((), np.array([0, 0, 1, 0])).spans()
        [[0, 2, 0], [2, 3, 1], [3, 4, 0]]
        """
        ends = [0, *(np.flatnonzero(np.diff(self.member)) + 1).tolist(), len(self.member)]
        return [[first, last, int(self.member[first])] for first, last in pairwise(ends)
                if self.member[first] >= 0]

    def together(self) -> tuple[Link, ...]:
        """Every link once, the strongest of its regimes, with the regimes in ``note`` unless it holds in all."""
        found: dict[tuple[Series, Series, int], list[tuple[int, Link]]] = {}
        for number, links in enumerate(self.links):
            for link in links:
                found.setdefault((link.cause, link.effect, link.lag), []).append((number, link))
        told = []
        for held in found.values():
            best = max((link for _, link in held), key=lambda link: abs(link.strength))
            where = " and ".join(str(number + 1) for number, _ in held)
            note = "" if len(held) == len(self.links) else f"only in regime {where}"
            told.append(replace(best, note=note))
        return tuple(told)


def regimes(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search,
            progress: Progress | None = None) -> Regimes:
    """Split time into ``search.regimes`` regimes so that each one's parents predict best, and link each.

    Alternates PCMCI within each regime and an assignment of steps (linear programme, at most
    ``search.transitions`` changes a regime), from ``search.annealings`` random starts; the best fit wins.
    Same-time links are left out (PCMCI cannot orient them, and they would leak into the prediction). Each
    start costs some ten rounds of tigramite's PCMCI on the data plus linear programmes of O(regimes x time^2)
    terms: minutes beyond some 1,000 steps. Raises ``DiscoverError`` where no start converges.
    """
    check_package("RPCMCI")
    with quiet(), threadpool_limits(1):
        engine = _engine(values, marks, search, progress)
        found = engine.run_rpcmci(
            num_regimes=search.regimes, max_transitions=search.transitions, max_anneal=search.annealings,
            tau_min=1, tau_max=search.max_lag, pc_alpha=search.condition_alpha, alpha_level=search.alpha,
            n_jobs=1)
        if found is None:
            raise DiscoverError(f"no split into {search.regimes} regimes converged", where="RPCMCI",
                              expected="regimes that leave enough steps each",
                              remedy="ask for fewer regimes, more transitions or more annealings")
        member = np.asarray(found["regimes"]).argmax(axis=0)
        order = list(dict.fromkeys(member[search.max_lag:].tolist()))
        order += [one for one in range(search.regimes) if one not in order]
        plain = replace(search, method="PCMCI")
        lagged = {effect: {node: mark for node, mark in causes.items() if node[1] < 0}
                  for effect, causes in marks.items()}
        links = tuple(tuple(read_links(found["causal_results"][one], series, lagged, plain)) for one in order)
    renamed = np.array([order.index(one) for one in member.tolist()])
    renamed[:search.max_lag] = -1
    return Regimes(links, renamed)


def _engine(values: np.ndarray, marks: LinkAssumptions, search: Search, progress: Progress | None) -> Any:
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.rpcmci import RPCMCI

    lagged = {effect: {node: mark for node, mark in causes.items() if node[1] < 0}
              for effect, causes in marks.items()}
    said = progress or (lambda share, words: None)

    class Explorer(RPCMCI):  # type: ignore[misc]
        rounds = 0

        def run_pcmci(self, **options: Any) -> Any:
            type(self).rounds += 1  # upstream stops after at most 20 rounds a start; most take fewer
            share = self.rounds / (20 * search.regimes * search.annealings)
            said(share, f"regimes, round {self.rounds}")
            return super().run_pcmci(**options, link_assumptions=lagged, max_conds_py=search.lagged_conditions,
                                     max_conds_px=search.lagged_conditions)

    return Explorer(framed(values), ParCorr(significance="analytic"), seed=search.seed, verbosity=0)
