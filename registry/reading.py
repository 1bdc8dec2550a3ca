"""MLflow's SQLite file read directly: for questions, which MLflow's own client would answer only after three seconds of
imports and a check of its schema. Written is through MLflow alone; this reads the same tables, so there is one truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from terracast.registry.relocation import SECONDS, RecordedPlace, local_path
from terracast.registry.tracking import RegistryError


@dataclass(frozen=True)
class Held:
    """A version as MLflow holds it; the names are those of its own entity."""

    version: str
    run_id: str
    source: str
    creation_timestamp: int
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Database:
    """The file; one that is not there, or in which MLflow has not written yet, holds nothing.

    ``folder``: where artefacts lie now, whatever absolute addresses MLflow wrote down; None: where those say.

    >>> Database(Path("absent.db")).aliases("air")
    {}
    """

    path: Path
    folder: Path | None = None

    def aliases(self, name: str) -> dict[str, str]:
        """Every alias of the model and the version it points to."""
        rows = self._rows("select alias, version from registered_model_aliases where name = ?", name)
        return {str(alias): str(version) for alias, version in rows}

    def versions(self, name: str) -> list[Held]:
        """All versions of the model, oldest first."""
        tags: dict[int, dict[str, str]] = {}
        told = self._rows("select version, key, value from model_version_tags where name = ?", name)
        for version, key, value in told:
            tags.setdefault(int(str(version)), {})[str(key)] = str(value)
        rows = self._rows("select version, run_id, coalesce(storage_location, source), v.creation_time, "
                          "artifact_location from model_versions v left join runs on run_uuid = run_id "
                          "left join experiments using (experiment_id) where v.name = ? "
                          "and current_stage <> 'Deleted_Internal' order by version", name)
        return [Held(str(version), str(run), self._here(str(source), place), int(str(created)),
                     tags.get(int(str(version)), {})) for version, run, source, created, place in rows]

    def metrics(self, run: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        rows = self._rows("select key, value from latest_metrics where run_uuid = ?", run)
        return {str(key): float(str(value)) for key, value in rows}

    def artifacts(self, run: str) -> Path | None:
        """The folder of a run's artefacts, None where they do not lie on this machine."""
        rows = self._rows("select artifact_uri, artifact_location from runs join experiments using (experiment_id) "
                          "where run_uuid = ?", run)
        return local_path(self._here(str(rows[0][0]), rows[0][1])) if rows else None

    def _here(self, address: str, place: object) -> str:
        """An address of MLflow's as it is where the workspace lies now."""
        if self.folder is None or not isinstance(place, str):
            return address
        return RecordedPlace(place.rstrip("/"), self.folder).here(address)

    def _rows(self, query: str, *given: str) -> Sequence[tuple[object, ...]]:
        if not self.path.exists() and not self.path.parent.is_file():
            return ()
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as opened:
                return opened.execute(query, given).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return ()
            raise RegistryError(f"cannot read the database: {error}", where=str(self.path),
                                expected="a SQLite file that MLflow wrote",
                                remedy="restore a backup, or move it away to start anew") from None
