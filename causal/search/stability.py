"""How surely a link comes back: the share of block-bootstrap draws, and the interval that so many draws leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from terracast.causal.graph.graph import CausalGraph, Link
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.engine import redrawn_links
from terracast.causal.settings import DiscoverError, Progress, Redraw, Search


def stability(prepared: Prepared, graph: CausalGraph, *, draws: int = 20, seed: int = 0,
              block: int | None = None, progress: Progress | None = None,
              again: Callable[[np.ndarray, Redraw], tuple[Link, ...]] | None = None) -> CausalGraph:
    """The graph with each link's ``stability``: the share of block-bootstrap draws in which it returned.

    The same search runs ``draws`` times on blocks of ``block`` steps drawn with replacement (default: the
    cube root of the samples, at least four times the largest lag). A directed link must return with its
    direction. ``share_interval`` says how surely a share is known. ``again`` searches the values on a draw where the
    graph's settings do not tell how. Costs ``draws`` times the search less what
    draws have in common: 100 draws of PCMCI on 10 series x 2,000 steps x 3 lags take well under a second.

    >>> from terracast.causal.discover import discover
    >>> from terracast.causal.graph.graph import Series
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

    def redraws() -> Iterator[Redraw]:
        for draw, child in enumerate(np.random.SeedSequence(seed).generate_state(draws)):
            if progress is not None:
                progress(draw / draws, f"draw {draw + 1} of {draws}")
            yield Redraw(int(child), length)

    returned: dict[tuple[object, ...], int] = {}
    try:
        with threadpool_limits(1):
            drawn = (redrawn_links(values, graph.series, marks, search, redraws()) if again is None
                     else (again(values, one) for one in redraws()))
            for links_again in drawn:
                for key in {key for link in links_again for key in _identities(link)}:
                    returned[key] = returned.get(key, 0) + 1
    except (ValueError, np.linalg.LinAlgError, IndexError) as error:
        raise DiscoverError(f"a draw had no usable data: {error}", where=f"{len(values)} steps in blocks of {length}",
                            expected="blocks much shorter than the data", remedy="take a smaller block") from error
    links = tuple(replace(link, stability=returned.get(_identities(link)[-1], 0) / draws)
                  for link in graph.links)
    return replace(graph, links=links, settings={**graph.settings, "stability": {
        "draws": draws, "seed": seed, "block": length}})


def share_interval(share: float, draws: int, level: float = 0.95) -> tuple[float, float]:
    """Between which shares the true one lies, seen ``share`` in ``draws`` draws (Wilson 1927). O(1).

    >>> low, high = share_interval(0.9, 20)
    >>> round(low, 3), round(high, 3)
    (0.699, 0.972)
    >>> tuple(round(one, 3) for one in share_interval(1.0, 100))
    (0.963, 1.0)
    """
    if draws < 1 or not 0.0 <= share <= 1.0 or not 0.0 < level < 1.0:
        raise DiscoverError(f"share {share} of {draws} draws at level {level}", where="share_interval",
                            expected="at least one draw, and shares between 0 and 1", remedy="correct them")
    z = float(norm.isf((1 - level) / 2))
    middle = (share + z**2 / (2 * draws)) / (1 + z**2 / draws)
    half = z * np.sqrt(share * (1 - share) / draws + z**2 / (4 * draws**2)) / (1 + z**2 / draws)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _identities(link: Link) -> list[tuple[object, ...]]:
    """What a link counts as: the pair at that lag, and (last) the directed link where it is directed."""
    ends = frozenset((link.cause, link.effect)) if link.lag == 0 else (link.cause, link.effect)
    pair: list[tuple[object, ...]] = [("pair", ends, link.lag)]
    return pair + ([(link.cause, link.effect, link.lag)] if link.oriented else [])
