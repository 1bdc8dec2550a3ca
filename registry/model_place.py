"""Where one model lives in MLflow: client, experiment and lock, and finding versions by number, alias or key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from terracast.registry.lineage import TAGS
from terracast.registry.reading import Database
from terracast.registry.relocation import follow
from terracast.registry.tracking import RegistryError, Tracking, in_words

ALIASES = ("champion", "challenger", "previous")


def silent(line: str) -> None:
    """Tells nobody."""


class ModelPlace:
    """One model's place; MLflow itself is opened when first something is asked that it alone can answer.

    ``database``: read directly where it is a SQLite file, else None. ``tell`` is given a line where MLflow's addresses
    followed a workspace that was moved.
    """

    def __init__(self, name: str, tracking: str | Path, artifacts: Path | None,
                 tell: Callable[[str], None] = silent) -> None:
        self.name, self._tell = name, tell
        self.tracking = Tracking.at(tracking, artifacts)
        if artifacts is None and self.tracking.database is not None:
            artifacts = self.tracking.folder / "artifacts"
        self._artifacts = artifacts
        self.database = None if self.tracking.database is None else Database(self.tracking.database, artifacts)
        self._opened: tuple[Any, str] | None = None
        if self.database is None:
            self.open()
        else:
            self.database.aliases(name)  # what is no database is told at once

    @property
    def client(self) -> Any:
        """MLflow's client."""
        return self.open()[0]

    @property
    def experiment(self) -> str:
        """The id of the model's experiment."""
        return self.open()[1]

    def open(self) -> tuple[Any, str]:
        """Client and experiment, opened once; makes sure that experiment and registered model are there."""
        if self._opened is None:
            with self.tracking.lock(self.name), self.words("open the registry"):
                self._follow()
                client = self.tracking.client()
                self._opened = client, _experiment_of(client, self.name, self._artifacts)
        return self._opened

    def _follow(self) -> None:
        """Let MLflow's addresses follow where the artefacts lie now."""
        if self.database is not None and self._artifacts is not None:
            told = follow(self.database.path, self._artifacts, self.name)
            if told is not None:
                self._tell(told)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer of this model; not reentrant."""
        self.open()
        with self.tracking.lock(self.name):
            yield

    @contextmanager
    def words(self, doing: str) -> Iterator[None]:
        """Turn what MLflow raises while ``doing`` something into a ``RegistryError``."""
        with in_words(doing, f"{self.name} in {self.tracking.uri}"):
            yield

    def aliases(self) -> dict[str, str]:
        """Every alias and the version it points to, read in one go."""
        if self.database is not None:
            return self.database.aliases(self.name)
        with self.words("read the aliases"):
            return {str(alias): str(number)
                    for alias, number in self.client.get_registered_model(self.name).aliases.items()}

    def having(self, key: str) -> list[Any]:
        """All versions whose lineage has this key."""
        if self.database is not None:
            return [one for one in self.database.versions(self.name) if one.tags.get(TAGS["key"]) == key]
        return pages(self.client.search_model_versions,
                     filter_string=f"name='{self.name}' and tags.`{TAGS['key']}` = '{key}'")

    def find(self, key: str) -> str | None:
        """The number of the version whose lineage has this key, or None."""
        with self.words(f"look for {key}"):
            held = self.having(key)
        return str(min(int(one.version) for one in held)) if held else None

    def get(self, version: str) -> Any:
        """The version of a number or alias; refuses one that is not there."""
        number = version if version.isdigit() else self.aliases().get(version)
        if number is None:
            raise RegistryError(f"no version has the alias {version!r}", where=self.name,
                                expected="a version number or one of " + ", ".join(ALIASES),
                                remedy="see `terracast versions`")
        held = [] if not number.isdigit() else self._search_number(number)
        if not held:
            raise RegistryError(f"there is no version {number}", where=self.name,
                                expected="a registered version", remedy="see `terracast versions`")
        return held[0]

    def _search_number(self, number: str) -> list[Any]:
        if self.database is not None:
            return [one for one in self.database.versions(self.name) if one.version == str(int(number))]
        with self.words(f"read version {number}"):
            return pages(self.client.search_model_versions,
                         filter_string=f"name='{self.name}' and version_number = {int(number)}")


def _experiment_of(client: Any, name: str, artifacts: Path | None) -> str:
    from mlflow.exceptions import MlflowException

    place = None if artifacts is None else Path(artifacts).absolute().as_uri()
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name, place)
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    return str(number)


def pages(search: Any, **asked: object) -> list[Any]:
    """All results of a search that answers page by page."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page: Iterable[Any] = search(**asked, max_results=1000, page_token=token)
        found.extend(page)
        token = getattr(page, "token", None)
        if not token:
            return found
