"""Where ``terracast up`` keeps what is its own: ``.terracast`` beside the settings; one ``up`` a workspace.

Here stands what runs, since when, what comes next, and how the last run ended. What the store holds is not repeated
here, but for the numbers that ``/metrics`` tells (``flows.running.exposition``), which are read anew after each run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from terracast.streams.errors import TerracastError

UP, RUNS = "up.json", "runs.json"
ASIDE = 5  # logs of one child that were put aside and are kept, at most


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
        """The log of one child, its folder made."""
        path = self.folder / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def drop_logs(self, most_bytes: float, before: datetime) -> None:
        """Put aside what of a log is longer than ``most_bytes``, and remove what was put aside ``before``.

        The children write on meanwhile, each at the end of the file that it has open: hence a copy, and the file is
        emptied. A line that is written between the two is lost.
        """
        for path in sorted((self.folder / "logs").glob("*.log")):
            aside = [path.with_suffix(f".log.{number}") for number in range(1, ASIDE + 1)]
            if path.stat().st_size > most_bytes:
                for older, newer in zip(aside[:0:-1], aside[-2::-1], strict=True):
                    if newer.exists():
                        newer.replace(older)
                shutil.copy2(path, aside[0])
                os.truncate(path, 0)
            for one in aside:
                if one.exists() and one.stat().st_mtime < before.timestamp():
                    one.unlink()

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
