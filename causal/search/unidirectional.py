"""Between two domains influence often goes one way: what lags tell of it settles the links at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from terracast.causal.graph.graph import CausalGraph, Series
from terracast.causal.knowledge import Knowledge

Find = Callable[[Knowledge], CausalGraph]
"""A search that honours what it is given."""


def orient_unidirectional(find: Find, target: Series, knowledge: Knowledge) -> tuple[CausalGraph, Knowledge]:
    """The graph that ``find`` finds, searched once more where ``one_way`` has something to assume; and with what.

    The assumption stands among the graph's ``assumptions``; its ``settings`` hold what the experts said, no more.

    >>> from terracast.causal.graph.graph import Link
    >>> rain, bikes = Series("weather", "rain"), Series("city", "bikes")
    >>> def find(known: Knowledge) -> CausalGraph:
    ...     turned = not known.allows(bikes, rain, 0)
    ...     return CausalGraph((rain, bikes), (Link(*((rain, bikes) if turned else (bikes, rain)), 0, -0.3, 0.0),),
    ...                        "1h", "", 900)
    >>> graph, assumed = orient_unidirectional(find, bikes, Knowledge())
    >>> str(graph.links[0].cause), graph.assumptions
    ('weather.rain', ('No lag of city leads into weather: same-time links between them are taken to lead into city.',))
    """
    graph = find(knowledge)
    assumed = one_way(graph, target)
    if not assumed.statements:
        return graph, knowledge
    joined = Knowledge.parse(knowledge.text() + assumed.text())
    others = [one.effect.removesuffix(".*") for one in assumed.statements]
    graph = find(joined)
    words = tuple(f"No lag of {target.domain} leads into {other}: same-time links between them are taken to lead into "
                  f"{target.domain}." for other in others)
    return replace(graph, settings={**graph.settings, "knowledge": knowledge.text()},
                   assumptions=(*graph.assumptions, *words)), joined


def one_way(graph: CausalGraph, target: Series) -> Knowledge:
    """What may be assumed of the target's domain: that it does not drive a domain into which none of its lags leads.

    A cause that lasts longer than a step shows at a lag, too. Where same-time links between the two domains are
    without a direction, or point out of the target's domain, and no lagged link leads out of it, they are taken to
    lead into it: bikes do not make the rain. A domain that the target's does drive (sales after demand) keeps its
    lagged links and is left as it is. An assumption, to be told as one; empty where there is nothing to settle.

    >>> from terracast.causal.graph.graph import Link
    >>> rain, bikes, sales = Series("weather", "rain"), Series("city", "bikes"), Series("shop", "sales")
    >>> links = (Link(bikes, rain, 0, -0.3, 0.0), Link(bikes, sales, 1, 0.4, 0.0), Link(bikes, sales, 0, 0.2, 0.0))
    >>> one_way(CausalGraph((rain, bikes, sales), links, "1h", "", 900), bikes).text().strip()
    'city.* never causes weather.*'
    """
    own = target.domain
    told = Knowledge.parse(str(graph.settings.get("knowledge", "")))
    lines = []
    for other in sorted({one.domain for one in graph.series} - {own}):
        out = [link for link in graph.links if link.cause.domain == own and link.effect.domain == other]
        back = [link for link in graph.links if link.cause.domain == other and link.effect.domain == own]
        open_ended = [link for link in out if link.lag == 0] + [link for link in back
                                                                if link.lag == 0 and not link.oriented]
        said = any(statement.verdict != "never" and statement.covers(cause, effect, (statement.lags or (0,))[0])
                   for statement in told.statements for cause in graph.series for effect in graph.series
                   if cause.domain == own and effect.domain == other)
        if open_ended and not said and not any(link.lag and link.oriented for link in out):
            lines.append(f"{own}.* never causes {other}.*")
    return Knowledge.parse("\n".join(lines))
