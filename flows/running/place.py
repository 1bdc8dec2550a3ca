"""Where ``terracast up`` keeps what is its own: ``.terracast`` beside the settings; one ``up`` a workspace.

Here stands what runs, since when, what comes next, and how the last run ended. What the store holds is not repeated
here, but for the numbers that ``/metrics`` tells (``flows.running.exposition``), which are read anew after each run.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terracast.streams.errors import TerracastError

UP, RUNS = "up.json", "runs.json"
LOG_BYTES = 10_000_000  # a log longer than this is put aside when ``up`` starts; the one before it goes


class UpError(TerracastError):
    """What keeps ``terracast up`` from serving."""


@dataclass(frozen=True)
class RunningPlace:
    """The folder ``.terracast`` of a workspace."""

    folder: Path

    @classmethod
    def of(cls, config: Path) -> RunningPlace:
        """Beside the settings file."""
        return cls(config.resolve().parent / ".terracast")

    @property
    def prefect(self) -> Path:
        """Prefect's home: its database and profiles."""
        return self.folder / "prefect"

    @property
    def site(self) -> Path:
        """The folder of the site that is served."""
        return self.folder / "site"

    @property
    def page(self) -> Path:
        """The report in one file, which is served with the site."""
        return self.site / "report.html"

    def log(self, name: str) -> Path:
        """The log of one child, its folder made, the old one put aside where it grew long."""
        path = self.folder / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def write(self, name: str, told: Mapping[str, Any]) -> None:
        """Write a small file whole, or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f"{name}.{os.getpid()}"
        scratch.write_text(json.dumps(told, indent=1), encoding="utf-8")
        scratch.replace(self.folder / name)

    def read(self, name: str) -> dict[str, Any]:
        """What was written, {} where nothing was."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / name).read_text(encoding="utf-8")))
        return {}

    def remove(self, name: str) -> None:
        """Forget a small file."""
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold the workspace; the lock dies with its holder. Raises ``UpError`` that names whoever holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "up.lock").open("a") as held:
            if not _taken(held.fileno()):
                first = self.read(UP)
                raise UpError(f"`terracast up` runs already: process {first.get('pid', 'unknown')}, page "
                              f"{first.get('page', 'not up yet')}", where=str(self.folder.parent),
                              expected="one a workspace", remedy="look at its page, or end it first")
            yield

    @property
    def alive(self) -> bool:
        """Whether an ``up`` runs on this workspace."""
        try:
            with (self.folder / "up.lock").open("r") as held:
                fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _taken(handle: int) -> bool:
    """Take the lock; who only looks whether it is held lets it go within an instant."""
    import time

    for _ in range(5):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.1)
    return False
