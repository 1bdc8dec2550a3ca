"""The verbs as Prefect flows, and what runs when: imported by ``terracast up`` and by deployments alone.

A flow calls the plain function of its verb and nothing else; ``PREFECT_API_URL`` must be set before this is imported.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.runtime import flow_run
from prefect.schedules import Interval

from terracast.flows import discover as discovering
from terracast.flows import ingest as ingesting
from terracast.flows import report as reporting
from terracast.flows import retrain as retraining
from terracast.flows import watch as watching
from terracast.flows.running.artefacts import show_step
from terracast.flows.running.failures import failure_alerts
from terracast.flows.settings import read_settings
from terracast.flows.settings.clock import as_of
from terracast.flows.workspace import Workspace


@flow(name="watch")
def watch(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """One step of the loop at ``now`` (default: the clock); an alarm leaves as an event. Its words, the open episodes
    and a link stand beside the run."""
    answer = watching.watch(config, now)
    show_step(config, read_settings(config).stream.name, answer, flow_run.id)
    return answer


@flow(name="discover")
def discover(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """The causal graph as known at ``now``; a change of it leaves as an event."""
    with failure_alerts(config, "discover"):
        return discovering.discover(config, now)


@flow(name="report")
def report(config: str = "terracast.toml", out: str = "report.html", now: str | None = None,
           site: str | None = None) -> dict[str, Any]:
    """The pages for people."""
    with failure_alerts(config, "report"):
        return reporting.report(config, out, now, site=site)


@flow(name="retrain")
def retrain(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """Fit the base anew, and begin service with it."""
    with failure_alerts(config, "retrain"):
        return retraining.retrain(config, now)


@flow(name="ingest")
def ingest(config: str = "terracast.toml") -> dict[str, Any]:
    """New files into the store, without a step."""
    with failure_alerts(config, "ingest"):
        return ingesting.ingest(config)


FLOWS = {one.name: one for one in (watch, discover, report, retrain, ingest)}


def every(workspace: Workspace) -> timedelta:
    """How often a step is scheduled: at every cadence; where months or local days are counted, which are not equally
    long, each day at least (a step that comes before its time does nothing)."""
    cadence = workspace.settings.stream.cadence.to_pytimedelta()
    return min(cadence, timedelta(days=1)) if workspace.clock.calendar else cadence


def deployments(config: Path, site: Path) -> list[RunnerDeployment]:
    """What runs when: a step at every cadence, the report each morning, the graph each week; the rest by hand.

    Names carry the stream's. A step that has nothing to do costs nothing, so a missed one is made up by the next.
    Who adapts is the step itself, once for each episode: nothing is started by an event.
    """
    workspace = Workspace.open(config)
    stream, given = workspace.settings.stream, {"config": str(config)}
    last = workspace.clock.shown(workspace.floor(workspace.clock.even(as_of(None))))
    step = Interval(every(workspace), anchor_date=datetime.fromisoformat(f"{str(last)[:19]}+00:00"))
    # By module: from a script's path, ``flows`` itself would stand on the import path and its ``adapt`` hide ours.
    shared: dict[str, Any] = {"entrypoint_type": EntrypointType.MODULE_PATH, "tags": ["terracast", stream.name]}

    def named(verb: str, says: str, **when: Any) -> RunnerDeployment:
        told = {**given, "out": str(site / "report.html"), "site": str(site)} if verb == "report" else given
        made = FLOWS[verb].to_deployment(f"{stream.name}-{verb}", parameters=told, description=says, **when, **shared)
        assert isinstance(made, RunnerDeployment), "outside a running event loop it answers the deployment itself"
        return made

    return [named("watch", "One step of the loop, at every cadence.", schedule=step),
            named("discover", "The causal graph, once a week.", cron="30 3 * * 0"),
            named("report", "The site for people, with the report in it, every morning.", cron="0 6 * * *"),
            named("retrain", "Fits the base anew; by hand."),
            named("ingest", "New files without a step; by hand.")]
