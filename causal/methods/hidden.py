"""LPCMCI (Gerhardus & Runge, NeurIPS 2020): links that hold although common causes may be unseen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from causal.graph import HIDDEN, MAYBE_HIDDEN, Link, Series
from causal.knowledge import LinkAssumptions
from causal.methods.explorer import framed
from causal.methods.independence import independence_test
from causal.methods.ledger import Ledger
from causal.search import Progress, Redraw, Search

_OPEN = {"-?>": "o?>", "<?-": "<?o"}  # what may be a cause may also only share one


def hidden_links(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search,
                 progress: Progress | None = None, redraw: Redraw | None = None,
                 ledger: Ledger | None = None) -> tuple[Link, ...]:
    """The links of LPCMCI's graph, each with what its marks say.

    ``-->``: a cause (an ancestor), oriented. ``o->``: a cause, or a hidden common cause, or both; the effect is
    none of the cause's causes. ``<->``: neither drives the other, a hidden cause drives both. The last two are
    not oriented and carry the word in ``note``. Knowledge holds as in the other methods: a forbidden link is
    left out even where a hidden cause would show as one. Its limit: where an unseen cause reaches two series
    with memory of their own at different lags, no finite set separates their pasts, and an arrow may be given
    all the same (seen in simulations, in tigramite's own runs too). Tests are O(series^2 x lags x subsets); the caps of
    ``search`` hold (Gerhardus & Runge's p and q), so large neighbourhoods are searched in part.
    """
    from tigramite.lpcmci import LPCMCI

    said = progress or (lambda share, words: None)

    class Explorer(LPCMCI):  # type: ignore[misc]
        def _run_ancestral_removal_phase(self, prelim: bool = False) -> Any:
            said(0.05 if prelim else 0.4, "causes, first look" if prelim else "causes")
            return super()._run_ancestral_removal_phase(prelim=prelim)

        def _run_non_ancestral_removal_phase(self) -> Any:
            said(0.7, "hidden causes")
            return super()._run_non_ancestral_removal_phase()

    asked = {effect: {node: _OPEN.get(mark, mark) for node, mark in causes.items()}
             for effect, causes in marks.items()}
    engine = Explorer(framed(values, redraw), independence_test(search, ledger), verbosity=0)
    results = engine.run_lpcmci(
        link_assumptions=asked, tau_min=0, tau_max=search.max_lag, pc_alpha=search.alpha,
        max_p_global=search.same_time_conditions, max_p_non_ancestral=search.same_time_conditions,
        max_pds_set=search.lagged_conditions)
    said(1.0, "done")
    return tuple(_read(results, series, marks, search))


def _read(results: dict[str, Any], series: Sequence[Series], marks: LinkAssumptions,
          search: Search) -> Iterator[Link]:
    graph, strength, p_value = results["graph"], results["val_matrix"], results["p_matrix"]
    places = range(len(series))
    lagged = itertools.product(places, places, range(1, search.max_lag + 1))
    for first, second, lag in itertools.chain(lagged, ((*pair, 0) for pair in itertools.combinations(places, 2))):
        mark = graph[first, second, lag]
        if not mark:
            continue
        cause, effect = (second, first) if mark[0] == "<" and mark[2] in "-o" else (first, second)
        if mark[0] == "<" and mark[2] in "-o":
            mark = {"-": "-", "o": "o"}[mark[2]] + "->"
        known = marks[effect].get((cause, -lag)) == "-->"
        yield Link(series[cause], series[effect], lag, float(strength[first, second, lag]),
                   float(p_value[first, second, lag]), oriented=mark == "-->" or known, known=known,
                   note=word_of(mark))


def word_of(mark: str) -> str:
    """What a mark of LPCMCI says beyond a plain arrow.

    >>> word_of("-->"), word_of("o->"), word_of("<->"), word_of("o-o")
    ('', 'hidden common cause possible', 'hidden common cause', 'direction open, hidden common cause possible')
    """
    if "x" in mark:
        return "directions contradict each other"
    return {"-->": "", "o->": MAYBE_HIDDEN, "<->": HIDDEN}.get(mark, f"direction open, {MAYBE_HIDDEN}")
