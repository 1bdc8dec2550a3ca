"""Changes that people know of (holidays, strikes, closures), read from a JSON file and drawn on the timeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from terracast.flows.reporting.content import KnownEvent
from terracast.streams.errors import ReadError

DAY = np.timedelta64(1, "D")


def known_events(path: Path, until: np.datetime64) -> tuple[KnownEvent, ...]:
    """The known changes that began before a moment, in order.

    Parameters
    ----------
    path : Path
        JSON with ``events``, each with ``start`` and ``end`` (days, both included) and ``what``.
    until : datetime64
        The moment.

    Raises
    ------
    ReadError
        Where the file cannot be read.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("events", ())
        found = [KnownEvent(_day(one["start"]), _day(one["end"]) + DAY, str(one["what"])) for one in told]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"no known changes: {error!r}", where=path.name,
                        expected='JSON with "events": [{"start", "end", "what"}]', remedy="mend the file") from error
    return tuple(sorted((one for one in found if one.start <= until), key=lambda one: one.start))


def _day(text: str) -> np.datetime64:
    return np.datetime64(text, "D").astype("datetime64[ns]")
