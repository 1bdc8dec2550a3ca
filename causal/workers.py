"""Who does the parts of a search: this process, several processes, or a Dask cluster. The result is the same."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Solved = Callable[[str, list[list[int]], Any], Iterator[dict[int, Any]]]


class Work(Protocol):
    """Something that does a phase for some targets (``causal.by_target.TargetWork``)."""

    def done(self, phase: str, targets: list[int], given: Any) -> dict[int, Any]:
        """The parts of the targets."""


class Workers(Protocol):
    """Someone who does parts; ``count`` is how many at once."""

    @property
    def count(self) -> int:
        """How many parts are done at once."""

    def at(self, work: Work) -> AbstractContextManager[Solved]:
        """Set to ``work``: what is yielded does batches of a phase and hands them on as they are done."""


@dataclass(frozen=True)
class Here:
    """One after the other, in this process.

    >>> class Doubling:
    ...     def done(self, phase, targets, given):
    ...         return {one: 2 * one for one in targets}
    >>> with Here().at(Doubling()) as solve:
    ...     list(solve("links", [[1], [2, 3]], None))
    [{1: 2}, {2: 4, 3: 6}]
    """

    @property
    def count(self) -> int:
        """One."""
        return 1

    @contextlib.contextmanager
    def at(self, work: Work) -> Iterator[Solved]:
        """See ``Workers``."""
        yield lambda phase, batches, given: (work.done(phase, batch, given) for batch in batches)


@dataclass(frozen=True)
class Processes:
    """``count`` processes of this machine; each gets the data once. A start costs a few seconds a process.

    As with every use of processes, a script that calls this needs ``if __name__ == "__main__":``.
    """

    count: int

    @contextlib.contextmanager
    def at(self, work: Work) -> Iterator[Solved]:
        """See ``Workers``."""
        with ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), _take, (work,)) as pool:
            def solve(phase: str, batches: list[list[int]], given: Any) -> Iterator[dict[int, Any]]:
                waiting = [pool.submit(_do, phase, batch, given) for batch in batches]
                return (one.result() for one in as_completed(waiting))

            yield solve


_taken: list[Work] = []  # in a worker process: the work it was started for


def _take(work: Work) -> None:
    _taken[:] = [work]


def _do(phase: str, targets: list[int], given: Any) -> dict[int, Any]:
    return _taken[0].done(phase, targets, given)


@dataclass(frozen=True, eq=False)
class Cluster:
    """The workers of a Dask cluster, by its ``client`` (``distributed.Client``); the data are scattered once.

    Cluster workers need this package installed. Threads of one worker wait for each other: give a worker one.
    """

    client: Any

    @property
    def count(self) -> int:
        """The workers there now."""
        return max(1, len(self.client.scheduler_info()["workers"]))

    @contextlib.contextmanager
    def at(self, work: Work) -> Iterator[Solved]:
        """See ``Workers``."""
        sent = self.client.scatter(work, broadcast=True, hash=False)

        def solve(phase: str, batches: list[list[int]], given: Any) -> Iterator[dict[int, Any]]:
            waiting = [self.client.submit(_done, sent, phase, batch, given, pure=False) for batch in batches]
            return (one.result() for one in waiting)

        yield solve


def _done(work: Work, phase: str, targets: list[int], given: Any) -> dict[int, Any]:
    return work.done(phase, targets, given)
