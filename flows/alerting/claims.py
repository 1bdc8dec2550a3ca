"""Claims: who is sending which alerts to one address, written down before they leave.

No letter leaves that is not claimed in a commit of its own. A disk that is full takes no claim, so that nothing is sent
that could not be struck off either. A claim that is still there tells that a message may have arrived: the process was
killed, or the disk filled up, while it was under way. It is sent once more, with the same letters under the same id.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

LEASE = timedelta(minutes=2)  # that a message may be under way from another machine; doubled at each repetition
LONGEST_WAIT = timedelta(hours=1)  # between two tries of one address


def claim(before: Mapping[str, Any] | None, address: str, letters: Sequence[Mapping[str, Any]], at: datetime
          ) -> dict[str, Any]:
    """What is written down before ``letters`` leave for ``address`` at ``at``.

    Parameters
    ----------
    before : Mapping or None
        The claim of an earlier try of which nobody knows how it ended.
    address : str
        As in the settings.
    letters : sequence of Mapping
        What the message is made of, oldest first.
    at : datetime
        The clock on the wall.

    Returns
    -------
    dict
        ``message``: the id of the message; ``letters``: the ids of its alerts; ``tries``, ``host``; ``until``: before
        this instant nobody tries again, unless the claim is the first one, and of this machine.

    Examples
    --------
    >>> noon = datetime(2024, 3, 5, 12, tzinfo=UTC)
    >>> first = claim(None, "json://here", [{"id": "e1:opened"}], noon)
    >>> again = claim(first, "json://here", [{"id": "e1:opened"}], noon)
    >>> first["message"] == again["message"], again["tries"], again["until"]
    (True, 2, '2024-03-05T12:04:00+00:00')
    """
    names, tries = [str(one["id"]) for one in letters], 1 if before is None else int(before["tries"]) + 1
    wait = min(LEASE * 2**min(tries - 1, 8), LONGEST_WAIT)
    return {"message": message_id(address, names), "letters": names, "tries": tries, "host": socket.gethostname(),
            "until": (at + wait).astimezone(UTC).isoformat(timespec="seconds")}


def message_id(address: str, letters: Sequence[str]) -> str:
    """The id of one message: the same alerts to the same address have the same one, however often they are sent.

    >>> message_id("json://here", ["e1:opened"]) == message_id("json://here", ["e1:opened"])
    True
    >>> len(message_id("json://here", ["e1:opened"]))
    16
    """
    return hashlib.sha256("\n".join((address, *letters)).encode()).hexdigest()[:16]


def is_under_way(held: Mapping[str, Any], at: datetime) -> bool:
    """Whether a claim keeps others from sending at ``at``.

    Whoever asks holds this machine's lock of delivery: a first claim of this machine is one of a process that is gone.
    """
    if held["tries"] == 1 and held["host"] == socket.gethostname():
        return False
    return lies_ahead(held["until"], at)


def lies_ahead(until: str, at: datetime, longest: timedelta = LONGEST_WAIT) -> bool:
    """Whether ``at`` is to wait for ``until``; a wait longer than ``longest`` is that of a clock that was set back.

    >>> noon = datetime(2024, 3, 5, 12, tzinfo=UTC)
    >>> [lies_ahead(f"2024-03-05T{hour}:00+00:00", noon) for hour in ("11:59", "12:30", "20:00")]
    [False, True, False]
    """
    return at < datetime.fromisoformat(until) <= at + longest
