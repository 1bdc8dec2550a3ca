"""Up: Prefect's server, MLflow's pages, the schedules and the site, on loopback, until interrupted.

This process starts the others, each behind a guard (``flows.running.guard``) so that none outlives it, starts again
what ended by itself, tells when a step does not come, and serves ``/metrics`` from small files. It imports nothing
heavy itself. All state and logs lie in ``.terracast`` beside the settings.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from terracast.flows.running.exposition import STORED, exposition, numbers_of, unread
from terracast.flows.running.failed_verbs import runs_and_failures
from terracast.flows.running.forms import Forms
from terracast.flows.running.health import answers
from terracast.flows.running.page import HOST, served
from terracast.flows.running.place import RUNS, UP, RunningPlace, UpError
from terracast.flows.running.prefect_api import MISSED, ServerAwayError, ask, letter
from terracast.flows.running.run_status import missed, now, stamp, trouble, waiting
from terracast.flows.settings import Settings, read_settings
from terracast.flows.terminal.output import note, say
from terracast.registry.reading import Database
from terracast.registry.relocation import follow
from terracast.registry.tracking import Tracking

PATIENCE = 180  # seconds that a server may take to answer: a busy machine migrates Prefect's database slowly
ENDING = 4.0  # seconds that a child has to end by itself
POLL = 0.5
LEAST_KEPT = 7200.0  # seconds: Prefect refuses to keep runs for an hour or less
AGAIN = 5.0  # seconds before what ended by itself is started again


@dataclass(frozen=True)
class Ports:
    """Where on loopback each part listens."""

    prefect: int = 4200
    mlflow: int = 5000
    page: int = 8478


@dataclass
class Child:
    """A process behind its guard, with a log; ``health`` (an address) answers when it is ready."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    health: str | None = None
    guard: subprocess.Popen[bytes] | None = None
    ended: float = field(default=0.0)

    def start(self) -> None:
        """Start it, the end of the guard's pipe held by this process alone."""
        command = [sys.executable, "-m", "terracast.flows.running.guard", str(ENDING), *self.command]
        with self.log.open("ab") as log:
            self.guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                          env=dict(self.environment), start_new_session=True)

    def tell_to_end(self) -> None:
        """Close the pipe: the guard ends the child and all that it started."""
        if self.guard is not None and self.guard.stdin is not None:
            with suppress(OSError):
                self.guard.stdin.close()

    def wait(self) -> None:
        """Until nothing of it lives."""
        if self.guard is not None:
            with suppress(subprocess.TimeoutExpired):
                self.guard.wait(2 * ENDING)

    @property
    def lives(self) -> bool:
        """Whether it runs."""
        return self.guard is not None and self.guard.poll() is None

    @property
    def answers(self) -> bool:
        """Whether it is ready."""
        return self.health is None or answers(self.health)


def up(config: Path, ports: Ports = Ports()) -> None:
    """Serve until interrupted (or SIGTERM). Where ``PREFECT_API_URL`` names a server already, that one is used; where
    MLflow is a server already, none is started. Raises ``UpError``, also where an ``up`` runs here already."""
    settings, place = read_settings(config), RunningPlace.of(config)
    for told in (signal.SIGTERM, signal.SIGINT):  # what is started in a shell's background begins deaf to the second
        signal.signal(told, signal.default_int_handler)
    with ExitStack() as running, suppress(KeyboardInterrupt):
        running.enter_context(place.only_one())
        api = os.environ.get("PREFECT_API_URL", "").rstrip("/") or f"http://{HOST}:{ports.prefect}/api"
        children = _children(config, settings, place, ports, api)
        for child in children:
            _refuse_a_taken_port(child, ports)
        place.remove(RUNS)
        place.remove(STORED)  # steps may have been taken by hand since
        running.enter_context(served(
            place.site, lambda: _status(place), ports.page,
            lambda accept, by_node: exposition(numbers_of(place, settings.stream.name), accept, by_node),
            _forms(config, settings, place)))
        place.write(UP, {"pid": os.getpid(), "since": stamp(now()), "prefect": api.removesuffix("/api"),
                         "page": f"http://{HOST}:{ports.page}"})
        running.callback(place.remove, UP)
        running.callback(place.remove, RUNS)
        running.callback(place.remove, STORED)
        running.enter_context(_running(children))
        _await(children, place)
        for child in children:
            if child.health is not None:
                say(f"{child.name}: {child.health.rpartition('/health')[0].removesuffix('/api')}")
        say(f"site: http://{HOST}:{ports.page}")
        say("schedules are on; interrupt to stop")
        _keep(children, place, api, settings)
    say("ended")


def _forgets(settings: Settings) -> dict[str, str]:
    """By which Prefect's server drops ended runs, with their logs and artefacts, as old as logs may become: each step
    makes some. Whoever set the variables otherwise is obeyed."""
    kept = max(settings.upkeep.keep_logs.total_seconds(), LEAST_KEPT)
    return {"PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(round(kept))}


def _children(config: Path, settings: Settings, place: RunningPlace, ports: Ports, api: str) -> list[Child]:
    """What is started: the servers that are not there already, and the runner."""
    place.prefect.mkdir(parents=True, exist_ok=True)
    quiet = {**_forgets(settings), **os.environ, "PREFECT_HOME": str(place.prefect),
             "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
             "PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
             "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUNBUFFERED": "1"}
    found = []
    if "PREFECT_API_URL" not in os.environ:
        found.append(Child("Prefect", [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port",
                                       str(ports.prefect)], quiet, place.log("prefect"), f"{api}/health"))
    tracking = _tracking(settings)
    if tracking.startswith("sqlite:///"):
        registry = Tracking.at(tracking, None)
        with registry.lock(settings.model_name):  # before MLflow's server reads where artefacts are
            moved = follow(Path(tracking.removeprefix("sqlite:///")), settings.path(settings.registry.artifacts),
                           settings.model_name)
        if moved is not None:
            note(moved)
    if not tracking.startswith("http"):
        # not an argument: every user of the machine could read a password there
        told = {**quiet, "MLFLOW_BACKEND_STORE_URI": tracking, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        found.append(Child("MLflow", [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port",
                                      str(ports.mlflow), "--workers", "1"], told, place.log("mlflow"),
                           f"http://{HOST}:{ports.mlflow}/health"))
    awaited = [one.health for one in found if one.health is not None]
    found.append(Child("steps", [sys.executable, "-m", "terracast.flows.running.runs", str(config), *awaited], quiet,
                       place.log("steps")))
    return found


def _tracking(settings: Settings) -> str:
    """MLflow's address; a relative SQLite file lies beside the settings."""
    address = settings.registry.address
    if not address.startswith("sqlite:///"):
        return address
    path = settings.path(address.removeprefix("sqlite:///"))
    Database(path).aliases("")  # a damaged file is told at once, where the server would try for minutes
    return f"sqlite:///{path}"


def _refuse_a_taken_port(child: Child, ports: Ports) -> None:
    """Say at once what a server would say into its log."""
    port = {"Prefect": ports.prefect, "MLflow": ports.mlflow}.get(child.name)
    if port is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UpError(f"{child.name}: {error.strerror}", where=f"{HOST}:{port}", expected="a free port",
                          remedy=f"choose another with --{child.name.lower()}-port") from None


@contextmanager
def _running(children: list[Child]) -> Iterator[None]:
    """All of them, side by side; on the way out the runner is told to end first, then the servers it speaks with."""
    try:
        for child in children:
            child.start()
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of them
        children[-1].tell_to_end()
        with suppress(subprocess.TimeoutExpired):
            if children[-1].guard is not None:
                children[-1].guard.wait(1.0)
        for child in children:
            child.tell_to_end()
        for child in children:
            child.wait()


def _await(children: list[Child], place: RunningPlace) -> None:
    """Until every server answers and the schedules are on."""
    deadline = time.monotonic() + PATIENCE
    while not (all(child.answers for child in children) and place.read(RUNS).get("ready")):
        gone = [child for child in children if not child.lives]
        if gone or time.monotonic() > deadline:
            child = gone[0] if gone else next((one for one in children if not one.answers), children[-1])
            raise UpError(f"{child.name} {'ended' if gone else 'does not answer'}: {_last_line(child.log)}",
                          where=str(child.log), expected=f"an answer within {PATIENCE} s",
                          remedy="read that log; free the port or choose another with its option")
        time.sleep(POLL)


def _keep(children: list[Child], place: RunningPlace, api: str, settings: Settings) -> None:
    """Start again what ended by itself, and tell of steps that do not come, until interrupted."""
    told: str | None = None
    alerted: str | None = None
    while True:
        for child in children:
            if not child.lives and time.monotonic() - child.ended > AGAIN:
                child.ended = time.monotonic()
                note(f"{child.name} ended: {_last_line(child.log)}; it is started again (see {child.log})")
                child.start()
        runs = runs_and_failures(place)
        due = missed(runs, now())
        if due is not None and due != told:
            note(f"the step that was due at {due} has not run")
            with suppress(ServerAwayError):
                facts = {"due": due, "trouble": trouble(runs, now())}
                ask(api, "/events", [letter(MISSED, settings.stream.name, due, due, facts)])
                told = due
        if due is not None and due != alerted:
            alerted = due
            _alert(settings, due, trouble(runs, now()))
        time.sleep(POLL)


def _alert(settings: Settings, due: str, words: list[str]) -> None:
    """Tell people that a step did not come; past the store, which a step that hangs may hold."""
    if settings.alerts.addresses("system"):
        from terracast.flows.alerting.alert import of_missed_step
        from terracast.flows.running.failures import tell_at_once

        tell_at_once(settings, of_missed_step(settings.stream.name, due, words))


def _forms(config: Path, settings: Settings, place: RunningPlace) -> Forms:
    """The forms of the page, by what the last run left."""
    named = urlsplit(settings.alerts.page or "").hostname
    return Forms(config.resolve(), lambda: list(place.read(STORED).get("open", ())),
                 lambda: list(place.read(STORED).get("approvals", ())), lambda: place.read(STORED).get("previous"),
                 () if named is None else (named,))


def _status(place: RunningPlace) -> dict[str, Any]:
    runs = runs_and_failures(place)
    return {"trouble": [*trouble(runs, now()), *unread(place.read(STORED))], "waiting": waiting(runs), **runs}


def _last_line(log: Path) -> str:
    """What a child said last."""
    with suppress(OSError):
        lines = [one.strip() for one in log.read_text(encoding="utf-8", errors="replace").splitlines() if one.strip()]
        return lines[-1][:200] if lines else "without a word"
    return "without a word"
