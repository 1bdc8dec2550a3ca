"""Up: Prefect's server, MLflow's pages, the schedules and the report's page, on loopback, until interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger

from flows.output import note, say
from flows.workspace import Workspace
from streams.errors import TerracastError

HOST = "127.0.0.1"
PATIENCE = 180  # seconds that a server may take to answer: a busy machine migrates Prefect's database slowly
ALARM = "terracast.drift-alarm"


class UpError(TerracastError):
    """A server that does not come up."""


def deployments(config: str, page: Path) -> list[RunnerDeployment]:
    """What runs when: a step at every cadence, the report each morning, the graph each week, the act on an alarm.

    A step that has nothing to do costs nothing, so a missed one is made up by the next.
    """
    from flows.adapt import adapt
    from flows.discover import discover
    from flows.ingest import ingest
    from flows.report import report
    from flows.retrain import retrain
    from flows.watch import watch

    settings = {"config": config}
    # By module: from a script's path, ``flows`` itself would stand on the import path and its ``adapt`` hide ours.
    shared: dict[str, Any] = {"entrypoint_type": EntrypointType.MODULE_PATH}
    cadence = Workspace.open(config).settings.stream.cadence
    alarm = DeploymentEventTrigger(name="act on a drift alarm", expect={ALARM}, for_each={"prefect.resource.id"})
    return [
        watch.to_deployment("watch", interval=cadence.to_pytimedelta(), parameters=settings, **shared,
                            description="One step of the loop, at every cadence."),
        adapt.to_deployment("adapt", triggers=[alarm], parameters=settings, **shared,
                            description="Carries out the act that the loop wishes for, when an alarm was raised."),
        discover.to_deployment("discover", cron="30 3 * * 0", parameters=settings, **shared,
                               description="The causal graph, once a week."),
        report.to_deployment("report", cron="0 6 * * *", parameters={**settings, "out": str(page)}, **shared,
                             description="The page for people, every morning."),
        retrain.to_deployment("retrain", parameters=settings, **shared, description="Fits the base anew; by hand."),
        ingest.to_deployment("ingest", parameters=settings, **shared, description="New files without a step; by hand."),
    ]


def up(config: str, *, prefect_port: int = 4200, mlflow_port: int = 5000, page_port: int = 8478) -> None:
    """Serve until interrupted (or SIGTERM); children are ended by pid. Where ``PREFECT_API_URL`` names a server
    already, that one is used; where MLflow is a server already, none is started."""
    workspace = Workspace.open(config)
    folder = workspace.settings.path("site")
    folder.mkdir(exist_ok=True)
    for told in (signal.SIGTERM, signal.SIGINT):  # what is started in a shell's background begins deaf to the second
        signal.signal(told, signal.default_int_handler)
    with ExitStack() as running:
        if "PREFECT_API_URL" not in os.environ:
            running.enter_context(_server("Prefect", ["prefect", "server", "start", "--host", HOST, "--port",
                                                      str(prefect_port)], f"http://{HOST}:{prefect_port}/api/health"))
            os.environ["PREFECT_API_URL"] = f"http://{HOST}:{prefect_port}/api"
            say(f"Prefect: http://{HOST}:{prefect_port}")
        tracking = workspace.registry.tracking.uri
        if not tracking.startswith("http"):
            running.enter_context(_server("MLflow", ["mlflow", "server", "--host", HOST, "--port", str(mlflow_port),
                                                     "--workers", "1"], f"http://{HOST}:{mlflow_port}/health",
                                          # not an argument: every user of the machine could read a password there
                                          {"MLFLOW_BACKEND_STORE_URI": tracking}))
            say(f"MLflow: http://{HOST}:{mlflow_port}")
        running.enter_context(_page(folder, page_port))
        say(f"report: http://{HOST}:{page_port}")
        _serve(config, folder / "index.html")


def _serve(config: str, page: Path) -> None:
    """The first report, then the schedules, in this process."""
    from prefect import serve

    from flows.report import report

    try:
        report(config, str(page))
    except TerracastError as error:
        note(f"no report yet: {error}")
    say("schedules are on; interrupt to stop")
    # One run at a time: they write to one store. (Prefect's own limits give a slow start's slot to another run.)
    serve(*deployments(config, page), print_starting_message=False, limit=1)


@contextmanager
def _server(name: str, module: list[str], health: str, told: Mapping[str, str] | None = None) -> Iterator[None]:
    """A child process that runs a Python module's command, awaited until ``health`` answers, ended on the way out."""
    quiet = {**os.environ, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **(told or {})}
    with subprocess.Popen([sys.executable, "-m", *module], env=quiet, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            _await(name, health, child)
            yield
        finally:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(child.pid, signal.SIGTERM)


def _await(name: str, health: str, child: subprocess.Popen[bytes]) -> None:
    pause = Event()
    for _ in range(2 * PATIENCE):
        if child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            pause.wait(0.5)
    raise UpError(f"{name} does not answer", where=health, expected=f"an answer within {PATIENCE} s",
                  remedy="see whether the port is taken; choose another with its option")


@contextmanager
def _page(folder: Path, port: int) -> Iterator[None]:
    """The folder over HTTP, in a thread of its own."""
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise UpError(f"the report's page: {error.strerror}", where=f"{HOST}:{port}", expected="a free port",
                      remedy="choose another with --page-port") from None
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a person's terminal is not an access log."""
