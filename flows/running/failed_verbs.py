"""Which verbs failed when they ran last: ``failed.json`` in ``.terracast``, the one place where that stands.

Whoever runs a verb writes it, by hand or by schedule; the page, ``status``, ``/metrics`` and the alerts read it. A verb
stands there until it goes well again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from terracast.flows.running.place import RUNS, RunningPlace
from terracast.flows.running.run_status import now, stamp

FAILED = "failed.json"


def failed_verbs(place: RunningPlace) -> dict[str, dict[str, Any]]:
    """By verb: ``since`` when it fails (ISO, UTC), the ``words`` of the last failure, who was ``told`` of it."""
    return place.read(FAILED)


def write_failure(place: RunningPlace, verb: str, words: str | None, told: list[str] | None = None) -> None:
    """A verb failed with these ``words``, or went well (None); ``told``: who knows it now, None: who knew it before.

    On a full disk nothing is written: what stands there grows old, and a run does not fail for that.
    """
    failed = failed_verbs(place)
    before = failed.pop(verb, None)
    if words is None and before is None:
        return
    if words is not None:
        known = before or {"since": stamp(now()), "told": []}
        failed[verb] = {"since": known["since"], "words": words, "told": known["told"] if told is None else told}
    with suppress(OSError):
        place.write(FAILED, failed)


def runs_and_failures(place: RunningPlace) -> dict[str, Any]:
    """What the runner tells of itself, with ``failed``: the words of each verb that failed; nothing where none runs."""
    runs = place.read(RUNS)
    return runs and {**runs, "failed": {verb: one["words"] for verb, one in failed_verbs(place).items()}}
