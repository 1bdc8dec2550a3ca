"""The reference period, read once: its blocks of statistics, out of sample, and what is watched beside the errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.channels.channels import Record
from terracast.adapt.monitoring.channels.covariate_shift import Contexts
from terracast.adapt.monitoring.statistics.node_statistics import Blocks, NodeStatistics
from terracast.adapt.monitoring.statistics.reference_scale import varies
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

MONTH = np.timedelta64(30 * 24 + 12, "h")
DAY = np.timedelta64(1, "D")
FEWEST_BLOCKS = 14


class MonitorError(TerracastError):
    """A monitor that cannot be calibrated, or was fed rows it cannot read."""


@dataclass(frozen=True)
class BlockClock(Stateful):
    """Which block an instant is of: ``block`` steps of length ``step``, counted from 1970."""

    step: np.timedelta64
    block: int

    @property
    def span(self) -> np.timedelta64:
        """How long a block is."""
        return self.step * self.block

    @property
    def per_month(self) -> float:
        """Blocks a month."""
        return float(MONTH / self.span)

    @property
    def daily(self) -> bool:
        """Whether a block is a day of several steps, so that the daily cycle can be watched."""
        return self.span == DAY and self.block >= 4

    def number(self, time: np.datetime64) -> int:
        """The block of ``time``."""
        return int(time.astype(np.int64) // self.span.astype(np.int64))

    def places(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block of each of ``times``, and which of its steps it is."""
        steps = times.astype("datetime64[ns]").astype(np.int64) // self.step.astype("timedelta64[ns]").astype(np.int64)
        return steps // self.block, steps % self.block

    @classmethod
    def of(cls, times: np.ndarray, block: np.timedelta64 | None) -> BlockClock:
        """The step of rising ``times`` (time,), with blocks as long as ``block``. None: a day, or the longest part of
        a day of which the period holds enough; at least one step."""
        step = np.median(np.diff(times).astype(np.int64)).astype("timedelta64[ns]")
        if block is not None:
            return cls(step, max(1, int(block / step)))
        for hours in (24, 12, 6, 3, 1):
            size = int(np.timedelta64(hours, "h") / step)
            if size >= 1 and len(times) // size >= FEWEST_BLOCKS:
                return cls(step, size)
        return cls(step, 1)


@dataclass(frozen=True)
class ReferencePeriod:
    """A period in which nothing changed, as the monitor reads it.

    Attributes
    ----------
    nodes : tuple of str
        Their names.
    clock : BlockClock
        Steps and blocks.
    views : NodeStatistics
        The statistics, fitted to the whole period.
    blocks : Blocks
        The statistics of its blocks, each by views that have not seen it.
    records : tuple of Record
        What is watched beside the errors.
    span : tuple of datetime64, optional
        From when to just before when it lasted; None: not known.
    """

    nodes: tuple[str, ...]
    clock: BlockClock
    views: NodeStatistics
    blocks: Blocks
    records: tuple[Record, ...] = ()
    span: tuple[np.datetime64, np.datetime64] | None = None

    @classmethod
    def read(cls, residuals: np.ndarray, times: np.ndarray, *, nodes: Sequence[str] | None = None,
             block: np.timedelta64 | None = None, values: np.ndarray | None = None, inputs: Contexts | None = None,
             pits: np.ndarray | None = None, levels: np.ndarray | None = None) -> ReferencePeriod:
        """Read a reference; see ``Monitor.fit`` for what is given. Raises ``MonitorError``."""
        names = tuple(str(node) for node in (range(residuals.shape[1]) if nodes is None else nodes))
        if residuals.shape != (len(times), len(names)) or len(times) < 2:
            raise MonitorError(f"residuals of shape {residuals.shape}", where="monitor reference",
                               expected=f"({len(times)}, {len(names)}) of at least two times",
                               remedy="give one row a time and one column a node")
        clock = BlockClock.of(times, block)
        number, at = clock.places(times)
        count = len(np.unique(number))
        if count < FEWEST_BLOCKS:
            raise MonitorError(f"{count} blocks of {clock.block} steps", where="monitor reference",
                               expected=f"at least {FEWEST_BLOCKS}",
                               remedy="give a longer reference or a shorter block")
        blocks = NodeStatistics.crossed(residuals, number, at, clock.block, clock.daily)
        records = [] if inputs is None else [
            Record.of_contexts(inputs, clock.places(inputs.times)[0], blocks.numbers)]
        if pits is not None:  # of a node that never varied, intervals of no width say nothing
            told = np.where(varies(residuals if values is None else np.asarray(values, float)), pits, np.nan)
            records.append(Record.of_pits(told, number, blocks.numbers, clock.block))
        if levels is not None:
            records.append(Record.of_levels(np.asarray(levels, float), number, blocks.numbers, clock.block))
        return cls(names, clock, NodeStatistics.fit(residuals, (number, at, clock.block)), blocks, tuple(records),
                   (times[0], times[-1] + clock.step))
