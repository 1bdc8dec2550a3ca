"""Versions of one model in MLflow: add at most once per lineage key, find, load, name by alias."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.registry.adding import add_once
from terracast.registry.lineage import Lineage, Version, VersionStory, tell
from terracast.registry.model_place import ModelPlace, pages, silent
from terracast.registry.reading import Held
from terracast.registry.recording import VersionEvidence, inside, write_text
from terracast.registry.relocation import local_path
from terracast.registry.tidy import Interface
from terracast.registry.tracking import RegistryError, Tracking
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.redaction import redacted

DECISION = "decision.json"


class Registry:
    """The versions of one model, in MLflow.

    Uses one ``MlflowClient`` with explicit run ids; MLflow's global state is neither read nor written. Writers are
    serialised by a file lock beside the database (else in ``artifacts`` or ``~/.cache/terracast``); processes on
    different machines do not see that lock: keep one writer there.

    Parameters
    ----------
    tracking : str or Path
        A path or ``sqlite:///`` file (made if absent), an ``http(s)://`` MLflow server or a database URL.
    artifacts : Path, optional
        The folder for models and reports; default: beside a SQLite file, or as the server says.
    name : str
        Of the registered model: letters, digits, ``.``, ``_``, ``-``.
    tell : callable
        Is given a line where the workspace was moved and MLflow's addresses followed.

    Raises
    ------
    RegistryError
        In one line, whatever MLflow says in many.

    Examples
    --------
    >>> try:
    ...     Registry("mlflow.db", name="air pm25")
    ... except RegistryError as error:
    ...     print(error)
    'air pm25' cannot name a model (registry): expected letters, digits, '.', '_', '-'; say air-pm25
    """

    def __init__(self, tracking: str | Path = "mlflow.db", artifacts: Path | None = None, *,
                 name: str = "terracast", tell: Callable[[str], None] = silent) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise RegistryError(f"{name!r} cannot name a model", where="registry",
                                expected="letters, digits, '.', '_', '-'", remedy="say air-pm25")
        self.name, self.place = name, ModelPlace(name, tracking, artifacts, tell)

    def __repr__(self) -> str:
        return f"Registry({redacted(self.tracking.uri)!r}, name={self.name!r})"

    @property
    def tracking(self) -> Tracking:
        """Where MLflow keeps runs and versions."""
        return self.place.tracking

    def lock(self) -> AbstractContextManager[None]:
        """Be the only writer of this model; not reentrant."""
        return self.place.lock()

    def add(self, forecaster: Forecaster, lineage: Lineage, *, metrics: Mapping[str, float] | None = None,
            files: Mapping[str, str | bytes] | None = None, panel: xr.Dataset | None = None,
            request: Request | None = None) -> str:
        """Register a forecaster and return its version number; one ``lineage.key``, one version.

        The version is MLflow's last write, in one transaction with its tags: a run that was killed before it left no
        version, is marked KILLED and replaced. ``files`` become artefacts of the run. With ``panel`` and ``request``
        the served model knows target, units, places and horizon by itself (else its callers say) and has an input
        example. Under a second for a small model (plus 1.5 s for the first one in a process).
        """
        interface = Interface.of(panel, request) if panel is not None and request is not None else Interface()
        return add_once(self.place, VersionEvidence(lineage, metrics or {}, files or {}), forecaster, interface, panel)

    def find(self, key: str) -> str | None:
        """The version whose lineage has this key, or None."""
        return self.place.find(key)

    def load(self, version: str) -> Forecaster:
        """The forecaster of a version number or alias, rebuilt from safetensors and JSON, digest checked."""
        from terracast.registry.packing import FORECASTER, unpack

        held = self.place.get(version)
        with self.place.words(f"load version {held.version}"), tempfile.TemporaryDirectory() as scratch:
            source = held.source if isinstance(held, Held) else self.place.client.get_model_version_download_uri(
                self.name, held.version)
            folder = local_path(source) or _downloaded(f"{source}/{FORECASTER}", scratch, self.tracking)
            return unpack(folder, held.tags.get("model_digest"), f"{self.name} version {held.version}")

    def aliases(self) -> dict[str, str]:
        """Every alias and the version it points to, read in one go."""
        return self.place.aliases()

    def alias(self, name: str) -> str | None:
        """The version that an alias (``champion``, ``challenger``, ``previous``) points to, or None."""
        return self.aliases().get(name)

    def champion(self) -> str | None:
        """The version in service, or None."""
        return self.alias("champion")

    def resolve(self, version: str) -> str:
        """The number of a version or alias; refuses one that is not there."""
        return str(self.place.get(version).version)

    def version(self, version: str) -> Version:
        """One version, by number or alias, as a value."""
        held = self.place.get(version)
        database = self.place.database
        with self.place.words(f"read version {held.version}"):
            metrics = database.metrics(held.run_id) if database else self.place.client.get_run(held.run_id).data.metrics
            return _as_version(held, self.aliases(), metrics)

    def versions(self) -> tuple[Version, ...]:
        """All versions, oldest first. Two reads for every hundred versions."""
        if self.place.database is not None:
            aliases = self.place.database.aliases(self.name)
            held, metrics_of = self.place.database.versions(self.name), self.place.database.metrics
            return tuple(_as_version(one, aliases, metrics_of(one.run_id)) for one in held)
        return _served_versions(self.place)

    def why(self, version: str) -> VersionStory:
        """How a version (number or alias) came to be, told from the registry alone."""
        return _story(self, self.version(version))

    def log_text(self, version: str, name: str, text: str) -> None:
        """Keep a text (graph JSON, gate record, report) as artefact ``name`` of a version; overwrites."""
        held = self.place.get(version)
        with self.place.words(f"keep {name}"):
            write_text(self.place.client, held.run_id, name, text)

    def read_text(self, version: str, name: str) -> str:
        """Read back what ``log_text`` or ``files`` kept."""
        held = self.place.get(version)
        folder = None if self.place.database is None else self.place.database.artifacts(held.run_id)
        with self.place.words(f"read {name}"), tempfile.TemporaryDirectory() as scratch:
            path = folder / inside(name) if folder is not None else Path(
                self.place.client.download_artifacts(held.run_id, inside(name), scratch))
            return path.read_text("utf-8")

    def tags(self, version: str) -> dict[str, str]:
        """The tags of a version number or alias."""
        return dict(self.place.get(version).tags)

    def tag(self, version: str, **tags: str) -> None:
        """Set tags on a version; an empty text removes the tag."""
        with self.place.words(f"tag version {version}"):
            for key, value in tags.items():
                if value:
                    self.place.client.set_model_version_tag(self.name, version, key, value)
                else:
                    self.place.client.delete_model_version_tag(self.name, version, key)

    def point(self, alias: str, version: str | None) -> None:
        """Move one alias (None: remove it). A single write without any check: see ``registry.promotion``."""
        with self.place.words(f"move the alias {alias}"):
            if version is not None:
                self.place.client.set_registered_model_alias(self.name, alias, version)
            elif alias in self.aliases():
                self.place.client.delete_registered_model_alias(self.name, alias)


def _downloaded(artifact: str, scratch: str, tracking: Tracking) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=artifact, dst_path=scratch, tracking_uri=tracking.uri))


def _served_versions(place: ModelPlace) -> tuple[Version, ...]:
    """All versions that an MLflow server knows, oldest first."""
    with place.words("list the versions"):
        held = pages(place.client.search_model_versions, filter_string=f"name='{place.name}'")
        runs = pages(place.client.search_runs, experiment_ids=[place.experiment])
        metrics = {run.info.run_id: run.data.metrics for run in runs}
        aliases = place.aliases()
    found = [_as_version(one, aliases, metrics.get(one.run_id, {})) for one in held]
    return tuple(sorted(found, key=lambda one: int(one.number)))


def _story(registry: Registry, told: Version) -> VersionStory:
    ancestors: list[str] = []
    parent = told.lineage.parent
    while parent is not None and parent not in ancestors:
        ancestors.append(parent)
        parent = registry.version(parent).lineage.parent
    place = registry.place
    folder = None if place.database is None else place.database.artifacts(told.run_id)
    with place.words(f"read the evidence of version {told.number}"):
        kept = (folder / DECISION).exists() if folder is not None else (
            DECISION in {one.path for one in place.client.list_artifacts(told.run_id)})
    text = registry.read_text(told.number, DECISION) if kept else None
    return tell(registry.name, told, tuple(ancestors), None if text is None else json.loads(text))


def _as_version(held: Any, aliases: Mapping[str, str], metrics: Mapping[str, float]) -> Version:
    mine = sorted(alias for alias, number in aliases.items() if number == str(held.version))
    return Version(number=str(held.version), aliases=tuple(mine), lineage=Lineage.from_tags(held.tags),
                   metrics=dict(metrics), created=np.datetime64(int(held.creation_timestamp), "ms"),
                   run_id=held.run_id, tags=dict(held.tags))
