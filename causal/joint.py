"""One causal graph from many nodes: each node's own series are a data set, nodes and times are contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np

from causal.discover import DiscoverError, enough_samples, without_redundant
from causal.graph import CausalGraph
from causal.knowledge import Knowledge
from causal.methods.contexts import Contexts, Joint, joint_links
from causal.prepare import Prepared
from causal.search import Progress, Search

_LONGEST = 1000  # steps up to which a column per step is affordable


def discover_contexts(nodes: Mapping[str, Prepared], *, max_lag: int, alpha: float = 0.01,
                      contexts: Contexts | None = None, knowledge: Knowledge | None = None,
                      progress: Progress | None = None, search: Search | None = None) -> CausalGraph:
    """The graph that holds at every node alike (J-PCMCI+), from each node's prepared series.

    Where nodes differ in something unseen (a quieter street, another river bed), pooling their series makes
    false links; J-PCMCI+ conditions on stand-ins for it (``Contexts.unseen``) and on contexts that are
    measured. All nodes must have the same series on the same clock. Contexts are series of the graph, never
    effects. Raises ``DiscoverError``. Cost: see ``joint_links``; 10 nodes of 5 series, 300 steps and 2 lags
    take a few seconds.

    >>> from causal.graph import Series
    >>> rng, nodes = np.random.default_rng(0), {}
    >>> series = (Series("street", "cars"), Series("street", "noise"))
    >>> for name in "abc":
    ...     values = rng.normal(size=(200, 2)) + rng.normal(size=2)
    ...     values[1:, 1] += 0.6 * values[:-1, 0]
    ...     nodes[name] = Prepared(values, series, "1h", np.arange(200))
    >>> [(str(one.cause), str(one.effect), one.lag) for one in discover_contexts(nodes, max_lag=1).links]
    [('street.cars', 'street.noise', 1)]
    """
    search = (search or Search(max_lag=max_lag, alpha=alpha, method="J-PCMCI+")).checked()
    contexts, known = contexts or Contexts(), knowledge or Knowledge()
    _check(nodes, contexts, search)
    first = next(iter(nodes.values()))
    gap = np.full((search.max_lag, len(first.series)), np.nan)
    stacked = replace(first, values=np.vstack([part for one in nodes.values() for part in (one.values, gap)]))
    known.check(first.series + tuple(one.series for one in first.dropped), search.max_lag)
    _, series, dropped = without_redundant(stacked, search)
    kept = [first.series.index(one) for one in series]
    outside = tuple(contexts.over_nodes or {})
    samples = enough_samples(stacked.values[:, kept], series, search)
    values = {name: np.hstack([one.values[:, kept], _constant(name, one, contexts)]) for name, one in nodes.items()}
    marks = known.link_assumptions((*series, *outside), search.max_lag)
    contexts = replace(contexts, over_time=tuple(one for one in contexts.over_time if one in series))
    found = joint_links(values, series, contexts, marks, search, progress)
    ordered = sorted(found.links, key=lambda link: (link.effect, link.cause, link.lag))
    return CausalGraph(
        series=(*series, *outside), links=tuple(ordered), step=first.step, method=search.method, samples=samples,
        settings={"search": asdict(search), "knowledge": known.text(), "nodes": list(nodes),
                  "unseen": list(contexts.unseen)},
        labels=dict(first.labels), assumptions=(
            *_assumptions(found, len(nodes), search, first.step), *first.notes,
            *(f"{one.series} was left out: {one.reason}." for one in (*first.dropped, *dropped))))


def _check(nodes: Mapping[str, Prepared], contexts: Contexts, search: Search) -> None:
    if len(nodes) < 2:
        raise DiscoverError(f"{len(nodes)} node(s)", where="discover_contexts", expected="at least 2",
                            remedy="use discover for one node")
    first_name, first = next(iter(nodes.items()))
    for name, one in nodes.items():
        if one.series != first.series or len(one.values) != len(first.values) or not np.array_equal(
                one.time, first.time):
            raise DiscoverError(f"{len(one.series)} series of {len(one.values)} steps", where=f"node {name}",
                                expected=f"the series and the clock of node {first_name}",
                                remedy="prepare all nodes over the same span and drop what some lack")
    for series in contexts.over_time:
        if series not in first.series:
            raise DiscoverError(f"no series {series}", where="contexts over time",
                                expected="one of " + ", ".join(map(str, first.series)), remedy="correct the name")
    for series, held in (contexts.over_nodes or {}).items():
        if series in first.series or set(nodes) - set(held) or not np.isfinite(list(held.values())).all() \
                or len({held[name] for name in nodes}) < 2:
            raise DiscoverError(f"context {series}", where="contexts over nodes",
                                expected="a new name, and a finite value at every node, not all the same",
                                remedy="add the missing values or leave it out")
    if set(contexts.unseen) - {"node", "time"}:
        raise DiscoverError(f"unseen {contexts.unseen}", where="contexts", expected="node, time, both or none",
                            remedy="choose among them")
    if "time" in contexts.unseen and len(first.values) > _LONGEST:
        raise DiscoverError(f"a stand-in for {len(first.values)} steps", where="contexts",
                            expected=f"at most {_LONGEST} steps", remedy="take coarser steps or leave 'time' out")
    if search.method != "J-PCMCI+":
        raise DiscoverError(f"method {search.method}", where="discover_contexts", expected="J-PCMCI+",
                            remedy="use discover for the other methods")


def _constant(name: str, one: Prepared, contexts: Contexts) -> np.ndarray:
    held = [float(values[name]) for values in (contexts.over_nodes or {}).values()]
    return np.tile(held, (len(one.values), 1)).reshape(len(one.values), len(held))


def _assumptions(found: Joint, nodes: int, search: Search, step: str) -> tuple[str, ...]:
    told = [f"One graph holds at all {nodes} nodes; links are linear and the same over the whole span.",
            f"Links reach back at most {search.max_lag} steps of {step}; each is significant at "
            f"{search.alpha:g} ({search.test}, {search.method}).",
            "Unseen causes act either by node or by time, not by both; those are held constant where a stand-in "
            "was asked for. A context that never changes at a node counts each step as evidence, although it "
            "only differs between nodes: with few nodes its links are taken too easily."]
    for kind, touched in found.touched.items():
        names = ", ".join(map(str, touched)) or "no series"
        what = "differences between nodes" if kind == "node" else "shocks common to all nodes"
        told.append(f"Unseen {what} act on {names}.")
    return tuple(told)
