"""The rows of the causal bench: our default, tigramite's two, Granger's test in a VAR, and plain correlation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from terracast.benchmarks.causal.scores import Edge, FoundLinks
from terracast.causal.graph.graph import Link, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.search.engine import Search, search_links

METHODS = ("terracast", "tigramite-pcmci", "tigramite-pcmciplus", "var-granger", "abs-correlation")
AFFORDABLE = 2e5  # steps x series^2 x lags up to which tigramite's own loops run without --full


@dataclass(frozen=True)
class Peers:
    """Settings of the peers: their authors' defaults at the same largest lag and level.

    ``full``: tigramite's own loops whatever they cost; otherwise, above ``AFFORDABLE``, its compiled twin, whose
    answers are the same (tested) and which the row then names.
    """

    max_lag: int
    alpha: float = 0.01
    full: bool = False


def peer(name: str, values: np.ndarray, settings: Peers) -> FoundLinks:
    """The peer ``name`` on raw ``values`` (time, series; NaN = gap).

    >>> noise = np.random.default_rng(0).normal(size=(400, 2))
    >>> noise[1:, 1] += 0.6 * noise[:-1, 0]
    >>> {name: sorted(peer(name, noise, Peers(2)).links) for name in ("var-granger", "tigramite-pcmciplus")}
    {'var-granger': [(0, 1, 1)], 'tigramite-pcmciplus': [(0, 1, 1)]}
    """
    run: dict[str, Callable[[np.ndarray, Peers], FoundLinks]] = {
        "tigramite-pcmci": _pcmci, "tigramite-pcmciplus": _pcmciplus, "var-granger": granger,
        "abs-correlation": correlation}
    began = time.process_time()
    with threadpool_limits(1):
        found = run[name](_standardised(values), settings)
    return FoundLinks(found.links, found.undecided, found.score, time.process_time() - began, found.note)


def from_links(links: tuple[Link, ...], series: tuple[Series, ...], seconds: float, note: str = "") -> FoundLinks:
    """A search's links with places for series; own memory left out; the score of a pair is its largest |strength|."""
    place = {one: number for number, one in enumerate(series)}
    directed: set[Edge] = set()
    undecided: set[Edge] = set()
    score = np.zeros((len(series), len(series)))
    for link in links:
        cause, effect = place[link.cause], place[link.effect]
        if cause == effect:
            continue
        (directed if link.oriented else undecided).add((cause, effect, link.lag))
        score[cause, effect] = max(score[cause, effect], abs(link.strength))
        if not link.oriented:
            score[effect, cause] = max(score[effect, cause], abs(link.strength))
    return FoundLinks(frozenset(directed), frozenset(undecided), score, seconds, note)


def granger(values: np.ndarray, settings: Peers) -> FoundLinks:
    """Granger (1969) in one vector autoregression of all series: an F test a pair, Benjamini and Hochberg over pairs.

    The lag of a pair is that of its largest coefficient; rows with a gap are left out; same-time links are not its
    matter.
    """
    lags, number = settings.max_lag, values.shape[1]
    design = np.concatenate([values[lags - lag:len(values) - lag] for lag in range(1, lags + 1)], axis=1)
    effects = values[lags:]
    rows = np.isfinite(design).all(axis=1) & np.isfinite(effects).all(axis=1)
    design = np.column_stack([design[rows], np.ones(int(rows.sum()))])
    effects, free = effects[rows], int(rows.sum()) - number * lags - 1
    if free < 10:
        return FoundLinks(frozenset(), frozenset(), np.zeros((number, number)), 0.0, "too few rows without a gap")
    inverse = np.linalg.pinv(design.T @ design)
    weights = inverse @ (design.T @ effects)
    noise = ((effects - design @ weights) ** 2).sum(axis=0) / free
    p_value, best = np.ones((number, number)), np.ones((number, number), dtype=int)
    for cause in range(number):
        places = cause + number * np.arange(lags)
        gain = np.einsum("ie,ij,je->e", weights[places], np.linalg.pinv(inverse[np.ix_(places, places)]),
                         weights[places])
        p_value[cause] = stats.f.sf(gain / lags / np.maximum(noise, 1e-300), lags, free)
        best[cause] = 1 + np.abs(weights[places]).argmax(axis=0)
    off = ~np.eye(number, dtype=bool)
    kept = np.zeros((number, number), dtype=bool)
    kept[off] = stats.false_discovery_control(p_value[off]) <= settings.alpha
    links = frozenset((int(cause), int(effect), int(best[cause, effect])) for cause, effect in np.argwhere(kept))
    return FoundLinks(links, frozenset(), -np.log10(np.maximum(p_value, 1e-300)), 0.0)


def correlation(values: np.ndarray, settings: Peers) -> FoundLinks:
    """The largest |lagged correlation| of a pair, directed by its lag; Fisher's p with Bonferroni over all of them."""
    number = values.shape[1]
    table, rows = np.zeros((settings.max_lag + 1, number, number)), np.zeros((settings.max_lag + 1, number, number))
    for lag in range(settings.max_lag + 1):
        early, late = values[:len(values) - lag], values[lag:]
        seen = np.isfinite(early).astype(float).T @ np.isfinite(late).astype(float)
        rows[lag] = seen
        table[lag] = np.nan_to_num(early).T @ np.nan_to_num(late) / np.maximum(seen, 1.0)
    table = np.clip(np.abs(table), 0.0, 0.999999)
    p_value = 2 * stats.norm.sf(np.arctanh(table) * np.sqrt(np.maximum(rows - 3, 1.0))) * table.size
    directed: set[Edge] = set()
    undecided: set[Edge] = set()
    for cause in range(number):
        for effect in range(cause + 1, number):
            there = (table[:, cause, effect].max(), -int(table[:, cause, effect].argmax()))
            back = (table[:, effect, cause].max(), -int(table[:, effect, cause].argmax()))
            first, last, lag = (cause, effect, -there[1]) if there >= back else (effect, cause, -back[1])
            if p_value[lag, first, last] <= settings.alpha:
                (directed if lag else undecided).add((first, last, lag))
    return FoundLinks(frozenset(directed), frozenset(undecided), table.max(axis=0), 0.0)


def _pcmci(values: np.ndarray, settings: Peers) -> FoundLinks:
    return _tigramite(values, settings, Search(settings.max_lag, settings.alpha, "PCMCI", condition_alpha=0.2))


def _pcmciplus(values: np.ndarray, settings: Peers) -> FoundLinks:
    return _tigramite(values, settings, Search(settings.max_lag, settings.alpha, "PCMCI+"))


def _tigramite(values: np.ndarray, settings: Peers, search: Search) -> FoundLinks:
    number = values.shape[1]
    own = settings.full or values.shape[0] * number**2 * settings.max_lag <= AFFORDABLE
    series = tuple(Series("raw", str(one)) for one in range(number))
    asked = Search(**{**search.__dict__, "engine": "tigramite" if own else "fast"})
    links = search_links(values, series, Knowledge().link_assumptions(series, settings.max_lag), asked)
    return from_links(links, series, 0.0, "" if own else "by the compiled twin (same answers)")


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = np.nanstd(values, axis=0)
    return np.asarray((values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0), dtype=float)
