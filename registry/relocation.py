"""A registry that was moved or copied with its workspace: MLflow's absolute addresses of local artefacts follow.

MLflow writes the whole address of the artefact folder into each experiment, run, model and version. Who reads looks
where the folder lies now (``RecordedPlace.here``) and writes nothing. Before MLflow itself writes, ``follow`` brings
the addresses up to date. What lies on a server or in a bucket is never touched.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from terracast.registry.tracking import RegistryError

SECONDS = 30.0  # another process may be writing
COLUMNS = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
           ("model_versions", "source"), ("model_versions", "storage_location"), ("trace_tags", "value"))
FOLDERS = COLUMNS[1:3]  # each names a folder of its own


def local_path(uri: str) -> Path | None:
    """The folder of a local artefact address, or None.

    >>> local_path("file:///data/a%20b").as_posix(), local_path("s3://bucket/x")
    ('/data/a b', None)
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path) if parts.scheme else uri)


@dataclass(frozen=True)
class RecordedPlace:
    """Where an experiment's artefacts were when it was made, as MLflow has it, and where the settings say they are.

    >>> RecordedPlace("file:///old/artifacts", Path("/new/artifacts")).here("file:///old/artifacts/run/artifacts")
    'file:///new/artifacts/run/artifacts'
    >>> RecordedPlace("s3://bucket/artifacts", Path("/new/artifacts")).here("s3://bucket/artifacts/run")
    's3://bucket/artifacts/run'
    """

    address: str
    now: Path

    @property
    def differs(self) -> bool:
        """Whether both are local, and not the same folder."""
        recorded = local_path(self.address)
        return recorded is not None and recorded.resolve() != self.now.resolve()

    def here(self, address: str) -> str:
        """The address of an artefact where it lies now; as it is where it lies at the recorded place alone."""
        path = self._below(address)
        if path is None or not self.differs:
            return address
        recorded = local_path(address)
        stays = recorded is not None and recorded.exists() and not (self.now / path).exists()
        return address if stays else self.now.joinpath(path).absolute().as_uri()

    def _below(self, address: str) -> Path | None:
        recorded, path = local_path(self.address), local_path(address)
        inside = recorded is not None and path is not None and path.is_relative_to(recorded)
        return path.relative_to(recorded) if inside and path is not None and recorded is not None else None


def follow(database: Path, artifacts: Path, name: str) -> str | None:
    """Write down where the artefacts of model ``name`` lie now, in one transaction; says so, None: nothing to do.

    Call it with the model's lock held. A folder of artefacts that was merely renamed in the settings, and whose files
    are still where they were, changes nothing.

    Raises
    ------
    RegistryError
        Some artefacts lie at the recorded place only: a copy that is not whole must not write into the first one.
    """
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=SECONDS, isolation_level=None)) as opened:
            if _recorded(opened, artifacts, name) is None:
                return None
            opened.execute("begin immediate")
            place = _recorded(opened, artifacts, name)
            if place is None or not _is_whole(opened, place):
                opened.execute("rollback")
                return None
            changed = _rewrite(opened, place.address, artifacts.absolute())
            opened.execute("commit")
    except sqlite3.Error as error:
        raise RegistryError(f"moved artefacts cannot be written down: {error}", where=str(database),
                            expected="a SQLite file that this user may write",
                            remedy="check its owner and the disk") from None
    return f"the workspace was moved or copied: {changed} addresses in {database.name} now name {artifacts}"


def _recorded(opened: sqlite3.Connection, artifacts: Path, name: str) -> RecordedPlace | None:
    """The recorded place of a model's artefacts, None where that is where they are."""
    try:
        found = opened.execute("select artifact_location from experiments where name = ?", (name,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # MLflow has not written yet
            return None
        raise
    place = None if found is None else RecordedPlace(str(found[0]).rstrip("/"), artifacts)
    return place if place is not None and place.differs else None


def _is_whole(opened: sqlite3.Connection, place: RecordedPlace) -> bool:
    """Whether all that is recorded lies where the artefacts are now, or nowhere; False where all is at the recorded
    place still."""
    here, there = 0, []
    for table, column in FOLDERS:
        for (address,) in _under(opened, table, column, place.address):
            recorded, now = local_path(address), local_path(place.here(address))
            if now is not None and now != recorded and _holds(now):
                here += 1
            elif recorded is not None and _holds(recorded):
                there.append(recorded)
    if there and here:
        raise RegistryError(f"{len(there)} artefact folders were left behind, such as {there[0].name}",
                            where=str(local_path(place.address)), expected=f"all of them in {place.now}",
                            remedy=f"copy them: cp -rn {local_path(place.address)}/. {place.now}/")
    return not there


def _holds(folder: Path) -> bool:
    return any(one.is_file() for one in folder.rglob("*"))


def _under(opened: sqlite3.Connection, table: str, column: str, address: str) -> list[tuple[str]]:
    if column not in {str(row[1]) for row in opened.execute(f"pragma table_info({table})")}:
        return []  # another version of MLflow
    return opened.execute(f"select {column} from {table} where {column} = ? or substr({column}, 1, ?) = ?",
                          (address, len(address) + 1, f"{address}/")).fetchall()


def _rewrite(opened: sqlite3.Connection, address: str, artifacts: Path) -> int:
    """Put the folder in place of the address in every column that names one; how many were changed."""
    new, changed = artifacts.as_uri() if "://" in address else str(artifacts), 0
    for table, column in COLUMNS:
        if _under(opened, table, column, address):
            done = opened.execute(f"update {table} set {column} = ? || substr({column}, ?) "
                                  f"where {column} = ? or substr({column}, 1, ?) = ?",
                                  (new, len(address) + 1, address, len(address) + 1, f"{address}/"))
            changed += done.rowcount
    return changed
