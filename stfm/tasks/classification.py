"""Classification of nodes or windows: a linear map from embeddings of a frozen base and statistics to classes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from terracast.stfm.forecaster import ForecastError
from terracast.streams.stateful import Stateful

TINY = 1e-9
STRENGTHS = (1.0, 10.0, 100.0)  # of the map from statistics: inverse of the penalty
SHRINKAGES = (0.03, 0.1, 0.3)  # of the embeddings' covariance within a class towards a multiple of the unit matrix
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # of the embeddings' scores beside those of the statistics


@dataclass(frozen=True)
class Classes(Stateful):
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
        return np.asarray(softmax(self.scores(embeddings), axis=1))

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Log probabilities but for a constant of each example; shape (example, class)."""
        z = (embeddings - self.centre) / self.width
        return np.asarray(z @ self.coefficients[:, :-1].T + self.coefficients[:, -1])

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The likeliest class of each example."""
        return np.array(self.names)[self.probabilities(embeddings).argmax(axis=1)]


def fit_classes(embeddings: np.ndarray, labels: Sequence[str], strength: float = 1.0) -> Classes:
    """Fit a multinomial logistic regression on standardised embeddings (example, width); the base stays as it is.

    ``strength`` is the inverse of the penalty on the squared coefficients (scikit-learn's C). Of windows in other
    seasons than it was fitted on, ``PlainFeatures`` alone tell the series better than a base's embeddings alone, which
    hold the calendar, too; ``fit_joined`` takes both (``terracast bench base --tasks``). Raises ``ForecastError`` for
    fewer than two classes.
    O(examples × width × classes) an iteration.
    """
    _check(embeddings, labels)
    return _fitted(embeddings, labels, _logistic(strength))


def fit_joined(embeddings: np.ndarray, statistics: np.ndarray, labels: Sequence[str], rounds: np.ndarray) -> Classes:
    """A head on ``[embeddings, statistics]`` side by side (example, widths): each tells its own, and both are weighed.

    A base scales away what plain statistics tell, and its embeddings hold the hour and the weather of the moment, which
    differ within a class as much as classes do. So embeddings are read by a linear discriminant (Fisher 1936), which
    divides by the spread within classes, statistics by a logistic regression, and the scores are added. Strength,
    shrinkage and share are those with the highest likelihood of each of ``rounds`` (example,), windows of one time say,
    with the map fitted on the others: nothing is chosen on what it was fitted to. A share of 0 leaves the statistics
    alone. Raises ``ForecastError`` as ``fit_classes``, and for a single round. One fit a round and setting.

    >>> draws = np.random.default_rng(0)
    >>> labels = ["calm", "rough"] * 30
    >>> rough = np.arange(60)[:, None] % 2
    >>> head = fit_joined(draws.normal(rough, 1, (60, 8)), draws.normal(rough, 1, (60, 2)), labels, np.arange(60) // 10)
    >>> head.predict(np.array([[0.0] * 10, [1.0] * 10])).tolist()
    ['calm', 'rough']
    """
    both = np.concatenate([embeddings, statistics], axis=1)
    _check(both, labels)
    known, held = np.array(list(map(str, labels))), np.unique(rounds)
    if len(held) < 2:
        raise ForecastError("one round of examples", where="classification", expected="at least two",
                            remedy="give windows of several times, or use fit_classes")
    told: dict[tuple[float, float, float], float] = {}
    for one in held:
        rest, asked = rounds != one, (rounds == one) & np.isin(known, known[rounds != one])
        if len(set(known[rest])) < 2 or not asked.any():
            continue
        for key, scores, names in _settings(embeddings, statistics, known, rest, asked):
            likely = log_softmax(scores, axis=1)[np.arange(asked.sum()), np.searchsorted(names, known[asked])]
            told[key] = told.get(key, 0.0) + float(likely.sum())
    strength, shrinkage, share = max(told, key=lambda key: told[key]) if told else (1.0, 0.1, 0.05)
    plain = _fitted(statistics, labels, _logistic(strength))
    deep = _fitted(embeddings, labels, _discriminant(shrinkage))
    joined = np.concatenate([share * deep.coefficients[:, :-1], plain.coefficients[:, :-1],
                             share * deep.coefficients[:, -1:] + plain.coefficients[:, -1:]], axis=1)
    return Classes(plain.names, np.concatenate([deep.centre, plain.centre]),
                   np.concatenate([deep.width, plain.width]), joined)


def _settings(embeddings: np.ndarray, statistics: np.ndarray, labels: np.ndarray, rest: np.ndarray, asked: np.ndarray
              ) -> Iterator[tuple[tuple[float, float, float], np.ndarray, np.ndarray]]:
    """Scores (asked, class) of maps fitted on ``rest``, for every setting; and the names of the classes."""
    plain = {strength: _fitted(statistics[rest], labels[rest], _logistic(strength))
             for strength in STRENGTHS}
    deep = {shrinkage: _fitted(embeddings[rest], labels[rest], _discriminant(shrinkage))
            for shrinkage in SHRINKAGES}
    for strength, shrinkage, share in itertools.product(STRENGTHS, SHRINKAGES, SHARES):
        scores = plain[strength].scores(statistics[asked]) + share * deep[shrinkage].scores(embeddings[asked])
        yield (strength, shrinkage, share), scores, np.array(plain[strength].names)


def _check(examples: np.ndarray, labels: Sequence[str]) -> None:
    names = set(map(str, labels))
    if len(names) < 2:
        raise ForecastError(f"{len(names)} class", where="classification", expected="at least two",
                            remedy="give labels of other classes")
    if len(labels) != len(examples) or not np.isfinite(examples).all():
        raise ForecastError(f"{len(labels)} labels, {len(examples)} embeddings", where="classification",
                            expected="a label for each, finite embeddings", remedy="mend the examples")


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # scikit-learn takes a second, which only a fit needs

    return LogisticRegression(C=strength, max_iter=500)


def _discriminant(shrinkage: float) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage)


def _fitted(examples: np.ndarray, labels: Sequence[str] | np.ndarray, model: Any) -> Classes:
    """A linear model of scikit-learn on standardised examples."""
    centre, width = examples.mean(axis=0), examples.std(axis=0)
    width = np.where(width > TINY, width, 1.0)
    fitted = model.fit((examples - centre) / width, list(map(str, labels)))
    coefficients = np.concatenate([fitted.coef_, fitted.intercept_[:, None]], axis=1)
    if len(coefficients) == 1:  # scikit-learn keeps one row for two classes
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
    return Classes(tuple(map(str, fitted.classes_)), centre, width, coefficients.astype("float64"))
