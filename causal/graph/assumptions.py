"""What a search assumes, in sentences that stand in its graph."""

from __future__ import annotations

from terracast.causal.graph.graph import CausalGraph
from terracast.causal.settings import Search

_TESTS = {
    "ParCorr": "Links are linear", "RobustParCorr": "Links are linear between ranks turned to normal scores",
    "CMIknn": "Links may have any form", "GPDC": "Links may have any smooth form with additive noise"}
_STATISTICS = {"CMIknn": "conditional mutual information in nats (never negative)",
               "GPDC": "a distance correlation between 0 and 1"}


def assumptions_of(search: Search, graph: CausalGraph) -> tuple[str, ...]:
    """The assumptions of ``search``, the largest first.

    >>> assumptions_of(Search(3), CausalGraph((), (), "1h", "PCMCI+", 100))[0][:37]
    'No unseen common cause: every cause o'
    """
    measure = "dependence" if search.test in _STATISTICS else "partial correlation"
    told = ["No unseen common cause: every cause of two series is itself among the series (causal sufficiency).",
            f"{_TESTS[search.test]} and the same over the whole span; no link means no {measure}.",
            f"Links reach back at most {search.max_lag} steps of {graph.step}. Each is significant at "
            f"{search.alpha:g} ({search.test}){_corrected(search)}.", _caps(search)]
    if search.test in _STATISTICS:
        told.append(f"The strength of a link is {_STATISTICS[search.test]}, not a correlation.")
    return tuple(told)


def _corrected(search: Search) -> str:
    return "" if search.correction == "none" else \
        ", after correction for the share of false links (Benjamini and Hochberg)"


def _caps(search: Search) -> str:
    lagged = f"{search.lagged_conditions} lagged parents of each side"
    if search.method == "PCMCI+":
        return (f"Tests condition on at most {search.same_time_conditions} same-time series and "
                f"{lagged}. Directions are voted over subsets of at most "
                f"{search.majority_degree} same-time neighbours, with more by the plain collider rule.")
    return f"Tests condition on at most {lagged}."
