"""Changes that people know of: holidays, strikes, emission controls, re-wired stations, read from a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from terracast.streams.errors import ReadError

DAY = np.timedelta64(1, "D")
HEATING = {"11-15": "begins", "03-15": "ends"}  # northern China's central heating


@dataclass(frozen=True)
class KnownChange:
    """From ``start`` to ``end`` (both days included); ``rewired``: a change of the data and not of the world."""

    start: np.datetime64
    end: np.datetime64
    what: str
    rewired: bool = False


def known_changes(path: Path, first: np.datetime64, last: np.datetime64) -> tuple[KnownChange, ...]:
    """The changes in ``path`` that begin between ``first`` and ``last``, in order.

    The file is JSON with any of ``events`` (each ``start``, ``end``, ``what``), ``duplicated_weather_series`` (each
    ``from``: since when other stations share their weather) and ``regimes`` (a text; where it names central heating,
    its first and last days are added). Raises ``ReadError`` where it cannot be read.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        found = [KnownChange(_day(one["start"]), _day(one["end"]), str(one["what"])) for one in known.get("events", ())]
        found += [KnownChange(_day(one["from"]), _day(one["from"]), "stations' weather re-wired", True)
                  for one in known.get("duplicated_weather_series", ()) if "from" in one]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"no known changes: {error!r}", where=path.name,
                        expected='JSON with "events": [{"start", "end", "what"}]', remedy="mend the file") from error
    if "central heating" in str(known.get("regimes", "")):
        years = range(int(str(first)[:4]), int(str(last)[:4]) + 1)
        days = [(_day(f"{year}-{day}"), f"heating {word} {year}") for year in years for day, word in HEATING.items()]
        found += [KnownChange(day, day, what) for day, what in days]
    return tuple(sorted((one for one in found if first <= one.start <= last), key=lambda one: one.start))


def _day(text: str) -> np.datetime64:
    return np.datetime64(text, "D").astype("datetime64[ns]")
