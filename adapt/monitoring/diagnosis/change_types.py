"""What: which type of change explains most of what a node's residual did since it began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.diagnosis.explanations import FEWEST, LOOK, best, shapes_of

SURE = 4.0  # how much better, in residual variances, a slow rise of the whole network must fit than a step
LOOSE = -0.6  # of the slope on the neighbours: a node that follows them hardly or not at all


@dataclass(frozen=True)
class Began:
    """How many blocks ago the change began: best guess, and the range of those that fit about as well."""

    age: int
    oldest: int
    youngest: int


@dataclass(frozen=True)
class ChangeType:
    """A type of change with its direction and its size, in deviations of the residual."""

    name: str
    direction: str
    size: float


def began(levels: np.ndarray, most: int = LOOK) -> Began:
    """When the mean of ``levels`` (block,) stepped, by least squares over the last ``most`` blocks.

    >>> began(np.repeat([0.0, 1.0], [20, 5]))
    Began(age=5, oldest=5, youngest=5)
    """
    ages = np.arange(1, min(most, len(levels) - 2) + 1)
    costs = np.array([_cost(levels[:-age]) + _cost(levels[-age:]) for age in ages])
    if not len(costs) or not np.isfinite(costs).any():
        return Began(1, 1, 1)
    least = float(np.nanmin(costs))
    noise = max(least / max(np.isfinite(levels).sum() - 2, 1), 1e-12)
    good = ages[costs <= least + 4 * noise]  # twice the log likelihood ratio of one parameter at 95 %
    return Began(int(ages[np.nanargmin(costs)]), int(good.max()), int(good.min()))


def rises(levels: np.ndarray) -> tuple[float, float]:
    """Least squares costs of the best step and of the best slow rise (0, then linear, then flat) of ``levels``
    (block,) over its last ``LOOK`` blocks, from the mean before."""
    before, after = levels[:-LOOK], levels[-LOOK:]
    before = before[np.isfinite(before)]
    seen = np.isfinite(after)
    moved = np.where(seen, after - (before.mean() if len(before) >= 4 else np.nanmedian(levels)), 0.0)
    shapes, slow, _ = shapes_of(len(after), 0)
    masked = np.where(seen, shapes, 0.0)
    localise = (masked @ moved) ** 2 / np.maximum((masked**2).sum(axis=1), 1e-12)
    total = float((moved**2).sum())
    step, rise = (float(localise[one].max(initial=0.0)) for one in (~slow, slow))
    return total - step, total - rise


def change_type_of(moments: np.ndarray, cycle: np.ndarray) -> tuple[ChangeType, int]:
    """The type of a change of one node, and how many blocks ago it began.

    ``moments`` (block, 5) as ``node_statistics.Blocks`` has them, ``cycle`` (block, 2) the cosine and sine streams
    (NaN: not watched); what explains them best (``adapt.monitoring.diagnosis.explanations``) gives the type.
    """
    seen = np.flatnonzero(np.isfinite(moments).all(axis=1))
    if len(seen) < FEWEST:
        return ChangeType("level", "up", 0.0), 1
    found = best(moments[seen], cycle[seen])
    begins = int(seen[found.start])
    age, size = len(moments) - begins, abs(found.amount)
    if found.name == "cycle":
        return ChangeType("seasonality", "moved", size), age
    if found.name in ("level", "trend"):
        return ChangeType(found.name, "up" if found.amount > 0 else "down", size), age
    after = moments[seen[found.start:]]
    slope = after[:, 2].sum() / max(float(after[:, 3].sum()), 1e-9)
    if found.amount < 0 and slope < LOOSE:
        return ChangeType("relation", "loose", size), age
    return ChangeType("scale", "wider" if found.amount > 0 else "narrower", size), age


def _cost(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(((seen - seen.mean()) ** 2).sum()) if len(seen) else 0.0
