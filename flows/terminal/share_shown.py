"""How far a long piece of work is, and how long it still takes: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from terracast.flows.terminal.output import note

Told = Callable[[float, str], None]
"""Takes a share of the whole, 0 to 1, and what is being done."""

EVERY, SELDOM = 5.0, 60.0  # seconds between the first two lines, at least; doubled with each line up to this
TELLING = 0.1  # share done from which on an estimate means something


def silent(share: float, words: str) -> None:
    """Tells nobody."""


def within(tell: Told, first: float, last: float) -> Told:
    """For a part of the work: its own shares 0 to 1 are told as ``first`` to ``last`` of the whole.

    >>> within(lambda share, words: print(share, words), 0.5, 1.0)(0.5, "fitting")
    0.75 fitting
    """
    return lambda share, words: tell(first + (last - first) * share, words)


@contextmanager
def share_shown(label: str) -> Iterator[Told]:
    """Tell the share done on standard error: a bar with the time left on a terminal, else plain lines, the first at
    once and then ever fewer, each with an estimate."""
    console = Console(stderr=True)
    if not console.is_terminal:
        note(f"{label}: begins")
        yield Lines(label, note, time.monotonic)
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                  console=console, transient=True) as bar:
        task = bar.add_task(label, total=1.0)

        def tell(share: float, words: str) -> None:
            bar.update(task, completed=min(share, 1.0), description=f"{label}: {words.partition(':')[0]}")

        yield tell


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Count steps of work as they are done, as ``share_shown`` tells shares; what takes seconds says nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        lines, done = Lines(label, note, time.monotonic), 0

        def count(steps: int) -> None:
            nonlocal done
            done += steps
            lines(done / max(total, done, 1), f"{done} of {total}")

        yield count
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


class Lines:
    """The share as lines of text. The estimate reckons that the rest goes as fast as what was done.

    >>> ticks = iter([0.0, 10.0, 30.0])
    >>> lines = Lines("first service", print, lambda: next(ticks))
    >>> lines(0.25, "fit 1 of 3")
    first service: 25 %, fit 1 of 3, about 30 s left
    >>> lines(0.75, "what is normal")
    first service: 75 %, what is normal, about 10 s left
    """

    def __init__(self, label: str, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._label, self._say, self._clock = label, say, clock
        self._began = self._shown_at = clock()
        self._every = EVERY

    def __call__(self, share: float, words: str) -> None:
        """Say the share where it is time to."""
        now = self._clock()
        if now - self._shown_at < self._every or share >= 1:
            return
        self._shown_at, self._every = now, min(2 * self._every, SELDOM)
        left = (now - self._began) * (1 - share) / share if share >= TELLING else None
        self._say(f"{self._label}: {100 * share:.0f} %, {words.partition(':')[0]}"
                  + ("" if left is None else f", about {_span(left)} left"))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
