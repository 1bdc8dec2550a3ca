"""From experts' points and a base's quantiles to a mixture's: the blend, its widths, and what each is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.correction.experts.aggregation import RegretBoundedMixture, crps_gradient
from terracast.adapt.correction.experts.experts import TREES, Experts
from terracast.adapt.correction.experts.network_residual import NetworkResidual, network_residual_width, reading
from terracast.adapt.correction.experts.residual_quantiles import ResidualQuantiles
from terracast.adapt.correction.experts.stacked_experts import Stacked, StackedExperts
from terracast.adapt.evaluation.scores import level, spread_of
from terracast.streams.stateful import Stateful

MEMORY = 0.9995  # discount of an expert's losses for each row of the clock
BLEND_PRIORS = (0.4, 0.4, 0.04, 0.16)  # the stack of all, the corrector, the base, the trees
PRIORS = (0.2, 0.4, 0.4)  # base, base moved to the blend, blend with widths of its own


@dataclass(frozen=True)
class Aggregated(Stateful):
    """What was forecast at one issue, kept until its labels come: the blend, what the corrector read and the middle it
    went from, the candidates (3, lead, node, quantile) and their mixture (lead, node, quantile)."""

    blended: Stacked
    read: np.ndarray
    middle: np.ndarray
    candidates: np.ndarray
    mixed: np.ndarray

    @property
    def base(self) -> np.ndarray:
        """The base's quantiles (lead, node, quantile), which are the first candidate."""
        return np.asarray(self.candidates[0])


class QuantileAggregation(Stateful):
    """Two stages of online aggregation for each (lead, node), both learned from matured labels.

    First a ``StackedExperts`` of points (ridges, the base's median as the anchor, a ``NetworkResidual``; absolute
    error), then a ``RegretBoundedMixture`` on CRPS of three candidates: the base as it is, the base moved to the
    blend's point, and the blend with its own matured errors' quantiles in units of the base's width. Quantile by
    quantile a convex combination, so never crossing, and in the long run never worse than the base by more than the
    mixture's bound. ``covariates``: columns that the experts read; ``per_issue``: rows between two issues.
    """

    def __init__(self, experts: Experts, covariates: int, quantiles: tuple[float, ...], per_issue: int) -> None:
        horizon, nodes = experts.horizon, len(experts.history.centre)
        ridges, number, delay = experts.learned, len(experts.names), -(-horizon // per_issue)
        self.quantiles = quantiles
        self.corrector = NetworkResidual(horizon, network_residual_width(ridges, horizon, covariates))
        self.blend = StackedExperts(horizon, nodes, stacked=[*range(ridges), number, number + 1], averaged=[number + 1],
                                    anchor=number, priors=BLEND_PRIORS, alone=[experts.names.index(TREES)],
                                    delay=delay, loss="absolute", memory=MEMORY**per_issue)
        self.sure = RegretBoundedMixture(horizon, nodes, PRIORS, delay)
        self.widths = ResidualQuantiles(horizon, nodes, quantiles, 1.0,
                                        delays=np.ceil(np.arange(1, horizon + 1) / per_issue))

    def mix(self, experts: Experts, rows: np.ndarray, base: np.ndarray) -> Aggregated:
        """Of the base's quantiles (lead, node, quantile) and the experts' points so many ``rows`` (lead,) after their
        newest."""
        points, median = experts.points(rows), level(base, self.quantiles, 0.5)
        read, middle = self._read(experts, points, base)
        corrected = experts.history.unscaled(self.corrector.predict(read, middle))
        blended = self.blend.mix(np.concatenate([points, median[None], corrected[None]]))
        width = self._width(experts, base)
        own = blended.served[..., None] + width[..., None] * self.widths.around(np.zeros_like(median))
        candidates = np.stack([base, base + (blended.served - median)[..., None], own])
        mixed = (self.sure.weights()[..., None] * candidates).sum(axis=0)
        return Aggregated(blended, read, middle, candidates, mixed)

    def learn(self, experts: Experts, one: Aggregated, labels: np.ndarray) -> None:
        """Weights and widths, from labels (lead, node) newly matured for one issue; NaN: not now."""
        self.blend.learn(one.blended, labels)
        self.sure.learn(crps_gradient(one.mixed, one.candidates, labels, self.quantiles))
        width, served = self._width(experts, one.base), one.blended.served
        self.widths.learn(labels / width, served / width, one.candidates[2] / width[..., None])

    def close(self, experts: Experts, one: Aggregated, labels: np.ndarray) -> None:
        """The corrector, from all the labels (lead, node) that came of one issue."""
        self.corrector.learn(one.read, one.middle, experts.history.rescaled(labels))

    def carry_over(self, former: QuantileAggregation) -> None:
        """Go on with what another knew of how much the base, and widths, are worth: its experts read otherwise."""
        self.sure, self.widths = former.sure, former.widths

    def weights(self) -> dict[str, float]:
        """Mean weight of each candidate."""
        means = self.sure.weights().mean(axis=(1, 2))
        return dict(zip(("base", "moved-base", "experts"), map(float, means), strict=True))

    def _read(self, experts: Experts, points: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the corrector reads of the experts' points and the base, and the middle between them."""
        history, ridges = experts.history, points[:experts.learned]
        three = np.stack([level(base, self.quantiles, one) for one in (0.1, 0.5, 0.9)])
        covariates = None if experts.covariates is None else experts.covariates.features()
        return reading(history.rescaled(ridges), history.rescaled(three), history.scaled[-2:], covariates)

    def _width(self, experts: Experts, base: np.ndarray) -> np.ndarray:
        """A base's own deviation (lead, node), never nothing beside the usual one of the stream."""
        return np.asarray(np.maximum(spread_of(base, self.quantiles), 0.02 * experts.history.width))
