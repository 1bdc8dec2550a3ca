"""A lock between processes that lets those who wait in by the order in which they came.

A plain file lock goes to whoever asks at the right instant. A process that frees it and asks again at once nearly
always wins, so that another one starves. Here whoever waits holds a numbered file of a queue, locked while its process
lives, and waits until no lower number is alive. Safety never hangs on the queue: the lock itself is a file lock as
before, which the operating system frees when its holder dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

POLL = 0.01  # seconds between two looks at the queue
DOOR_POLL = 0.002  # the queue itself is held for well below a millisecond


@contextmanager
def in_turn(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file ``path``; first come, first served among all who take it this way.

    Parameters
    ----------
    path : Path
        The lock file; the queue is a folder beside it.
    seconds : float
        How long to wait at most.

    Raises
    ------
    filelock.Timeout
        When the lock was not free within ``seconds``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, in_turn(Path(folder, "one.lock"), 1.0):
    ...     sorted(found.name for found in Path(folder).iterdir())
    ['one.lock', 'one.lock.queue']
    """
    deadline = time.monotonic() + seconds
    queue = path.with_name(f"{path.name}.queue")
    queue.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    number, ticket = _join(queue, deadline)
    try:
        while _others_before(queue, number, deadline):
            if time.monotonic() > deadline:
                raise Timeout(str(path))
            time.sleep(POLL)
        held.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=POLL)
    finally:
        ticket.release()
        with suppress(OSError):
            _place(queue, number).unlink()
    try:
        yield
    finally:
        held.release()


def _join(queue: Path, deadline: float) -> tuple[int, FileLock]:
    """A place at the end of the queue: its number and its locked file."""
    with _door(queue, deadline):
        number = max(_numbers(queue), default=0) + 1
        ticket = FileLock(_place(queue, number))
        ticket.acquire(timeout=0)
        return number, ticket


def _others_before(queue: Path, number: int, deadline: float) -> bool:
    """Whether a lower number is alive; files that dead processes left are removed."""
    with _door(queue, deadline):
        for earlier in sorted(one for one in _numbers(queue) if one < number):
            probe = FileLock(_place(queue, earlier))
            try:
                probe.acquire(timeout=0)
            except Timeout:
                return True
            probe.release()
            with suppress(OSError):
                _place(queue, earlier).unlink()
    return False


def _door(queue: Path, deadline: float) -> FileLock:
    """Whoever looks at the queue or joins it does so alone."""
    return FileLock(queue / "door", timeout=max(1.0, deadline - time.monotonic()), poll_interval=DOOR_POLL)


def _numbers(queue: Path) -> list[int]:
    return [int(one.name) for one in queue.iterdir() if one.name.isdigit()]


def _place(queue: Path, number: int) -> Path:
    return queue / str(number)
