"""MLflow's SQLite file read directly: for questions, which MLflow's own client would answer only after three seconds of
imports and a check of its schema. Written is through MLflow alone; this reads the same tables, so there is one truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from terracast.registry.tracking import RegistryError

SECONDS = 30.0  # another process may be writing


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

    >>> Database(Path("absent.db")).aliases("air")
    {}
    """

    path: Path

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
        rows = self._rows("select version, run_id, coalesce(storage_location, source), creation_time "
                          "from model_versions where name = ? and current_stage <> 'Deleted_Internal' "
                          "order by version", name)
        return [Held(str(version), str(run), str(source), int(str(created)), tags.get(int(str(version)), {}))
                for version, run, source, created in rows]

    def metrics(self, run: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        rows = self._rows("select key, value from latest_metrics where run_uuid = ?", run)
        return {str(key): float(str(value)) for key, value in rows}

    def artifacts(self, run: str) -> Path | None:
        """The folder of a run's artefacts, None where they do not lie on this machine."""
        rows = self._rows("select artifact_uri from runs where run_uuid = ?", run)
        return local_path(str(rows[0][0])) if rows else None

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


def local_path(uri: str) -> Path | None:
    """The folder of a local artefact address, or None.

    >>> local_path("file:///data/a%20b").as_posix(), local_path("s3://bucket/x")
    ('/data/a b', None)
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path) if parts.scheme else uri)
