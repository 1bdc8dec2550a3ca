"""Find the causal graph of prepared series with PCMCI+ or PCMCI, and say what was assumed."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from causal.engine import ENGINES, METHODS, TESTS, Progress, Redraw, Search, search_links
from causal.graph import CausalGraph, Link, Series
from causal.knowledge import Knowledge
from causal.prepare import Dropped, Prepared
from causal.redundant import redundant
from streams.errors import TerracastError


class DiscoverError(TerracastError):
    """A search that cannot give an honest graph."""


def discover(prepared: Prepared, *, max_lag: int, alpha: float = 0.01, method: str = "PCMCI+",
             knowledge: Knowledge | None = None, progress: Progress | None = None,
             search: Search | None = None) -> CausalGraph:
    """The causal graph of ``prepared`` with links up to ``max_lag`` steps, significant at ``alpha``.

    ``method`` is PCMCI+ (Runge 2020; same-time links oriented where the data allow) or PCMCI (Runge et al.
    2019; same-time links only oriented by knowledge). ``search`` gives the rarer settings and then wins
    over the three before it. Copies and exact sums of other series leave first, each with a reason in
    ``assumptions``. Raises ``DiscoverError`` on too few samples, ``KnowledgeError`` on bad knowledge. Ten
    series of 8,760 steps and twelve lags take well under a second (see ``Search`` for how it grows).

    >>> noise = np.random.default_rng(0).normal(size=(400, 2))
    >>> noise[1:, 1] += 0.6 * noise[:-1, 0]
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = discover(Prepared(noise, (rain, flow), "1h", np.arange(400)), max_lag=2)
    >>> [(str(link.cause), str(link.effect), link.lag) for link in graph.links]
    [('weather.rain', 'traffic.flow', 1)]
    """
    search = search or Search(max_lag=max_lag, alpha=alpha, method=method)
    known = knowledge or Knowledge()
    _check_search(search)
    known.check(prepared.series + tuple(one.series for one in prepared.dropped), search.max_lag)
    values, series, dropped = _without_redundant(prepared, search)
    samples = _enough_samples(values, series, search)
    marks = known.link_assumptions(series, search.max_lag)
    links = _searched(values, series, marks, search, progress)
    ordered = sorted(links, key=lambda link: (link.effect, link.cause, link.lag))
    graph = CausalGraph(
        series=series, links=tuple(ordered), step=prepared.step, method=search.method, samples=samples,
        settings={"search": asdict(search), "knowledge": known.text()}, labels=dict(prepared.labels))
    return replace(graph, assumptions=_assumptions(graph, prepared, dropped, search, known))


def stability(prepared: Prepared, graph: CausalGraph, *, draws: int = 20, seed: int = 0,
              block: int | None = None, progress: Progress | None = None) -> CausalGraph:
    """The graph with each link's ``stability``: the share of block-bootstrap draws in which it returned.

    The same search runs ``draws`` times on blocks of ``block`` steps drawn with replacement (default: the
    cube root of the samples, at least four times the largest lag). A directed link must return with its
    direction. Costs ``draws`` times the search.

    >>> noise = np.random.default_rng(0).normal(size=(300, 2))
    >>> noise[1:, 1] += 0.6 * noise[:-1, 0]
    >>> done = Prepared(noise, (Series("a", "x"), Series("b", "y")), "1h", np.arange(300))
    >>> stability(done, discover(done, max_lag=1), draws=5).links[0].stability
    1.0
    """
    settings = graph.settings["search"]
    if not isinstance(settings, dict) or draws < 1:
        raise DiscoverError(f"{draws} draws", where="stability",
                            expected="at least one draw of a discovered graph",
                            remedy="raise draws, and take the graph from discover")
    search = Search(**settings)
    marks = Knowledge.parse(str(graph.settings["knowledge"])).link_assumptions(graph.series, search.max_lag)
    values = prepared.values[:, [prepared.series.index(one) for one in graph.series]]
    length = block or max(4 * search.max_lag, round(len(values) ** (1 / 3)), 1)
    returned: dict[tuple[object, ...], int] = {}
    for draw, child in enumerate(np.random.SeedSequence(seed).generate_state(draws)):
        if progress is not None:
            progress(draw / draws, f"draw {draw + 1} of {draws}")
        again = _searched(values, graph.series, marks, search, None, Redraw(int(child), length))
        for key in {key for link in again for key in _identities(link)}:
            returned[key] = returned.get(key, 0) + 1
    links = tuple(replace(link, stability=returned.get(_identities(link)[-1], 0) / draws)
                  for link in graph.links)
    return replace(graph, links=links, settings={**graph.settings, "stability": {
        "draws": draws, "seed": seed, "block": length}})


def _identities(link: Link) -> list[tuple[object, ...]]:
    """What a link counts as: the pair at that lag, and (last) the directed link where it is directed."""
    pair: list[tuple[object, ...]] = [(frozenset((link.cause, link.effect)), 0)] if link.lag == 0 else []
    return pair + ([(link.cause, link.effect, link.lag)] if link.oriented else [])


def _searched(values: np.ndarray, series: tuple[Series, ...], marks: dict[int, dict[tuple[int, int], str]],
              search: Search, progress: Progress | None, redraw: Redraw | None = None) -> tuple[Link, ...]:
    try:
        return search_links(values, series, marks, search, progress, redraw)
    except (ValueError, np.linalg.LinAlgError, IndexError) as error:
        raise DiscoverError(f"a test had no usable data: {error}", where=f"{len(series)} series",
                            expected="overlapping, varying series",
                            remedy="leave out the series with most gaps, or lower max_lag") from error


def _check_search(search: Search) -> None:
    for value, choices, name in ((search.method, METHODS, "method"), (search.test, TESTS, "test"),
                                 (search.engine, ENGINES, "engine")):
        if value not in choices:
            raise DiscoverError(f"{name} {value!r}", where="discover",
                                expected="one of " + ", ".join(choices), remedy="choose one of them")
    if search.max_lag < 1 or not 0 < search.alpha < 1:
        raise DiscoverError(f"max_lag {search.max_lag}, alpha {search.alpha}", where="discover",
                            expected="max_lag of at least 1 and alpha between 0 and 1", remedy="correct them")


def _without_redundant(prepared: Prepared,
                       search: Search) -> tuple[np.ndarray, tuple[Series, ...], tuple[Dropped, ...]]:
    dropped = redundant(prepared.values, prepared.series, search.max_lag)
    gone = {one.series for one in dropped}
    kept = [place for place, one in enumerate(prepared.series) if one not in gone]
    return prepared.values[:, kept], tuple(prepared.series[place] for place in kept), dropped


def _enough_samples(values: np.ndarray, series: tuple[Series, ...], search: Search) -> int:
    """Steps at which every series is observed; refuses fewer than two per possible condition + 30."""
    if len(series) < 2:
        raise DiscoverError(f"{len(series)} usable series", where="discover", expected="at least 2",
                            remedy="select more variables")
    seen = np.isfinite(values)
    samples = int(seen.all(axis=1).sum())
    need = 2 * len(series) * search.max_lag + 30
    if samples < need:
        worst = series[int(seen.sum(axis=0).argmin())]
        raise DiscoverError(f"{samples} complete steps for {len(series)} series and {search.max_lag} lags",
                            where=f"most gaps in {worst}", expected=f"at least {need}",
                            remedy="take a longer span, fewer series or a smaller max_lag")
    return samples


def _assumptions(graph: CausalGraph, prepared: Prepared, dropped: tuple[Dropped, ...], search: Search,
                 known: Knowledge) -> tuple[str, ...]:
    caps = (f"Tests condition on at most {search.same_time_conditions} same-time series and "
            f"{search.lagged_conditions} lagged parents of each side; directions are voted over subsets of at most "
            f"{search.majority_degree} same-time neighbours, with more by the plain collider rule."
            if search.method == "PCMCI+" else
            f"Tests condition on at most {search.lagged_conditions} lagged parents of each side.")
    return (
        "No unseen common cause: every cause of two series is itself among the series (causal sufficiency).",
        "Links are linear and the same over the whole span; no link means no partial correlation.",
        f"Links reach back at most {search.max_lag} steps of {graph.step}; each is significant at "
        f"{search.alpha:g} ({search.test}).",
        caps,
        *prepared.notes,
        *(f"{one.series} was left out: {one.reason}." for one in (*prepared.dropped, *dropped)),
        *known.sentences(graph),
    )
