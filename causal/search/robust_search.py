"""The default search from panels to graph: prepare, cut where the links change, let each part be straight or curved.

What is chosen is chosen from the data by a test, not by hand: parts by ``causal.search.change_points``, curves by
``causal.search.polynomial_parcorr``; what is told, by ``causal.search.link_filters``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import xarray as xr

from terracast.causal.discover import discover, without_redundant
from terracast.causal.graph.graph import CausalGraph, Link
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Preparation, Prepared, PrepareError, prepare
from terracast.causal.search.change_points import spans
from terracast.causal.search.engine import search_links
from terracast.causal.search.link_filters import (
    LONG,
    PARTS,
    WEAKEST,
    WEAKEST_NOW,
    partial_correlation_filter,
    replicates,
    strong_enough,
)
from terracast.causal.search.polynomial_parcorr import DEGREE, LEVEL, nonlinear_links, nonlinearity_p_value
from terracast.causal.search.stability import stability
from terracast.causal.settings import DiscoverError, Progress, Redraw, Search

_CURVED_FROM = 1e-4  # p-value below which straight lines are not enough
_CURVED_COLUMNS = 4000  # curves x lags up to which one covariance is held (128 MB)
_CURVED_NEIGHBOURS = 4  # same-time links of one series up to which curves are searched: beyond, the subsets explode
_LEAST_PART = 250  # steps


def default_search(max_lag: int, alpha: float = 0.01) -> Search:
    """The settings that the command and its benches search with: PCMCI+ whose share of false links is held.

    >>> default_search(8).correction
    'fdr_bh'
    """
    return Search(max_lag, alpha, correction="fdr_bh")


@dataclass(frozen=True)
class Redraws:
    """So many block-bootstrap draws in each part, for the ``stability`` of its links."""

    draws: int = 20
    seed: int = 0


def robust_search(panels: Mapping[str, xr.Dataset], search: Search, *, knowledge: Knowledge | None = None,
                  variables: Mapping[str, Sequence[str]] | None = None, how: Preparation | None = None,
                  whole: Prepared | None = None, redraws: Redraws | None = None,
                  progress: Progress | None = None) -> CausalGraph:
    """The graph of ``panels`` with the settings of ``search``, over parts of the span and with curves where needed.

    Parts: each is prepared for itself and searched at ``alpha`` divided by their number (Bonferroni); a link of any
    part is a link, with a note when it holds. Curves: where squares add to an autoregression (p < 1e-4), no value
    is missing, no series has more than four same-time links and memory allows. Told are links that are strong enough
    and met again in the thirds of a long span. Costs up to four searches, and the redraws.

    Parameters
    ----------
    panels : mapping of str to Dataset, dims (time, node)
        By domain.
    search : Search
        Lags, level and method.
    knowledge : Knowledge, optional
        Links that are known, or known not to be.
    variables : mapping of str to sequence of str, optional
        Which to search, by domain; default all.
    how : Preparation, optional
        How panels become series.
    whole : Prepared, optional
        The panels as prepared, if they are at hand.
    redraws : Redraws, optional
        With it links carry the stability within their part.
    progress : callable, optional
        Told the share done and what is done, in words.

    Returns
    -------
    CausalGraph
        Its ``assumptions`` say what was done.

    Raises
    ------
    PrepareError, DiscoverError, KnowledgeError
        As ``prepare`` and ``discover`` do.

    Examples
    --------
    >>> import pandas as pd
    >>> noise = np.random.default_rng(0).normal(size=(600, 2))
    >>> noise[1:, 1] += noise[:-1, 0] ** 2
    >>> panel = xr.Dataset({name: (("time", "node"), noise[:, [place]], {"units": "1", "long_name": name})
    ...                     for place, name in enumerate("xy")},
    ...                    {"time": pd.date_range("2020-01-01", periods=600, freq="h"), "node": ["all"]},
    ...                    {"domain": "a", "kind": "sensor", "step": "1h"})
    >>> [(str(link.cause), str(link.effect), link.lag) for link in robust_search({"a": panel}, Search(2)).links]
    [('a.x', 'a.y', 1)]
    """
    whole = whole or prepare(panels, variables, how)
    tell = progress or (lambda share, words: None)
    least = max(_LEAST_PART, 4 * len(whole.series) * search.max_lag)
    parts = spans(whole.values, least=least)
    if len(parts) == 1:
        return _one(whole, search, knowledge, redraws, tell)
    level = replace(search, alpha=search.alpha / len(parts))
    graphs = []
    try:
        for number, (start, stop) in enumerate(parts):
            first, last = whole.time[start], whole.time[stop - 1]
            cut = {domain: panel.sel(time=slice(first, last)) for domain, panel in panels.items()}
            graphs.append((first, last, _one(prepare(cut, variables, how), level, knowledge, redraws, _within(
                tell, number / len(parts), 1 / len(parts)))))
    except (DiscoverError, PrepareError) as error:  # a part that hardly saw a series: better one graph than none
        graph = _one(whole, search, knowledge, redraws, tell)
        return replace(graph, assumptions=(*graph.assumptions, "Links change within the span, but its parts cannot be "
                                           f"searched one by one ({error.what}): links are those of the whole."))
    return _united(graphs, search, len(whole.time))


def _within(tell: Progress, start: float, width: float) -> Progress:
    return lambda share, words: tell(start + width * share, words)


def _one(prepared: Prepared, search: Search, knowledge: Knowledge | None, redraws: Redraws | None,
         tell: Progress) -> CausalGraph:
    """The graph of one part."""
    tell(0.0, "searching")
    graph = discover(prepared, max_lag=search.max_lag, search=search, knowledge=knowledge)
    values, series, _ = without_redundant(prepared, search)
    marks = (knowledge or Knowledge()).link_assumptions(series, search.max_lag)
    bent = _bent(values, search, graph)

    def again(part: np.ndarray, redraw: Redraw | None = None) -> tuple[Link, ...]:
        return (nonlinear_links(part, series, marks, search, redraw) if bent
                else search_links(part, series, marks, search, None, redraw))

    if bent:
        told = tuple("Links are straight lines or smooth curves; causes add up; the same over the whole span."
                     if line.startswith("Links are linear") else line for line in graph.assumptions)
        links = sorted(again(values), key=lambda one: (one.effect, one.cause, one.lag))
        graph = replace(graph, links=tuple(links), assumptions=(
            *told, f"Squares add to straight lines (p < {_CURVED_FROM:g}): links were tested on curves, at "
            f"{LEVEL * search.alpha:g}; strengths are roots of partial R squared."))
    if redraws is not None:
        graph = stability(prepared, graph, draws=redraws.draws, seed=redraws.seed, progress=_within(tell, 0.2, 0.6),
                          again=again if bent else None)
    tell(0.8, "searching in thirds")
    return _worth_telling(graph, values, again, straight=not bent)


def _bent(values: np.ndarray, search: Search, graph: CausalGraph) -> bool:
    """Whether curves are needed, and can be had: no gaps, few same-time links, little memory."""
    ends = [one for link in graph.links if link.lag == 0 for one in (link.cause, link.effect)]
    if max((ends.count(one) for one in graph.series), default=0) > _CURVED_NEIGHBOURS:
        return False
    columns = DEGREE * values.shape[1] * (2 * search.max_lag + 1)
    return (search.test == "ParCorr" and search.method in ("PCMCI", "PCMCI+") and columns <= _CURVED_COLUMNS
            and bool(np.isfinite(values).all()) and nonlinearity_p_value(values, min(3, search.max_lag)) < _CURVED_FROM)


def _worth_telling(graph: CausalGraph, values: np.ndarray, again: Callable[[np.ndarray], Sequence[Link]],
                   straight: bool) -> CausalGraph:
    """The graph without weak links, those that all other series explain, and those that parts do not bear out."""
    links, said = strong_enough(graph.links), [f"Links weaker than {WEAKEST:g} are not told"]
    if straight:
        links = partial_correlation_filter(links, values, graph.series)
        said.append(f"nor same-time ones below {WEAKEST_NOW:g} with all other series held fixed")
    if len(values) >= PARTS * LONG:
        links = replicates(links, values, graph.series, _or_none(again))
        said.append("nor what fewer than two thirds of the span have; a same-time direction is told where all agree")
    return replace(graph, links=links, assumptions=(
        *graph.assumptions, f"{', '.join(said)} ({len(graph.links) - len(links)} links left out)."))


def _or_none(again: Callable[[np.ndarray], Sequence[Link]]) -> Callable[[np.ndarray], Sequence[Link] | None]:
    """The search, or None for a part in which a test has no usable data (a series that began later)."""
    def found(part: np.ndarray) -> Sequence[Link] | None:
        try:
            return again(part)
        except (ValueError, np.linalg.LinAlgError, IndexError):
            return None
    return found


def _united(graphs: list[tuple[np.datetime64, np.datetime64, CausalGraph]], search: Search,
            samples: int) -> CausalGraph:
    """The links of all parts, each once with its smallest p-value and a note when it holds."""
    best: dict[tuple[object, ...], Link] = {}
    where: dict[tuple[object, ...], list[int]] = {}
    for number, (_, _, graph) in enumerate(graphs):
        for link in graph.links:
            ends = frozenset((link.cause, link.effect)) if link.lag == 0 else (link.cause, link.effect)
            key = (ends, link.lag)
            where.setdefault(key, []).append(number)
            held = best.get(key)
            if held is None or (link.oriented, -link.p_value) > (held.oriented, -held.p_value):
                best[key] = link
    bounds = [(np.datetime_as_string(first, unit="D"), np.datetime_as_string(last, unit="D"))
              for first, last, _ in graphs]
    links = [link if len(where[key]) == len(graphs) else replace(link, note=_held(where[key], bounds))
             for key, link in best.items()]
    days = ", ".join(f"{first} to {last}" for first, last in bounds)
    model = graphs[0][2]
    lines = dict.fromkeys(line.replace("over the whole span", "within each part")
                          for _, _, graph in graphs for line in graph.assumptions)
    return replace(model, links=tuple(sorted(links, key=lambda one: (one.effect, one.cause, one.lag))),
                   series=tuple(dict.fromkeys(one for _, _, graph in graphs for one in graph.series)),
                   samples=samples, settings={**model.settings, "search": asdict(search)},
                   assumptions=(*lines, f"Links change within the span: searched in {len(graphs)} parts at "
                                        f"{search.alpha:g} / {len(graphs)} each: {days}."),
                   labels={name: text for _, _, graph in graphs for name, text in graph.labels.items()})


def _held(parts: Sequence[int], bounds: Sequence[tuple[str, str]]) -> str:
    """When a link holds; parts in a row are one span.

    >>> _held([0, 1, 3], [("1", "2"), ("3", "4"), ("5", "6"), ("7", "8")])
    'holds 1 to 4 and 7 to 8'
    """
    told: list[str] = []
    for part in parts:
        if told and part - 1 in parts:
            told[-1] = f"{told[-1].split(' to ')[0]} to {bounds[part][1]}"
        else:
            told.append(f"{bounds[part][0]} to {bounds[part][1]}")
    return "holds " + " and ".join(told)
