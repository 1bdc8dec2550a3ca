"""Hand the causal graph to other tools: networkx, GraphML, DOT and CSV, with all fields of every link."""

from __future__ import annotations

import csv
import io
from typing import Any

from terracast.causal.graph.graph import CausalGraph, Link
from terracast.streams.printable import printable
from terracast.streams.spreadsheet import text_cell

_FIELDS = ("cause", "effect", "lag", "strength", "p_value", "stability", "oriented", "known", "note")


def _row(link: Link) -> dict[str, object]:
    return {name: str(getattr(link, name)) if name in ("cause", "effect") else getattr(link, name)
            for name in _FIELDS}


def to_networkx(graph: CausalGraph) -> Any:
    """A ``networkx.MultiDiGraph``: nodes ``domain.variable``, an edge per link with the link's fields.

    A link without a direction is one edge with ``oriented`` False.

    >>> from terracast.causal.graph.graph import Series
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> list(to_networkx(graph).edges(data="lag"))
    [('weather.rain', 'traffic.flow', 2)]
    """
    import networkx

    made = networkx.MultiDiGraph(step=graph.step, method=graph.method, samples=graph.samples)
    for one in graph.series:
        made.add_node(str(one), domain=one.domain, variable=one.variable, label=graph.label(one))
    for link in graph.links:
        fields = {name: value for name, value in _row(link).items() if name not in ("cause", "effect")}
        made.add_edge(str(link.cause), str(link.effect), **fields)
    return made


def to_graphml(graph: CausalGraph) -> str:
    """GraphML text (Gephi, yEd, igraph); a stability that was not measured is left out."""
    import networkx

    made = to_networkx(graph)
    for _, _, fields in made.edges(data=True):
        if fields["stability"] is None:
            del fields["stability"]
    return "\n".join(map(printable, networkx.generate_graphml(made))) + "\n"  # XML takes no control character


def to_dot(graph: CausalGraph) -> str:
    """Graphviz DOT text: a cluster per domain, lag as label, width by strength, no head where undirected.

    >>> to_dot(CausalGraph((), (), "1h", "PCMCI+", 0))
    'digraph causal {\\n  rankdir=LR; node [shape=box, style=rounded];\\n}\\n'
    """
    lines = ["digraph causal {", "  rankdir=LR; node [shape=box, style=rounded];"]
    for domain in dict.fromkeys(one.domain for one in graph.series):
        members = " ".join(f"{_quoted(str(one))} [label={_quoted(graph.label(one))}];"
                           for one in graph.series if one.domain == domain)
        lines.append(f"  subgraph {_quoted('cluster_' + domain)} {{ label={_quoted(domain)}; {members} }}")
    for link in graph.links:
        look = [f'label="{link.lag}"', f"penwidth={1 + 4 * abs(link.strength):.2f}"]
        look += [] if link.oriented else ["dir=none"]
        look += ["style=dashed"] if link.stability is not None and link.stability < 0.5 else []
        lines.append(f"  {_quoted(str(link.cause))} -> {_quoted(str(link.effect))} [{', '.join(look)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_csv(graph: CausalGraph) -> str:
    """A table of links as CSV text, one row a link, with a header.

    >>> to_csv(CausalGraph((), (), "1h", "PCMCI+", 0))
    'cause,effect,lag,strength,p_value,stability,oriented,known,note\\n'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: text_cell(value) if isinstance(value, str) else value for name, value in _row(link).items()}
                     for link in graph.links)
    return text.getvalue()
