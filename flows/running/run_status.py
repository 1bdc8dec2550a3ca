"""How ``terracast up`` stands: what ran, what comes next, and what a person must know, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

OVERDUE = 2.0  # cadences since the last step began: a step that was due one cadence ago did not come
RENEWAL = "renewal"  # what the runner does when it is started again between two runs: it takes some seconds
LONG = 3600.0  # seconds that a run may take without a word: a first fit is longer than a cadence of seconds


def now() -> datetime:
    """The clock on the wall, UTC."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """As it is kept and shown: to the second, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def missed(runs: Mapping[str, Any], at: datetime) -> str | None:
    """The instant (ISO) at which a step was due that did not come, told within two cadences; None: all came.

    >>> runs = {"ready": "2024-01-01T00:00:00Z", "cadence_seconds": 60, "began": "2024-01-01T00:05:00Z"}
    >>> missed(runs, datetime(2024, 1, 1, 0, 6, 30, tzinfo=UTC)) is None
    True
    >>> missed(runs, datetime(2024, 1, 1, 0, 7, 30, tzinfo=UTC))
    '2024-01-01T00:06:00Z'
    """
    last = runs.get("began") or runs.get("ready")
    if last is None or (runs.get("running") or {}).get("verb") in ("watch", RENEWAL):
        return None
    began, cadence = datetime.fromisoformat(last), float(runs["cadence_seconds"])
    ended = datetime.fromisoformat(runs["ended"]) if runs.get("ended") else began
    if (at - max(began, ended)).total_seconds() <= OVERDUE * cadence:
        return None
    return stamp(datetime.fromtimestamp(max(began, ended).timestamp() + cadence, UTC))


def trouble(runs: Mapping[str, Any], at: datetime) -> list[str]:
    """What is wrong, a sentence each; nothing where all goes well."""
    told = []
    due = missed(runs, at)
    if due is not None:
        running = runs.get("running")
        why = f"; `{running['verb']}` has run since {running['since']}" if running else ""
        told.append(f"The step that was due at {due} has not run{why}. See .terracast/logs/steps.log.")
    running = runs.get("running")
    if running and due is None:
        lasted = (at - datetime.fromisoformat(running["since"])).total_seconds()
        if lasted > max(LONG, OVERDUE * float(runs["cadence_seconds"])):
            told.append(f"`{running['verb']}` has run since {running['since']}, and no other step meanwhile.")
    for verb, words in (runs.get("failed") or {}).items():
        told.append(f"The last run of `{verb}` failed: {words}")
    return told


def waiting(runs: Mapping[str, Any]) -> str:
    """Why there is no report yet."""
    if runs.get("waiting"):
        return f"Service waits: {runs['waiting']}."
    running = runs.get("running")
    if running and running["verb"] != RENEWAL:
        return f"`{running['verb']}` has run since {running['since']}; the first one takes some minutes."
    return "The first step has not run yet."
