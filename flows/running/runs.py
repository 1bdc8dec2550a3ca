"""The runner of ``terracast up``: takes what Prefect has scheduled and carries it out, one run after another.

A cold process for each run would spend ten seconds on imports; this one has them behind it, so that a cadence of
seconds works. Runs write to one store: hence one at a time. Started as ``python -m flows.running.runs CONFIG`` with
``PREFECT_API_URL`` in its environment, so that no order of imports can make Prefect look elsewhere.

What is no ordinary step (a training, a graph, days made up) leaves memory behind that no allocator gives back: the
runner then ends with the status ``AGAIN``, upon which its guard starts it again, and it goes on where it was. So it
does when it holds more than it did, for whatever reason.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Crashed

from terracast.flows.alerting.outbox import deliver_alerts
from terracast.flows.metrics import measured
from terracast.flows.running.exposition import STORED
from terracast.flows.running.failed_verbs import write_failure
from terracast.flows.running.guard import AGAIN
from terracast.flows.running.health import answers
from terracast.flows.running.memory import Growth, give_back, keep_little, resident, settle
from terracast.flows.running.place import RUNS, RunningPlace, UpError
from terracast.flows.running.prefect_api import server
from terracast.flows.running.run_status import RENEWAL, now, stamp
from terracast.flows.scheduled import FLOWS, deployments, every, report
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError

SERVER = "Prefect's server"
POLL = 1.0  # seconds
PATIENCE = 180.0  # seconds that the server may take to answer: a busy machine migrates Prefect's database slowly
DELIVERY = 15.0  # seconds between two rounds of delivery of alerts that wait
SHARE = 0.2  # of a cadence that the report may take to be written anew after each step


class Runner:
    """Carries out the scheduled runs of one workspace, and writes down how that goes."""

    def __init__(self, config: Path, client: SyncPrefectClient) -> None:
        self.config, self.client, self.place = config, client, RunningPlace.of(config)
        self.verbs: dict[UUID, str] = {}
        self.is_ordinary, self.growth, self.delivered = True, Growth(), time.monotonic()
        self.given: dict[UUID, dict[str, Any]] = {}
        cadence = every(Workspace.open(config)).total_seconds()
        self.told: dict[str, Any] = {"cadence_seconds": cadence, "running": None, "report_seconds": 0.0}

    def begin(self) -> None:
        """Register what runs when, give up what an earlier ``up`` left half-way, and ask for the first step at once."""
        for one in deployments(self.config, self.place.site):
            self._take(UUID(str(one.apply())), one)
        for run in self._runs([StateType.RUNNING, StateType.PENDING]):
            self.client.set_flow_run_state(run.id, Crashed(message="`terracast up` ended before it did"), force=True)
        self.client.create_flow_run_from_deployment(self._step, name="first step")
        self._tell(ready=stamp(now()), pid=os.getpid())
        self._measure({})

    def go_on(self) -> None:
        """Take up what a runner that asked to be started again left: what is registered stays as it is."""
        self.told |= self.place.read(RUNS)
        for one in deployments(self.config, self.place.site):
            found = self.client.read_deployment_by_name(f"{one.flow_name}/{one.name}")
            self._take(found.id, one)
        self._tell(running=None, pid=os.getpid())
        self._measure({})

    def _take(self, deployment: UUID, made: Any) -> None:
        self.verbs[deployment], self.given[deployment] = str(made.flow_name), dict(made.parameters)

    def serve(self) -> None:
        """Carry out what is due until something was that is no ordinary step; a server that is away for a while is
        waited for."""
        while self.is_ordinary:
            try:
                due = self._due()
                for run in due[:1]:
                    self._carry_out(run)
                if not due:
                    self._deliver()
            except Exception as error:  # whatever its client raises: a step is committed by itself, and they go on
                write_failure(self.place, SERVER, in_one_line(error, "up"))
                self._tell(running=None)
                due = []
            else:
                write_failure(self.place, SERVER, None)
            if not due:
                time.sleep(POLL)
        self._tell(running={"verb": RENEWAL, "since": stamp(now())})

    def _deliver(self) -> None:
        """Send alerts that wait, for their hour or for an address that did not answer, between two steps."""
        if not self.told.get("alerts_waiting") or time.monotonic() - self.delivered < DELIVERY:
            return
        self.delivered = time.monotonic()
        self._tell(alerts_waiting=deliver_alerts(Workspace.open(self.config), now()).waiting)

    @property
    def _step(self) -> UUID:
        return next(one for one, verb in self.verbs.items() if verb == "watch")

    def _due(self) -> list[Any]:
        """What is due, the oldest first; of several runs of one verb the newest, which makes up for the others."""
        found = self.client.get_scheduled_flow_runs_for_deployments(list(self.verbs), scheduled_before=_clock())
        newest: dict[UUID | None, Any] = {}
        for run in sorted(found, key=lambda one: one.expected_start_time):
            earlier = newest.pop(run.deployment_id, None)
            if earlier is not None:
                words = f"made up by the run that was due at {run.expected_start_time}"
                self.client.set_flow_run_state(earlier.id, Cancelled(name="Skipped", message=words), force=True)
            newest[run.deployment_id] = run
        return list(newest.values())

    def _carry_out(self, run: Any) -> None:
        verb = self.verbs[run.deployment_id]
        began, clock = stamp(now()), time.monotonic()
        self._tell(running={"verb": verb, "since": began}, **({"began": began} if verb == "watch" else {}))
        state: Any = run_flow(FLOWS[verb], flow_run=self.client.read_flow_run(run.id), return_type="state",
                              parameters=here(run, self.given[run.deployment_id]))
        words = _words(state, verb)
        write_failure(self.place, verb, words)  # it wrote so itself, unless it could not even begin
        counted = _counted(self.told.get("runs", {}), verb, time.monotonic() - clock, failed=words is not None)
        self._tell(running=None, runs=counted, **({"ended": stamp(now())} if verb == "watch" else {}))
        answer = {} if words is not None else dict(state.result(raise_on_failure=False))
        if verb != "watch":
            self._measure(answer)
            self.is_ordinary = False
            return
        is_first = bool(answer.get("ticks")) and not self.told.get("served")  # it began service, or made days up
        self._tell(waiting=answer.get("waiting"), next_run=self._next(), served=is_first or self.told.get("served"),
                   alerts_waiting=answer.get("delivered", {}).get("waiting", 0))
        self._measure(self._refresh(answer))
        self.is_ordinary = not (self.growth.after(resident()) or is_first or answer.get("receipts"))

    def _refresh(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Write the site anew, with the report in it: after each step where that is quick, else when something was
        told; what it answers, nothing where it was not written."""
        news = any(answer.get(name) for name in ("alarms", "decisions", "dropped", "receipts"))
        quick = self.told["report_seconds"] <= SHARE * self.told["cadence_seconds"]
        if not answer.get("ticks") or not (news or quick or not self.place.page.exists()):
            return {}
        began, made = time.monotonic(), dict[str, Any]()
        try:
            made = report.fn(str(self.config), str(self.place.page), site=str(self.place.site))
        except Exception as error:  # it was written down and told, where it can be
            note(f"error: {error if isinstance(error, TerracastError) else in_one_line(error, 'report')}")
        self._tell(report_seconds=round(time.monotonic() - began, 1))
        return made

    def _measure(self, answer: Mapping[str, Any]) -> None:
        """Write down the numbers of the store for ``/metrics``. What cannot be read now stands as it was read last; the
        errors ``compared`` are those of the last report, which alone has the base forecast anew."""
        try:
            found = measured(self.config, as_of(None))
        except TerracastError as error:  # settings that are being edited: the run itself told of it
            found = {"unread": [str(error)]}
        compared = {"compared": answer["compared"]} if answer.get("compared") else {}
        with suppress(OSError):  # on a full disk the numbers grow old, which their stamp says: the run itself is done
            self.place.write(STORED, {**self.place.read(STORED), **found, **compared})
        give_back()

    def _next(self) -> str | None:
        """When the next step is due, as Prefect has it."""
        coming = [run.expected_start_time for run in self._runs([StateType.SCHEDULED], self._step, 1)]
        return stamp(coming[0]) if coming and coming[0] is not None else None

    def _runs(self, states: Sequence[StateType], deployment: UUID | None = None, limit: int = 200) -> list[FlowRun]:
        wanted = list(self.verbs) if deployment is None else [deployment]
        return self.client.read_flow_runs(
            deployment_filter=DeploymentFilter(id={"any_": wanted}),  # type: ignore[arg-type]
            flow_run_filter=FlowRunFilter(state={"type": {"any_": list(states)}}),  # type: ignore[arg-type]
            sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=limit)

    def _tell(self, **news: Any) -> None:
        self.told |= news
        with suppress(OSError):  # on a full disk what stands there grows old, which the page says; runs go on
            self.place.write(RUNS, self.told)


def here(run: FlowRun, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a run in the workspace that is served: a run that was scheduled before the workspace was moved
    or copied names the settings and the page of that place still."""
    return {**run.parameters, **(given if run.auto_scheduled else {"config": given["config"]})}


def _words(state: State[Any], verb: str) -> str | None:
    """Why a run failed, in one line; None: it did not."""
    if state.is_completed():
        return None
    error = state.result(raise_on_failure=False)
    if isinstance(error, TerracastError):
        return str(error)
    return in_one_line(error, verb) if isinstance(error, BaseException) else str(state.message)


def _counted(runs: Mapping[str, Any], verb: str, seconds: float, *, failed: bool) -> dict[str, Any]:
    """What each verb's runs came to, with one more: how many ended and failed, when the last did, how long it took."""
    before = runs.get(verb, {"done": 0, "failed": 0})
    return {**runs, verb: {"done": before["done"] + 1, "failed": before["failed"] + failed, "ended": stamp(now()),
                           "seconds": round(seconds, 3)}}


def _clock() -> datetime:
    return now()


def _await(addresses: Sequence[str]) -> None:
    """Until the servers answer: two processes that make MLflow's tables at once would hurt each other."""
    deadline = time.monotonic() + PATIENCE
    while silent := [one for one in addresses if not answers(one)]:
        if time.monotonic() > deadline:
            raise UpError("nobody answers", where=silent[0], expected=f"an answer within {PATIENCE:g} s",
                          remedy="see .terracast/logs")
        time.sleep(0.5)


def warm() -> None:
    """Import what any step may need, while the servers come up: an adaptation does not wait for it, and what the
    process holds does not grow with its first one."""
    rungs = import_module("terracast.adapt.rungs")
    every_rung = (f"{rungs.__name__}.{one.name}" for one in iter_modules(rungs.__path__))
    for name in ("terracast.adapt.loop", "terracast.adapt.promotion.executor", *every_rung, "terracast.flows.adapt",
                 "terracast.flows.retrain", "terracast.flows.reporting.page", "mlflow.pyfunc",
                 "terracast.registry.packing", "torch._dynamo"):  # the last is what torch's first optimiser asks for
        import_module(name)
    settle()


def main() -> None:
    """Serve the workspace whose settings file is named first, when the servers whose addresses follow answer."""
    keep_little()
    config, api = Path(sys.argv[1]), server()
    if api is None:
        raise UpError("PREFECT_API_URL is not set", where="the runner", expected="the address of Prefect's server",
                      remedy="run `terracast up`")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    place = RunningPlace.of(config)
    goes_on = (place.read(RUNS).get("running") or {}).get("verb") == RENEWAL
    if not goes_on:
        place.remove(RUNS)
    warm()
    _await(sys.argv[2:] or [f"{api}/health"])
    with get_client(sync_client=True) as client:
        runner = Runner(config, client)
        if goes_on:
            runner.go_on()
        else:
            runner.begin()
        runner.serve()
    sys.exit(AGAIN)


if __name__ == "__main__":
    main()
