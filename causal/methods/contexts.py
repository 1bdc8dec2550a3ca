"""J-PCMCI+ (Guenther, Ninad & Runge, UAI 2023): one graph from the series of many nodes, each node a context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from causal.engine import read_links
from causal.graph import Link, Series
from causal.knowledge import LinkAssumptions
from causal.methods.explorer import FLAG, quiet
from causal.search import Progress, Search


@dataclass(frozen=True)
class Contexts:
    """What tells nodes and times apart.

    ``over_time``: series that are the same at every node and differ over time (a region's weather).
    ``over_nodes``: per series that never changes at a node (height above sea), its value at each node.
    ``unseen``: stand-ins for what is not measured: "node" for differences between nodes, "time" for shocks
    common to all nodes at one time (one column per time step: only for short series).
    """

    over_time: tuple[Series, ...] = ()
    over_nodes: Mapping[Series, Mapping[str, float]] | None = None
    unseen: tuple[str, ...] = ("node",)


@dataclass(frozen=True)
class Joint:
    """``links`` among the series and from contexts into them; ``touched``: per stand-in ("node", "time") the
    series on which something unseen of that kind acts."""

    links: tuple[Link, ...]
    touched: dict[str, tuple[Series, ...]]


def joint_links(values: Mapping[str, np.ndarray], series: Sequence[Series], contexts: Contexts,
                marks: LinkAssumptions, search: Search, progress: Progress | None = None) -> Joint:
    """The links that hold at all nodes alike; ``values`` is per node (time, series + contexts over nodes).

    ``marks`` counts series and then the contexts over nodes. A context is never an effect of the others. Every
    test stacks all nodes' samples, O(nodes x time x columns^2); stand-ins add a column per node or time step.
    """
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.independence_tests.parcorr_mult import ParCorrMult
    from tigramite.jpcmciplus import JPCMCIplus

    everything = [*series, *(contexts.over_nodes or {})]
    number = len(everything)
    kinds = {place: _kind(one, contexts) for place, one in enumerate(everything)}
    vectors = {place: [(place, 0)] for place in range(number)}
    tables, width = {}, number
    for kind in contexts.unseen:
        size = len(values) if kind == "node" else len(next(iter(values.values())))
        kinds[len(vectors)] = "space_dummy" if kind == "node" else "time_dummy"
        vectors[len(vectors)] = [(width + one, 0) for one in range(size)]
        width += size
    for place, (_, table) in enumerate(values.items()):
        tables[place] = np.hstack([np.where(np.isfinite(table), table, FLAG),
                                   *(_stand_in(kind, place, len(values), len(table)) for kind in contexts.unseen)])
    said = progress or (lambda share, words: None)

    class Explorer(JPCMCIplus):  # type: ignore[misc]
        def discover_lagged_context_system_links(self, *given: Any, **options: Any) -> Any:
            said(0.0, "contexts that are measured")
            return super().discover_lagged_context_system_links(*given, **options)

        def discover_dummy_system_links(self, *given: Any, **options: Any) -> Any:
            said(0.3, "contexts that are not")
            return super().discover_dummy_system_links(*given, **options)

        def discover_system_system_links(self, *given: Any, **options: Any) -> Any:
            said(0.5, "testing links")
            return super().discover_system_system_links(*given, **options)

    asked = {effect: dict(causes) for effect, causes in marks.items()}
    for dummy in range(number, len(vectors)):
        asked[dummy] = {}
        for effect in range(len(series)):
            asked[effect][(dummy, 0)] = "-?>"
    with quiet(), threadpool_limits(1):
        frame = DataFrame(tables, vector_vars=vectors, analysis_mode="multiple", missing_flag=FLAG)
        test = (ParCorrMult if contexts.unseen else ParCorr)(significance="analytic")
        engine = Explorer(node_classification=kinds, dataframe=frame, cond_ind_test=test, verbosity=0)
        found = engine.run_jpcmciplus(
            link_assumptions=asked, tau_min=0, tau_max=search.max_lag, pc_alpha=search.alpha,
            max_conds_dim=search.same_time_conditions, max_conds_py=search.lagged_conditions,
            max_conds_px=search.lagged_conditions)
    said(1.0, "done")
    return _read(found, everything, len(series), contexts, marks, search)


def _read(found: dict[str, Any], everything: list[Series], number: int, contexts: Contexts, marks: LinkAssumptions,
          search: Search) -> Joint:
    aside = set(contexts.over_time)
    for effect in range(number):  # a context is no effect: at the same time the direction is given
        for cause, one in enumerate(everything):
            if (one in aside or cause >= number) and (cause, 0) in marks[effect]:
                marks[effect][(cause, 0)] = "-?>"
                marks[cause][(effect, 0)] = "<?-"
    links = tuple(link for link in read_links(found, everything, marks, search)
                  if link.effect in everything[:number] and (link.effect not in aside or link.cause in aside))
    touched = {kind: tuple(everything[effect] for effect in range(number)
                           if found["graph"][len(everything) + place, effect, 0] != "")
               for place, kind in enumerate(contexts.unseen)}
    return Joint(links, touched)


def _kind(one: Series, contexts: Contexts) -> str:
    if one in contexts.over_time:
        return "time_context"
    return "space_context" if one in (contexts.over_nodes or {}) else "system"


def _stand_in(kind: str, place: int, nodes: int, steps: int) -> np.ndarray:
    if kind == "time":
        return np.identity(steps)
    columns = np.zeros((steps, nodes))
    columns[:, place] = 1.0
    return columns
