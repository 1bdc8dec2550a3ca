"""A verb run by hand, written down at the Prefect server that ``PREFECT_API_URL`` names; it never depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from terracast.flows.running.prefect_api import ServerAwayError, ask, server
from terracast.flows.terminal.output import note

Answer = TypeVar("Answer")


def recorded(verb: str, act: Callable[[], Answer]) -> Answer:
    """Carry out ``act`` and return its answer; where a server is named, there is a flow run of it there.

    A server that is away, or goes away meanwhile, costs a line on standard error and nothing else.
    """
    api = server()
    run = None if api is None else _begun(api, verb)
    try:
        answer = act()
    except BaseException as error:
        _ended(api, run, "CRASHED" if isinstance(error, KeyboardInterrupt) else "FAILED", str(error))
        raise
    _ended(api, run, "COMPLETED", "")
    return answer


def _begun(api: str, verb: str) -> str | None:
    try:
        flow = ask(api, "/flows/", {"name": verb})["id"]
        run = ask(api, "/flow_runs/", {"flow_id": flow, "name": f"terracast {verb}", "tags": ["terracast", "by hand"],
                                       "state": {"type": "PENDING"}})["id"]
        ask(api, f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
        return str(run)
    except ServerAwayError as away:
        note(f"this run is not recorded: {away}")
        return None


def _ended(api: str | None, run: str | None, state: str, message: str) -> None:
    if api is None or run is None:
        return
    try:
        ask(api, f"/flow_runs/{run}/set_state", {"state": {"type": state, "message": message[:500]}, "force": True})
    except ServerAwayError as away:
        note(f"how this run ended is not recorded: {away}")
