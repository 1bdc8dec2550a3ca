"""A pre-training run in MLflow: its plan, its loss as it falls, and the model card at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from terracast.registry.tracking import Tracking, in_words

EXPERIMENT = "terracast-pretraining"


class PretrainingRun:
    """One MLflow run per folder: a run that was killed and resumed goes on in the same MLflow run.

    Use as a context; ``tell`` adds a point to the curve, ``keep`` files. The run ends FINISHED, or KILLED where the
    body raised, to be resumed.
    """

    def __init__(self, tracking: Tracking, folder: Path, parameters: Mapping[str, object]) -> None:
        self._tracking = tracking
        self._name = str(folder.resolve())
        self._parameters = parameters

    def __enter__(self) -> PretrainingRun:
        with in_words("log the pre-training", self._tracking.uri):
            self._client: Any = self._tracking.client()
            held = self._client.get_experiment_by_name(EXPERIMENT)
            experiment = held.experiment_id if held else self._client.create_experiment(
                EXPERIMENT, artifact_location=str(self._tracking.folder / "artifacts"))
            begun = self._client.search_runs([experiment], f"tags.folder = '{self._name}'", max_results=1)
            if begun:
                self.run_id = str(begun[0].info.run_id)
                self._client.update_run(self.run_id, "RUNNING")
            else:
                self.run_id = str(self._client.create_run(experiment, tags={"folder": self._name}).info.run_id)
                for name, value in self._parameters.items():
                    self._client.log_param(self.run_id, name, value)
        return self

    def tell(self, step: int, **metrics: float) -> None:
        """Points of the curves at ``step``."""
        with in_words("log the pre-training", self._tracking.uri):
            for name, value in metrics.items():
                self._client.log_metric(self.run_id, name, float(value), step=step)

    def keep(self, folder: Path) -> None:
        """The files of ``folder`` as artefacts."""
        with in_words("log the pre-training", self._tracking.uri):
            self._client.log_artifacts(self.run_id, str(folder))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._client.set_terminated(self.run_id, "FINISHED" if kind is None else "KILLED")
