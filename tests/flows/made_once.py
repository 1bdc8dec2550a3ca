"""What is costly to make, shared by all tests and processes of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock


@dataclass(frozen=True)
class MadeOnce:
    """What is made once a run, by whichever process needs it first, under ``folder``."""

    folder: Path

    def folder_of(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of that name; ``make`` fills it where it is not there yet."""
        with FileLock(self.folder / f"{name}.lock"):
            if not (self.folder / name).exists():
                scratch = self.folder / f"{name}.made"
                scratch.mkdir()
                make(scratch)
                scratch.rename(self.folder / name)
        return self.folder / name

    def give_registry(self, folder: Path) -> None:
        """Put a migrated but empty MLflow database into a workspace: its making costs seconds."""
        shutil.copy(self.folder_of("registry", _migrate) / "mlflow.db", folder / "mlflow.db")


def _migrate(folder: Path) -> None:
    from terracast.registry.tracking import Tracking

    Tracking.at(str(folder / "mlflow.db"), None).client().search_experiments()
