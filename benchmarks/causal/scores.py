"""How right a found graph is: links and pairs against what is known, directions apart from adjacencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

Edge = tuple[int, int, int]  # cause, effect, lag
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class FoundLinks:
    """What a method says: directed ``links``, same-time links whose direction is ``undecided``, a ``score`` (cause,
    effect) that is larger the surer the method is of the direction, and the CPU seconds it took."""

    links: frozenset[Edge]
    undecided: frozenset[Edge]
    score: np.ndarray
    seconds: float
    note: str = ""

    def edges(self) -> set[Edge]:
        """Directed links; one left undecided counts in both directions, so that one of them is an error."""
        return set(self.links | self.undecided | {(effect, cause, lag) for cause, effect, lag in self.undecided})

    def pairs(self) -> set[Pair]:
        """The edges without their lags and without own memory."""
        return {(cause, effect) for cause, effect, _ in self.edges() if cause != effect}


def f1_of(found: set[Pair] | set[Edge], true: set[Pair] | set[Edge]) -> tuple[float, float, float]:
    """F1, precision and recall; all 1 where nothing is true and nothing was found.

    >>> f1_of({(0, 1), (1, 0)}, {(0, 1)})
    (0.6666666666666666, 0.5, 1.0)
    """
    right = len(set(found) & set(true))
    total = len(found) + len(true)
    return (2 * right / total if total else 1.0, right / len(found) if found else float(not true),
            right / len(true) if true else 1.0)


def link_scores(found: FoundLinks, true: set[Edge], series: int, max_lag: int) -> dict[str, float]:
    """F1 of links between different series with their lag, and the share of absent ones that was found.

    >>> one = FoundLinks(frozenset({(0, 1, 2), (1, 0, 1)}), frozenset(), np.zeros((2, 2)), 0.0)
    >>> link_scores(one, {(0, 1, 2)}, 2, 2)["false_positive_rate"]
    0.2
    """
    said = {edge for edge in found.edges() if edge[0] != edge[1]}
    f1, precision, recall = f1_of(said, true)
    absent = series * (series - 1) * (max_lag + 1) - len(true)
    return {"f1": f1, "precision": precision, "recall": recall,
            "false_positive_rate": len(said - true) / max(absent, 1)}


def pair_scores(found: FoundLinks, true: set[Pair]) -> dict[str, float | None]:
    """F1, precision, recall and AUROC of directed pairs, and F1 of adjacencies, own memory left out.

    >>> one = FoundLinks(frozenset({(1, 0, 1)}), frozenset(), np.array([[0, 0.1], [0.9, 0]]), 0.0)
    >>> row = pair_scores(one, {(0, 1)})
    >>> row["f1"], row["auroc"], row["adjacency_f1"]
    (0.0, 0.0, 1.0)
    """
    f1, precision, recall = f1_of(found.pairs(), true)
    near = f1_of({(min(one), max(one)) for one in found.pairs()}, {(min(one), max(one)) for one in true})[0]
    return {"f1": f1, "precision": precision, "recall": recall, "auroc": auroc(found.score, true),
            "adjacency_f1": near}


def auroc(score: np.ndarray, true: set[Pair]) -> float | None:
    """The chance that a true pair scores above an absent one, ties half; None where one of the types is empty."""
    number = len(score)
    pairs = [(cause, effect) for cause in range(number) for effect in range(number) if cause != effect]
    known = np.array([pair in true for pair in pairs])
    if known.all() or not known.any():
        return None
    ranks = stats.rankdata([score[pair] for pair in pairs])
    positive = int(known.sum())
    return float((ranks[known].sum() - positive * (positive + 1) / 2) / (positive * (len(pairs) - positive)))
