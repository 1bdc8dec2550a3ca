"""From matrix and settings to links: the method's own room does the search; silent, one BLAS thread, capped."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control
from threadpoolctl import threadpool_limits

from terracast.causal.graph.graph import Link, Series
from terracast.causal.knowledge import LinkAssumptions
from terracast.causal.methods.explorer import drawing, explorer, quiet
from terracast.causal.settings import ENGINES, METHODS, TESTS, Progress, Redraw, Search

__all__ = ["ENGINES", "METHODS", "TESTS", "Progress", "Redraw", "Search", "search_links"]


def search_links(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search,
                 progress: Progress | None = None, redraw: Redraw | None = None) -> tuple[Link, ...]:
    """Search the links among columns of ``values`` (time, series; NaN = gap) that ``marks`` leaves open.

    Cost grows with series^2 x lags and with the cube of the number of conditions (see ``Search``); with gaps, or with
    the engine "tigramite", also with time.
    """
    with quiet(), threadpool_limits(1):
        return _links(explorer(values, search, progress, redraw), series, marks, search)


def redrawn_links(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search,
                  redraws: Iterable[Redraw]) -> Iterator[tuple[Link, ...]]:
    """``search_links`` on each block-bootstrap draw of time steps, with one engine for all draws."""
    with quiet():
        engine = explorer(values, search)
    for redraw in redraws:
        with quiet():
            engine.dataframe.bootstrap = drawing(redraw)
            found = _links(engine, series, marks, search)
        yield found


def _links(engine: Any, series: Sequence[Series], marks: LinkAssumptions, search: Search) -> tuple[Link, ...]:
    if search.method == "PCMCI+":
        results = engine.run_pcmciplus(
            link_assumptions=marks, tau_min=0, tau_max=search.max_lag, pc_alpha=search.alpha,
            max_conds_py=search.lagged_conditions, max_conds_px=search.lagged_conditions)
    else:
        results = engine.run_pcmci(
            link_assumptions=marks, tau_min=0, tau_max=search.max_lag, pc_alpha=search.condition_alpha,
            alpha_level=search.alpha, max_conds_py=search.lagged_conditions,
            max_conds_px=search.lagged_conditions)
    links = list(read_links(results, series, marks, search))
    return tuple(_measured(link, links, engine, series, search) if link.known else link for link in links)


def read_links(results: dict[str, Any], series: Sequence[Series], marks: LinkAssumptions,
               search: Search) -> Iterator[Link]:
    """Links from tigramite's arrays; a direction fixed by knowledge stays fixed whatever the rules voted.

    With a correction, p-values are corrected over all links that were open, same-time pairs once, and those
    above ``alpha`` leave. (tigramite's own correction leaves same-time links out, and PCMCI+'s graph as it was.)
    """
    graph, strength = results["graph"], results["val_matrix"]
    p_value = results["p_matrix"] if search.correction == "none" else _corrected(results["p_matrix"], marks)
    sure = np.ones(p_value.shape, dtype=bool) if search.correction == "none" else p_value <= search.alpha
    places = range(len(series))
    for cause, effect, before in np.argwhere(graph[:len(series), :len(series), 1:] == "-->").tolist():
        lag = before + 1
        known = marks[effect].get((cause, -lag)) == "-->"
        if known or sure[cause, effect, lag]:
            yield Link(series[cause], series[effect], lag, float(strength[cause, effect, lag]),
                       float(p_value[cause, effect, lag]), known=known)
    for cause, effect in itertools.combinations(places, 2):
        mark = marks[effect].get((cause, 0), "")
        there = graph[cause, effect, 0] != "" if search.method != "PCMCI" else bool(
            max(p_value[cause, effect, 0], p_value[effect, cause, 0]) <= search.alpha)
        known = mark in ("-->", "<--")
        if not mark or not there or not (known or sure[cause, effect, 0]):
            continue
        voted = mark if mark != "o?o" else graph[cause, effect, 0]
        oriented = voted[0] == "<" or voted[2] == ">"
        oriented = oriented and (mark != "o?o" or search.method != "PCMCI")
        first, last = (effect, cause) if oriented and voted[0] == "<" else (cause, effect)
        yield Link(series[first], series[last], 0, float(strength[cause, effect, 0]),
                   float(p_value[cause, effect, 0]), oriented=oriented, known=known)


def _corrected(p_value: np.ndarray, marks: LinkAssumptions) -> np.ndarray:
    """p-values by Benjamini and Hochberg (1995) over the links that ``marks`` leaves open."""
    open_links = [(cause, effect, -lag) for effect, causes in marks.items() for (cause, lag), mark in causes.items()
                  if mark[1] == "?" and (lag < 0 or cause < effect)]
    found = p_value.copy()
    if open_links:
        cause, effect, lag = np.array(open_links).T
        raw = np.where(lag == 0, np.maximum(p_value[cause, effect, 0], p_value[effect, cause, 0]),
                       p_value[cause, effect, lag])
        found[cause, effect, lag] = false_discovery_control(np.clip(raw, 0.0, 1.0))
        found[effect[lag == 0], cause[lag == 0], 0] = found[cause[lag == 0], effect[lag == 0], 0]
    return found


def _measured(link: Link, links: list[Link], engine: Any, series: Sequence[Series], search: Search) -> Link:
    """A link put in by knowledge, with its partial correlation given the effect's other causes."""
    place = {one: number for number, one in enumerate(series)}
    others = [(place[one.cause], -one.lag) for one in links
              if one.effect == link.effect and one.oriented
              and (one.cause, one.lag) != (link.cause, link.lag)]
    value, p_value = engine.cond_ind_test.run_test(
        X=[(place[link.cause], -link.lag)], Y=[(place[link.effect], 0)], Z=others, tau_max=search.max_lag)[:2]
    return Link(link.cause, link.effect, link.lag, float(value), float(p_value), known=True)
