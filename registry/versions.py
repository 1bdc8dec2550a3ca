"""Versions of one model in MLflow: add at most once per lineage key, find, load, name by alias."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from registry.lineage import TAGS, Lineage, Story, Version, tell
from registry.reading import Database, Held, local_path
from registry.recording import Evidence, inside, record
from registry.tidy import Interface
from registry.tracking import RegistryError, Tracking, in_words, redacted
from stfm.forecaster import Forecaster, Request

ALIASES = ("champion", "challenger", "previous")
DECISION = "decision.json"


class Registry:
    """The versions of one model.

    ``tracking`` is a path or ``sqlite:///`` file (made if absent), an ``http(s)://`` MLflow server or a
    database URL; ``artifacts`` the folder for models and reports (default: beside a SQLite file, or as the
    server says). Uses one ``MlflowClient`` with explicit run ids; MLflow's global state is neither read nor
    written. Writers are serialised by a file lock beside the database (else in ``artifacts`` or
    ``~/.cache/terracast``); processes on different machines do not see that lock: keep one writer there.
    Every error is a one-line ``RegistryError``.

    >>> try:
    ...     Registry("mlflow.db", name="air pm25")
    ... except RegistryError as error:
    ...     print(error)
    'air pm25' cannot name a model (registry): expected letters, digits, '.', '_', '-'; say air-pm25
    """

    def __init__(self, tracking: str | Path = "mlflow.db", artifacts: Path | None = None, *,
                 name: str = "terracast") -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise RegistryError(f"{name!r} cannot name a model", where="registry",
                                expected="letters, digits, '.', '_', '-'", remedy="say air-pm25")
        self.name = name
        self.tracking = Tracking.at(tracking, artifacts)
        if artifacts is None and self.tracking.database is not None:
            artifacts = self.tracking.folder / "artifacts"
        self._artifacts = artifacts
        self._database = None if self.tracking.database is None else Database(self.tracking.database)
        self._opened: tuple[Any, str] | None = None
        if self._database is None:
            self._open()
        else:
            self._database.aliases(name)  # what is no database is told at once

    def __repr__(self) -> str:
        return f"Registry({redacted(self.tracking.uri)!r}, name={self.name!r})"

    def add(self, forecaster: Forecaster, lineage: Lineage, *, metrics: Mapping[str, float] | None = None,
            files: Mapping[str, str | bytes] | None = None, panel: xr.Dataset | None = None,
            request: Request | None = None) -> str:
        """Register a forecaster and return its version number; one ``lineage.key``, one version.

        The version is MLflow's last write, in one transaction with its tags: a run that was killed before it
        left no version, is marked KILLED and replaced. ``files`` become artefacts of the run. With ``panel``
        and ``request`` the served model knows target, units, places and horizon by itself (else its callers
        say) and has an input example. Under a second for a small model (plus 1.5 s for the first one in a
        process).
        """
        self._open()
        interface = Interface.of(panel, request) if panel is not None and request is not None else Interface()
        with self.lock():
            found = self.find(lineage.key)
            if found is not None:
                return found
            self._check_parent(lineage)
            with self._words(f"add {lineage.key}"):
                self._retire_unfinished(lineage.key)
                evidence = Evidence(lineage, metrics or {}, files or {})
                made = record(self._client, self._experiment, evidence, forecaster, interface, panel)
                held = self._client.create_model_version(self.name, made.source, made.run_id,
                                                         tags=dict(made.tags), model_id=made.model_id)
                return self._settled(lineage.key, str(held.version))

    def find(self, key: str) -> str | None:
        """The version whose lineage has this key, or None."""
        with self._words(f"look for {key}"):
            held = self._having(key)
        return str(min(int(one.version) for one in held)) if held else None

    def load(self, version: str) -> Forecaster:
        """The forecaster of a version number or alias, rebuilt from safetensors and JSON, digest checked."""
        held = self._get(version)
        where = f"{self.name} version {held.version}"
        from registry.packing import FORECASTER, unpack

        with self._words(f"load version {held.version}"), tempfile.TemporaryDirectory() as scratch:
            source = held.source if isinstance(held, Held) else self._client.get_model_version_download_uri(
                self.name, held.version)
            folder = local_path(source)
            if folder is None:
                from mlflow.artifacts import download_artifacts

                folder = Path(download_artifacts(artifact_uri=f"{source}/{FORECASTER}", dst_path=scratch,
                                                 tracking_uri=self.tracking.uri))
            return unpack(folder, held.tags.get("model_digest"), where)

    def aliases(self) -> dict[str, str]:
        """Every alias and the version it points to, read in one go."""
        if self._database is not None:
            return self._database.aliases(self.name)
        with self._words("read the aliases"):
            return {str(alias): str(number)
                    for alias, number in self._client.get_registered_model(self.name).aliases.items()}

    def alias(self, name: str) -> str | None:
        """The version that an alias (``champion``, ``challenger``, ``previous``) points to, or None."""
        return self.aliases().get(name)

    def champion(self) -> str | None:
        """The version in service, or None."""
        return self.alias("champion")

    def resolve(self, version: str) -> str:
        """The number of a version or alias; refuses one that is not there."""
        return str(self._get(version).version)

    def version(self, version: str) -> Version:
        """One version, by number or alias, as a value."""
        held = self._get(version)
        with self._words(f"read version {held.version}"):
            metrics = (self._client.get_run(held.run_id).data.metrics if self._database is None
                       else self._database.metrics(held.run_id))
            return _as_version(held, self.aliases(), metrics)

    def versions(self) -> tuple[Version, ...]:
        """All versions, oldest first. Two reads for every hundred versions."""
        if self._database is not None:
            aliases = self._database.aliases(self.name)
            return tuple(_as_version(one, aliases, self._database.metrics(one.run_id))
                         for one in self._database.versions(self.name))
        with self._words("list the versions"):
            held = _pages(self._client.search_model_versions, filter_string=f"name='{self.name}'")
            runs = _pages(self._client.search_runs, experiment_ids=[self._experiment])
            metrics = {run.info.run_id: run.data.metrics for run in runs}
            aliases = self.aliases()
        found = [_as_version(one, aliases, metrics.get(one.run_id, {})) for one in held]
        return tuple(sorted(found, key=lambda one: int(one.number)))

    def why(self, version: str) -> Story:
        """How a version (number or alias) came to be, told from the registry alone."""
        told = self.version(version)
        ancestors: list[str] = []
        parent = told.lineage.parent
        while parent is not None and parent not in ancestors:
            ancestors.append(parent)
            parent = self.version(parent).lineage.parent
        folder = None if self._database is None else self._database.artifacts(told.run_id)
        with self._words(f"read the evidence of version {told.number}"):
            kept = (folder / DECISION).exists() if folder is not None else (
                DECISION in {one.path for one in self._client.list_artifacts(told.run_id)})
        text = self.read_text(told.number, DECISION) if kept else None
        return tell(self.name, told, tuple(ancestors), None if text is None else json.loads(text))

    def log_text(self, version: str, name: str, text: str) -> None:
        """Keep a text (graph JSON, gate record, report) as artefact ``name`` of a version; overwrites."""
        held = self._get(version)
        with self._words(f"keep {name}"):
            self._client.log_text(held.run_id, text, inside(name))

    def read_text(self, version: str, name: str) -> str:
        """Read back what ``log_text`` or ``files`` kept."""
        held = self._get(version)
        folder = None if self._database is None else self._database.artifacts(held.run_id)
        if folder is not None:
            with self._words(f"read {name}"):
                return (folder / inside(name)).read_text("utf-8")
        with self._words(f"read {name}"), tempfile.TemporaryDirectory() as scratch:
            path = self._client.download_artifacts(held.run_id, inside(name), scratch)
            return Path(path).read_text("utf-8")

    def tags(self, version: str) -> dict[str, str]:
        """The tags of a version number or alias."""
        return dict(self._get(version).tags)

    def tag(self, version: str, **tags: str) -> None:
        """Set tags on a version; an empty text removes the tag."""
        with self._words(f"tag version {version}"):
            for key, value in tags.items():
                if value:
                    self._client.set_model_version_tag(self.name, version, key, value)
                else:
                    self._client.delete_model_version_tag(self.name, version, key)

    def point(self, alias: str, version: str | None) -> None:
        """Move one alias (None: remove it). A single write without any check: see ``registry.promotion``."""
        with self._words(f"move the alias {alias}"):
            if version is not None:
                self._client.set_registered_model_alias(self.name, alias, version)
            elif alias in self.aliases():
                self._client.delete_registered_model_alias(self.name, alias)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer of this model; not reentrant."""
        self._open()
        with self.tracking.lock(self.name):
            yield

    @contextmanager
    def _words(self, doing: str) -> Iterator[None]:
        with in_words(doing, f"{self.name} in {self.tracking.uri}"):
            yield

    @property
    def _client(self) -> Any:
        return self._open()[0]

    @property
    def _experiment(self) -> str:
        return self._open()[1]

    def _open(self) -> tuple[Any, str]:
        """MLflow's client and the experiment's id, opened once, when first something is to be written or asked that
        MLflow alone can answer; makes sure that experiment and registered model are there."""
        if self._opened is None:
            with self.tracking.lock(self.name), self._words("open the registry"):
                client = self.tracking.client()
                self._opened = client, _experiment_of(client, self.name, self._artifacts)
        return self._opened

    def _having(self, key: str) -> list[Any]:
        if self._database is not None:
            return [one for one in self._database.versions(self.name) if one.tags.get(TAGS["key"]) == key]
        return _pages(self._client.search_model_versions,
                      filter_string=f"name='{self.name}' and tags.`{TAGS['key']}` = '{key}'")

    def _get(self, version: str) -> Any:
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
        if self._database is not None:
            return [one for one in self._database.versions(self.name) if one.version == str(int(number))]
        with self._words(f"read version {number}"):
            return _pages(self._client.search_model_versions,
                          filter_string=f"name='{self.name}' and version_number = {int(number)}")

    def _check_parent(self, lineage: Lineage) -> None:
        if lineage.parent is not None:
            self._get(lineage.parent)

    def _retire_unfinished(self, key: str) -> None:
        """Mark the runs that died before they became a version; what they wrote stays as evidence."""
        runs = _pages(self._client.search_runs, experiment_ids=[self._experiment],
                      filter_string=f"tags.{TAGS['key']} = '{key}' and attributes.status != 'KILLED'")
        for run in runs:
            self._client.set_terminated(run.info.run_id, "KILLED")

    def _settled(self, key: str, number: str) -> str:
        """Where a writer on another machine made the same version meanwhile, the lower number stays."""
        first = str(min(int(one.version) for one in self._having(key)))
        if first != number:
            self._client.delete_model_version(self.name, number)
        return first


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


def _pages(search: Any, **asked: object) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page: Iterable[Any] = search(**asked, max_results=1000, page_token=token)
        found.extend(page)
        token = getattr(page, "token", None)
        if not token:
            return found


def _as_version(held: Any, aliases: Mapping[str, str], metrics: Mapping[str, float]) -> Version:
    mine = sorted(alias for alias, number in aliases.items() if number == str(held.version))
    return Version(number=str(held.version), aliases=tuple(mine), lineage=Lineage.from_tags(held.tags),
                   metrics=dict(metrics), created=np.datetime64(int(held.creation_timestamp), "ms"),
                   run_id=held.run_id, tags=dict(held.tags))
