"""Boosted trees as plain arrays: fitted by scikit-learn, kept and asked without it, so that nothing is pickled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from terracast.streams.stateful import Stateful

FIELDS = ("feature_idx", "num_threshold", "left", "right", "value", "missing_go_to_left", "is_leaf")


@dataclass(frozen=True)
class BoostedTrees(Stateful):
    """The nodes of all trees in a row; ``roots``: where each tree begins; children are counted from there.

    >>> x = np.linspace(0, 1, 400)[:, None]
    >>> trees = BoostedTrees.fit(x, np.floor(4 * x[:, 0]), rounds=50)
    >>> trees.predict(np.array([[0.1], [0.9]])).round(1).tolist()
    [0.0, 3.0]
    """

    start: float
    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    missing_left: np.ndarray
    leaf: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, rounds: int = 200, rate: float = 0.08,
            leaves: int = 31) -> BoostedTrees:
        """Least absolute error of ``y`` (row,) from ``x`` (row, column), NaN in ``x`` being a value of its own.

        On one thread: sums in another order would give other trees. O(rounds × rows × columns).
        """
        from sklearn.ensemble import HistGradientBoostingRegressor  # a second that only a fit needs
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=rounds, learning_rate=rate,
                                                  max_leaf_nodes=leaves, early_stopping=False, random_state=0)
            model.fit(x, y)
        trees = [one.nodes for round_ in model._predictors for one in round_]
        sizes = np.array([len(nodes) for nodes in trees])
        whole = np.concatenate(trees)
        column, threshold, left, right, value, missing, leaf = (np.ascontiguousarray(whole[name]) for name in FIELDS)
        return cls(float(np.ravel(model._baseline_prediction)[0]), np.concatenate([[0], np.cumsum(sizes)[:-1]]),
                   column.astype("int32"), threshold.astype("float64"), left.astype("int32"), right.astype("int32"),
                   value.astype("float64"), missing.astype(bool), leaf.astype(bool))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Of ``x`` (row, column). O(rows × trees × depth)."""
        return np.asarray(self.start + _walked(np.ascontiguousarray(x, dtype="float64"), self.roots, self.column,
                                               self.threshold, self.left, self.right, self.value, self.missing_left,
                                               self.leaf))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _walked(x: np.ndarray, roots: np.ndarray, column: np.ndarray, threshold: np.ndarray, left: np.ndarray,
            right: np.ndarray, value: np.ndarray, missing_left: np.ndarray, leaf: np.ndarray) -> np.ndarray:
    sums = np.zeros(len(x))
    for row in range(len(x)):
        for root in roots:
            at = root
            while not leaf[at]:
                one = x[row, column[at]]
                goes_left = missing_left[at] if np.isnan(one) else one <= threshold[at]
                at = root + (left[at] if goes_left else right[at])
            sums[row] += value[at]
    return sums
