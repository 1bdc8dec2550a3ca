"""One run that holds all the evidence of a version: lineage, metrics, files, inputs and the model itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import xarray as xr

from terracast.registry.lineage import Lineage
from terracast.registry.tidy import Interface
from terracast.registry.tracking import RegistryError
from terracast.stfm.forecaster import Forecaster


@dataclass(frozen=True)
class VersionEvidence:
    """What is kept of a version besides the model: ``files`` maps a relative path to text or bytes."""

    lineage: Lineage
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedArtifacts:
    """A finished run: what a version is made from."""

    run_id: str
    model_id: str
    source: str
    tags: Mapping[str, str]


def record(client: Any, experiment: str, evidence: VersionEvidence, forecaster: Forecaster, interface: Interface,
           panel: xr.Dataset | None) -> RecordedArtifacts:
    """Write run and model under explicit ids and close the run; where that fails the run is marked FAILED."""
    from terracast.registry.packing import pack, terracast_version

    tags = {**evidence.lineage.tags(), "terracast_version": terracast_version()}
    run_id = client.create_run(experiment, tags=tags, run_name=evidence.lineage.key).info.run_id
    try:
        log_evidence(client, run_id, evidence)
        model = client.create_logged_model(experiment, name="forecaster", source_run_id=run_id, tags=tags,
                                           model_type="forecaster")
        with tempfile.TemporaryDirectory() as scratch:
            tags["model_digest"] = pack(forecaster, interface, panel, Path(scratch),
                                        (run_id, model.model_id))
            client.log_model_artifacts(model.model_id, f"{scratch}/model")
        client.finalize_logged_model(model.model_id, "READY")
        client.set_terminated(run_id, "FINISHED")
    except BaseException:
        with suppress(Exception):
            client.set_terminated(run_id, "FAILED")
        raise
    # the location itself, not models:/ID: MLflow would look that up under its global tracking address
    return RecordedArtifacts(run_id, model.model_id, model.artifact_location, tags)


def log_evidence(client: Any, run_id: str, evidence: VersionEvidence) -> None:
    """Write metrics, files and the snapshot as input into a run that is open."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    lineage = evidence.lineage
    for key, value in evidence.metrics.items():
        client.log_metric(run_id, key, float(value), synchronous=True)
    context = InputTag("mlflow.data.context", "adaptation" if lineage.episode_id else "reference")
    data = Dataset("observations", lineage.snapshot[:36] or "unknown", "snapshot",
                   json.dumps({"snapshot": lineage.snapshot}), profile=lineage.to_json())
    client.log_inputs(run_id, [DatasetInput(data, [context])])
    with tempfile.TemporaryDirectory() as scratch:
        for name, body in {"lineage.json": lineage.to_json(), **evidence.files}.items():
            path = Path(scratch, inside(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body.encode() if isinstance(body, str) else body)
        client.log_artifacts(run_id, scratch)


def write_text(client: Any, run_id: str, name: str, text: str) -> None:
    """Write a text as artefact ``name`` of a run; overwrites.

    Where the run's artefacts are is asked of the database each time: MLflow's client remembers it by the run alone, and
    a process that has opened a workspace and its copy would write into the wrong one.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = get_artifact_repository(client.get_run(run_id).info.artifact_uri, tracking_uri=client.tracking_uri)
    parts = PurePosixPath(inside(name))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, parts.name)
        path.write_text(text, encoding="utf-8")
        folder.log_artifact(str(path), None if parts.parent == PurePosixPath(".") else str(parts.parent))


def inside(name: str) -> str:
    """The name again, if it is a path that stays inside the artefacts of a run.

    >>> inside("reports/drift.html")
    'reports/drift.html'
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise RegistryError(f"{name!r} cannot name a file", where="artefacts of a version",
                            expected="a relative path such as reports/drift.html", remedy="rename it")
    return name
