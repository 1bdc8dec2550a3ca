"""The monitor of a stream too young to know what is normal: it learns, says so, and raises no alarm of drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.channels.covariate_shift import Contexts
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.monitor import FEWEST_BLOCKS, Monitor
from terracast.adapt.monitoring.statistics.reference_period import DAY
from terracast.streams.stateful import Stateful
from terracast.streams.wording import age, counted

MOST_BLOCKS = 8 * FEWEST_BLOCKS  # of a reference that is still made longer: from then on limits are sure enough
MOST_STEPS = 96  # of a block of a young stream: a day of hours, six hours of five minutes
PARTS_OF_A_DAY = (24, 12, 6, 3, 1)  # hours


@dataclass(frozen=True)
class MonitorPlan(Stateful):
    """How a monitor is to be calibrated: see ``Monitor.fit``; ``variables``: by whose features the context is known
    (``covariate_shift.features``), none: it is not watched."""

    false_alarms_per_month: float
    seed: int
    detector: str
    nodes: tuple[str, ...]
    variables: tuple[str, ...] = ()

    def fit(self, times: np.ndarray, residuals: np.ndarray, values: np.ndarray | None, levels: np.ndarray | None, *,
            pits: np.ndarray | None = None, contexts: Contexts | None = None,
            block: np.timedelta64 | None = None) -> Monitor:
        """The monitor that this reference calibrates; ``values``: the observations behind it, ``levels``: beside the
        weeks before."""
        return Monitor.fit(residuals, times, self.false_alarms_per_month, seed=self.seed, nodes=self.nodes,
                           values=values, inputs=contexts, pits=pits, levels=levels, detector=self.detector,
                           block=block)


class LearningMonitor(Stateful):
    """Keeps what a young stream shows until ``FEWEST_BLOCKS`` blocks of it can calibrate a monitor, and on until it was
    calibrated with two, four and eight times as many: limits of few blocks are sure, but wide.

    It is observed like a ``Monitor`` and finds nothing. Forecasts from less than ``FEWEST_BLOCKS`` blocks of the past
    are worse than later ones, and so no measure of what is normal: they are left out. The first monitor that it makes
    watches errors and the level; later ones the intervals, too, which have settled by then, and the context once enough
    blocks had windows that reached as far back as any will. What it keeps is 0.2 MB a block for a thousand nodes.

    Parameters
    ----------
    plan : MonitorPlan
        How the monitor is to be calibrated.
    step : timedelta64
        Of the stream.
    first : datetime64
        Of its values.
    full : datetime64, optional
        From when on contexts reach as far back as any will; default: never.

    Examples
    --------
    >>> first, hour = np.datetime64("2024-03-01", "ns"), np.timedelta64(1, "h")
    >>> young = LearningMonitor(MonitorPlan(1.0, 0, "scan", ("a",)), hour, first)
    >>> young.is_ready
    False
    >>> young.status["error"]
    'The monitor is learning what is normal: it raises no alarms of drift until 28 days are known.'
    """

    kinds: tuple[str, ...] = ("error",)

    def __init__(self, plan: MonitorPlan, step: np.timedelta64, first: np.datetime64,
                 full: np.datetime64 | None = None) -> None:
        self.plan, self.step, self.block = plan, step.astype("timedelta64[ns]"), natural_block(step)
        self.start, self.wanted = learnt_from(step, first), FEWEST_BLOCKS
        self.full = None if full is None else full.astype("datetime64[ns]")
        self._times, none = np.array([], "datetime64[ns]"), np.zeros((0, len(plan.nodes)), np.float32)
        self._residuals, self._pits = none, none.copy()
        self._contexts: list[tuple[np.datetime64, np.ndarray]] = []

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables by whose features the context is known."""
        return self.plan.variables if self.full is not None else ()

    @property
    def status(self) -> dict[str, str]:
        """A sentence that says that it learns, and until when."""
        parts = 2 * FEWEST_BLOCKS
        enough = counted(parts, "step") if self.block == self.step else age(parts * self.block)
        return {"error": "The monitor is learning what is normal: it raises no alarms of drift until "
                         f"{enough} are known."}

    @property
    def is_ready(self) -> bool:
        """Whether a monitor can be calibrated now."""
        return self.blocks >= self.wanted

    @property
    def is_done(self) -> bool:
        """Whether a longer reference would tell nothing more."""
        return self.wanted > MOST_BLOCKS

    @property
    def blocks(self) -> int:
        """Whole blocks in which something was seen."""
        return max(0, _count(self._times, self.block) - 1)

    def observe(self, times: np.ndarray, residuals: np.ndarray, pits: np.ndarray | None = None,
                context: np.ndarray | None = None, levels: np.ndarray | None = None) -> tuple[Evidence, ...]:
        """Keep what ``Monitor.observe`` would judge; times that were seen, or at which nothing was, are left out. Finds
        nothing."""
        times, there = np.asarray(times, "datetime64[ns]"), np.isfinite(residuals).any(axis=1)
        new = there & (times >= self.start) & (times > self._times[-1] if len(self._times) else True)
        if not new.any():
            return ()
        fell = np.full(np.shape(residuals), np.nan, np.float32) if pits is None else np.asarray(pits, np.float32)
        self._times = np.append(self._times, times[new])
        self._residuals = np.concatenate([self._residuals, np.asarray(residuals, np.float32)[new]])
        self._pits = np.concatenate([self._pits, fell[new]])
        if context is not None and self._is_of_new_block(times[0]):  # the next window shares most of this one
            self._contexts.append((times[0], np.asarray(context, np.float32)))
        return ()

    def _is_of_new_block(self, time: np.datetime64) -> bool:
        return (self.full is not None and time >= self.full
                and (not self._contexts or _count(np.array([self._contexts[-1][0], time]), self.block) > 1))

    def begin(self, times: np.ndarray, residuals: np.ndarray, pits: np.ndarray | None,
              contexts: Contexts | None) -> None:
        """Keep what forecasts of the past showed before service."""
        self.observe(times, residuals, pits)
        if contexts is not None and contexts.variables == self.variables:
            for time, one in zip(contexts.times, contexts.features, strict=True):
                if self._is_of_new_block(time):
                    self._contexts.append((time, np.asarray(one, np.float32)))

    @property
    def times(self) -> np.ndarray:
        """Stamps (time,) of what it has seen, rising."""
        return self._times

    @property
    def since(self) -> np.datetime64:
        """From when on it has seen something."""
        return np.datetime64(self._times[0], "ns")

    def calibrated(self, values: np.ndarray, levels: np.ndarray, off: np.ndarray) -> Monitor:
        """The monitor that what was kept calibrates; ``values`` (time, node): the observations behind it, ``levels``
        (time, 2, node): beside the weeks before; ``off`` (time,): what is left out. The next one wants twice as many
        blocks."""
        settled = self.wanted > FEWEST_BLOCKS
        self._residuals[off], self._pits[off] = np.nan, np.nan
        contexts = None
        if settled and len(self._contexts) >= FEWEST_BLOCKS:
            contexts = Contexts(np.array([time for time, _ in self._contexts]),
                                np.stack([one for _, one in self._contexts]).astype(float), self.variables)
        monitor = self.plan.fit(self._times, self._residuals.astype(float), values, levels, contexts=contexts,
                                pits=self._pits.astype(float) if settled else None, block=self.block)
        self.wants_more()
        return monitor

    def wants_more(self) -> None:
        """A monitor has been calibrated with what is known: the next one is due with twice as much."""
        while self.is_ready:
            self.wanted *= 2

    def restart(self) -> None:
        """Another version serves: what is normal stays, as with a ``Monitor``."""


def monitor_of(young: LearningMonitor, times: np.ndarray, residuals: np.ndarray, values: np.ndarray | None,
               levels: np.ndarray | None, *, pits: np.ndarray | None, contexts: Contexts | None
               ) -> tuple[Monitor | LearningMonitor, LearningMonitor | None]:
    """The monitor that a reference calibrates, see ``Monitor.fit``; ``young`` with what there is, where that is too
    little. ``contexts``: those of windows that reached as far back as any will. The second: who goes on learning for
    a monitor that few blocks calibrated."""
    young.begin(times, residuals, pits, contexts)
    if not young.is_ready:
        return young, None
    if contexts is not None and _count(contexts.times, young.block) < FEWEST_BLOCKS:
        contexts = None
    monitor = young.plan.fit(times, residuals, values, levels, pits=pits, contexts=contexts)
    young.wants_more()
    return monitor, None if young.is_done else young


def steps_of_block(monitor: Monitor | LearningMonitor) -> int:
    """How many steps a block has."""
    if isinstance(monitor, Monitor):
        return monitor.calibration.block
    return max(1, int(monitor.block / monitor.step))


def learnt_from(step: np.timedelta64, first: np.datetime64) -> np.datetime64:
    """From when on the forecasts of a stream with these values show what is normal."""
    return first.astype("datetime64[ns]") + FEWEST_BLOCKS * natural_block(step)


def natural_block(step: np.timedelta64) -> np.timedelta64:
    """How long a block of a young stream is: the longest part of a day of at most ``MOST_STEPS`` steps; a step where
    that is longer, or only seconds.

    >>> [str(natural_block(np.timedelta64(minutes, "m")).astype("timedelta64[h]")) for minutes in (5, 60, 10080)]
    ['6 hours', '24 hours', '168 hours']
    """
    step = step.astype("timedelta64[ns]")
    if step >= DAY:
        return step
    parts = (np.timedelta64(hours, "h").astype("timedelta64[ns]") for hours in PARTS_OF_A_DAY)
    return next((part for part in parts if part // step <= MOST_STEPS), step)


def _count(times: np.ndarray, block: np.timedelta64) -> int:
    """How many blocks they lie in."""
    return len(np.unique(times.astype("datetime64[ns]").astype(np.int64) // block.astype("timedelta64[ns]").astype(
        np.int64)))
