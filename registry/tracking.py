"""The door to MLflow: a quiet client without global state, one lock per model, and errors in one line."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import Timeout

from terracast.registry.fair_lock import in_turn
from terracast.streams.errors import TerracastError
from terracast.streams.redaction import redacted

# the first is read once, when mlflow is first imported; the second keeps addresses off a clean stdout
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

if TYPE_CHECKING:
    from mlflow import MlflowClient
else:
    MlflowClient = Any  # imported when a registry is opened: mlflow takes a second that `--help` need not pay

SQLITE = "sqlite:///"
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
LOCK_SECONDS = 120.0


class RegistryError(TerracastError):
    """A model registry that cannot be reached, or that was asked for what it does not hold or must not do."""


def quiet() -> None:
    """Hush MLflow's and alembic's progress lines and hints; a level set by the user stays
    (``MLFLOW_LOGGING_LEVEL``).

    The database helper of MLflow logs a whole traceback beside each error that it raises; we raise that error
    in one line, so its logger is silent below CRITICAL.
    """
    if "MLFLOW_LOGGING_LEVEL" in os.environ:
        return
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"mlflow\.")


@contextmanager
def in_words(doing: str, where: str) -> Iterator[None]:
    """Turn what MLflow, its database or the disk raises into one ``RegistryError`` without secrets."""
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RegistryError(f"cannot {doing}: {redacted(lines[0])[:300]}", where=redacted(where),
                            expected="a working MLflow registry",
                            remedy="check its address, its database and the artefact folder") from None


def _expected() -> tuple[type[Exception], ...]:
    """What MLflow, its database or the disk raises, as far as they were imported: what was not, cannot have raised."""
    found: list[type[Exception]] = [OSError]
    for module, name in (("mlflow.exceptions", "MlflowException"), ("sqlalchemy.exc", "SQLAlchemyError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


@dataclass(frozen=True)
class Tracking:
    """Where MLflow lives: its address, the local folder of locks (and, by default, of artefacts)."""

    uri: str
    folder: Path

    @classmethod
    def at(cls, uri: str | Path, artifacts: Path | None) -> Tracking:
        """Read an address: a path or ``sqlite:///`` file, ``http(s)://`` server, or database URL.

        >>> Tracking.at("sqlite:////data/mlflow.db", None).folder.as_posix()
        '/data'
        """
        text = str(uri)
        if "://" not in text:
            text = SQLITE + str(Path(text).absolute())
        if text.startswith(SQLITE):
            database = Path(text.removeprefix(SQLITE)).absolute()
            return cls(SQLITE + str(database), database.parent)
        return cls(text, artifacts or Path.home() / ".cache" / "terracast")

    @property
    def database(self) -> Path | None:
        """The SQLite file, or None where MLflow lives elsewhere."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    @contextmanager
    def lock(self, name: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the one lock of model ``name``: between threads and processes that share ``folder``, first come, first
        served (``registry.fair_lock``).

        The operating system frees it when its holder dies, so a killed writer never blocks the next one.
        """
        which = "" if self.database else "." + hashlib.sha256(self.uri.encode()).hexdigest()[:8]
        path = self.folder / f".{name}{which}.registry.lock"
        with ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(in_turn(path, seconds))
            except Timeout:
                raise RegistryError(f"another process has held the lock for {seconds:g} s", where=str(path),
                                    expected="one writer at a time", remedy="let it finish") from None
            except OSError as error:
                raise RegistryError(f"cannot lock: {error}", where=str(path), expected="a writable folder",
                                    remedy="create the folder or name another one") from None
            yield

    def client(self) -> MlflowClient:
        """A client bound to this address only; a SQLite file that is not there yet is made (about 1.5 s)."""
        self._check()
        import mlflow

        quiet()
        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _check(self) -> None:
        """Fail within seconds where MLflow itself would retry for minutes."""
        if self.database is not None:
            _check_sqlite(self.database)
            return
        parts = urlsplit(self.uri)
        try:
            port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
        except ValueError:  # its message would show a part of the password
            raise RegistryError("the address has no port where one stands", where=redacted(self.uri),
                                expected="signs such as / and @ in a password written %2F and %40",
                                remedy="correct the tracking address") from None
        if parts.hostname is None or port is None:
            return
        try:
            socket.create_connection((parts.hostname, port), timeout=5.0).close()
        except OSError as error:
            raise RegistryError(f"nobody answers: {error}", where=redacted(self.uri),
                                expected="a running MLflow server or database",
                                remedy="start it or correct the tracking address") from None


def _check_sqlite(database: Path) -> None:
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise RegistryError(f"cannot read the database: {error}", where=str(database),
                            expected="a SQLite file that MLflow wrote",
                            remedy="restore a backup, or move it away to start anew") from None
