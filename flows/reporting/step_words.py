"""What a step did, in lines: printed by ``watch --once``, and shown by Prefect beside the step's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_line(answer: Mapping[str, Any]) -> str:
    """How far the loop has come.

    >>> first_line({"waiting": None, "ticks": 1, "now": "2024-01-01T06:00:00", "champion": "3"})
    '1 steps up to 2024-01-01T06:00:00; champion: version 3'
    """
    return str(answer["waiting"]) if answer["waiting"] else (
        f"{answer['ticks']} steps up to {answer['now']}; champion: version {answer['champion']}")


def news(answer: Mapping[str, Any]) -> list[str]:
    """A sentence for all that a person may want to know of the step, whose ``WatchStep.to_json`` is given."""
    alarms = list(answer["alarms"].values())
    known = [one["words"] for one in answer["silent"] if one["words"][:-1] not in " ".join(alarms)]
    learning = [answer["standing"]["error"]] if "error" in answer["standing"] else []
    return [*known, *learning, *answer["returned"], *(one["words"] for one in answer["set_aside"]), *alarms,
            *answer["decisions"], *(one["words"] for one in answer["approvals"]), *answer["dropped"],
            *answer["receipts"]]
