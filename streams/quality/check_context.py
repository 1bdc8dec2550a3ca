"""What the checks look at: one variable's values beside what was to be expected of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from terracast.streams.quality.neighbours import neighbour_median
from terracast.streams.quality.reference import Climatology
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.units import Alternative
from terracast.streams.quality.windows import filled_forward, run_length, trailing_mean

DAY = np.timedelta64(1, "D").astype("timedelta64[ns]").astype(np.int64)
SMALL = 0.01  # of the value itself: a change beyond it is one, however small it is for the node
LASTING = "2D"
CLIP = 12.0  # standard deviations beyond which it does not matter how far


def day_class(time: np.ndarray, step: np.timedelta64) -> np.ndarray:
    """Which part of the day a stamp lies in: up to 24 classes, one for steps of a day and more.

    >>> day_class(np.array(["2020-01-01T07:30"], "datetime64[ns]"), np.timedelta64(300, "s")).tolist()
    [7]
    """
    count = max(1, min(24, int(DAY // step.astype("timedelta64[ns]").astype(np.int64))))
    return np.asarray((time.astype("datetime64[ns]").astype(np.int64) % DAY) * count // DAY)


@dataclass(frozen=True)
class CheckContext:
    """One variable as it is judged: ``values`` (time, node) with the context rows before ``first``.

    ``usual`` is None where nothing was learned. ``natural_zero``: whether standing at zero says nothing of the
    sensor (rain, counts of rare events); ``joined`` (node,): nodes that reported before these rows. All else is worked
    out once, when first asked for.
    """

    time: np.ndarray
    step: np.timedelta64
    values: np.ndarray
    first: int
    settings: QualitySettings
    alternatives: tuple[Alternative, ...]
    usual: Climatology | None
    natural_zero: bool = False
    joined: bool | np.ndarray = False

    @property
    def known(self) -> Climatology:
        """What is usual; only for checks that have made sure that it is there."""
        assert self.usual is not None
        return self.usual

    def rows(self, duration: str, at_least: int = 1) -> int:
        """A duration in rows."""
        return self.settings.rows(duration, self.step, at_least)

    @cached_property
    def present(self) -> np.ndarray:
        """Where there is a value."""
        return ~np.isnan(self.values)

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """Values as anomalies from the hour's median, in the node's robust deviations."""
        classes = day_class(self.time, self.step)
        usual = self.known
        with np.errstate(over="ignore", invalid="ignore"):
            anomalies = (usual.transformed(values) - usual.profile[classes]) / usual.scale
            return np.clip(anomalies, -1e6, 1e6).astype(np.float32)

    @cached_property
    def anomalies(self) -> np.ndarray:
        """Standardised anomalies of the values as given."""
        return self.standardised(self.values)

    @cached_property
    def neighbour_median(self) -> np.ndarray:
        """The neighbours' anomaly, their median; NaN without neighbours."""
        return np.clip(neighbour_median(self.anomalies, self.known.neighbours), -CLIP, CLIP)

    @cached_property
    def expected(self) -> np.ndarray:
        """The anomaly to be expected from the neighbours; 0, the hour's median, where they say nothing."""
        return np.nan_to_num(self.neighbour_median * self.known.share).astype(np.float32)

    @cached_property
    def innovation(self) -> np.ndarray:
        """What the neighbours do not explain, in its own robust deviations."""
        return (self.anomalies - self.expected) / self.known.noise

    @cached_property
    def persistent_shift(self) -> np.ndarray:
        """The part of the surprise that has lasted for two days: a level that has drifted, whatever the
        clock."""
        window = self.rows(LASTING, 24)
        mean = trailing_mean(np.clip(self.innovation, -CLIP, CLIP), window, window // 4)
        return np.nan_to_num(mean)

    def last(self, rows: int) -> CheckContext:
        """The same without the context beyond ``rows`` rows; nothing is worked out twice."""
        start = max(0, self.first - rows)
        part = replace(self, time=self.time[start:], values=self.values[start:], first=self.first - start)
        for name in ("anomalies", "neighbour_median", "expected", "innovation", "still_run"):
            part.__dict__[name] = getattr(self, name)[start:]
        return part

    @cached_property
    def still_run(self) -> np.ndarray:
        """Number of values in a row, gaps left out, that have not moved; (time, node)."""
        tolerance = self.usual.still if self.usual is not None else np.zeros(self.values.shape[1])
        return still_runs(self.values, np.nan_to_num(tolerance))


def still_runs(values: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """How many values up to each cell stand still (each within ``tolerance`` of the one before); 0 at gaps.

    >>> still_runs(np.array([[5.0], [np.nan], [5.0], [6.0]]), np.zeros(1)).ravel().tolist()
    [1, 0, 2, 1]
    """
    filled = filled_forward(values)
    with np.errstate(over="ignore", invalid="ignore"):
        allowed = np.minimum(tolerance, SMALL * np.abs(filled[1:]))
        moved = ~(np.abs(np.diff(filled, axis=0)) <= allowed)
    moved = np.concatenate([np.ones((1, values.shape[1]), bool), moved])
    begun = run_length(~moved) + 1
    present = ~np.isnan(values)
    seen = np.cumsum(present, axis=0, dtype=np.int32)
    rows = np.arange(len(values), dtype=np.int32)[:, None]
    before = np.take_along_axis(seen, np.maximum(rows - begun, 0), axis=0)
    return np.where(present, seen - np.where(rows - begun >= 0, before, 0), 0)
