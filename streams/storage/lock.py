"""One writer at a time in a local folder: icechunk's local storage is not safe for concurrent commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from terracast.streams.errors import StoreError

LOCK_NAME = "writer.lock"


@contextmanager
def only_writer(folder: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the folder's writer lock; ``StoreError`` when another writer keeps it for ``wait_seconds``.

    The lock belongs to the process (``flock``): a killed writer leaves it free. The lock file itself stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, only_writer(Path(folder), 0.1):
    ...     (Path(folder) / LOCK_NAME).exists()
    True
    """
    # A new FileLock each time: one instance would let the same thread in twice.
    lock = FileLock(folder / LOCK_NAME, timeout=wait_seconds, poll_interval=0.02)
    try:
        lock.acquire()
    except (Timeout, RuntimeError) as refused:  # RuntimeError: this very thread already holds it
        raise StoreError("another writer holds the store", where=str(folder),
                         expected=f"the writer lock within {wait_seconds:g} s",
                         remedy="wait until the other run has ended, or stop it") from refused
    except OSError as failed:
        raise StoreError(f"the store cannot be locked ({failed.strerror})", where=str(folder),
                         expected="a folder that may be written",
                         remedy="check the folder's permissions") from failed
    try:
        yield
    finally:
        lock.release()
