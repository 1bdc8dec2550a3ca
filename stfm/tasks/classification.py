"""Classification of nodes or windows: a linear map from the embeddings of a frozen base to classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from stfm.forecaster import ForecastError

TINY = 1e-9


@dataclass(frozen=True)
class Classes:
    """A fitted head: class ``names``, ``centre`` and ``width`` of the embeddings, ``coefficients`` (class, width + 1).

    >>> draws = np.random.default_rng(0)
    >>> embeddings = np.concatenate([draws.normal(0, 1, (30, 4)), draws.normal(4, 1, (30, 4))])
    >>> head = fit_classes(embeddings, ["calm"] * 30 + ["rough"] * 30)
    >>> head.predict(np.array([[0.0] * 4, [4.0] * 4])).tolist()
    ['calm', 'rough']
    >>> bool(np.allclose(head.probabilities(embeddings).sum(axis=1), 1))
    True
    """

    names: tuple[str, ...]
    centre: np.ndarray
    width: np.ndarray
    coefficients: np.ndarray

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Shape (example, class), rows sum to 1."""
        z = (embeddings - self.centre) / self.width
        scores = z @ self.coefficients[:, :-1].T + self.coefficients[:, -1]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The likeliest class of each example."""
        return np.array(self.names)[self.probabilities(embeddings).argmax(axis=1)]

    def state(self) -> dict[str, object]:
        """Names and arrays."""
        return {"names": list(self.names), "centre": self.centre.copy(), "width": self.width.copy(),
                "coefficients": self.coefficients.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Classes:
        """The head that ``state`` was taken of, to the bit."""
        return cls(tuple(state["names"]), *(np.array(state[name]) for name in ("centre", "width", "coefficients")))


def fit_classes(embeddings: np.ndarray, labels: Sequence[str], strength: float = 1.0) -> Classes:
    """Fit a multinomial logistic regression on standardised embeddings (example, width); the base stays as it is.

    ``strength`` is the inverse of the penalty on the squared coefficients (scikit-learn's C). Of windows in other
    seasons than it was fitted on, ``PlainFeatures`` tell the series better than a base's embeddings, which hold the
    calendar, too (``terracast bench base --tasks``). Raises ``ForecastError`` for fewer than two classes.
    O(examples × width × classes) an iteration.
    """
    names = tuple(sorted(set(map(str, labels))))
    if len(names) < 2:
        raise ForecastError(f"{len(names)} class", where="classification", expected="at least two",
                            remedy="give labels of other classes")
    if len(labels) != len(embeddings) or not np.isfinite(embeddings).all():
        raise ForecastError(f"{len(labels)} labels, {len(embeddings)} embeddings", where="classification",
                            expected="a label for each, finite embeddings", remedy="mend the examples")
    centre, width = embeddings.mean(axis=0), embeddings.std(axis=0)
    width = np.where(width > TINY, width, 1.0)
    fitted = LogisticRegression(C=strength, max_iter=500).fit((embeddings - centre) / width, list(map(str, labels)))
    coefficients = np.concatenate([fitted.coef_, fitted.intercept_[:, None]], axis=1)
    if len(names) == 2:  # scikit-learn keeps one row for two classes
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
    return Classes(names, centre, width, coefficients.astype("float64"))
