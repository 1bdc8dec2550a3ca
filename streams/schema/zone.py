"""Whether stamps without an offset look like local time: the hour that is missing, or comes twice, one night a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

HOUR = np.timedelta64(1, "h")
# One or two zones for each rule by which clocks are changed today; a place, where known, says which it is.
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
         "America/Los_Angeles", "America/Santiago", "America/Havana", "Australia/Sydney", "Australia/Adelaide",
         "Pacific/Auckland", "Asia/Jerusalem", "Africa/Cairo", "Asia/Beirut", "America/Asuncion", "Atlantic/Azores",
         "America/Sao_Paulo")


@dataclass(frozen=True)
class ZoneHint:
    """What looks like a change of clocks, and the zones in which it is one."""

    what: str
    zones: tuple[str, ...]


def zone_hint(stamps: np.ndarray, nodes: np.ndarray) -> ZoneHint | None:
    """The hour of a change of clocks that is missing at all nodes, or comes twice at them, and where clocks change so.

    Parameters
    ----------
    stamps : numpy.ndarray
        Stamp of each row as written (ns).
    nodes : numpy.ndarray
        Number of the node of each row.
    """
    stamps_known = stamps[~np.isnat(stamps)]
    held = np.unique(stamps_known)
    if len(held) < 48:
        return None
    gaps = np.diff(held)
    step = np.timedelta64(int(np.median(gaps.astype(np.int64))), "ns")
    if step > HOUR or step <= np.timedelta64(0, "ns"):
        return None
    missing = held[:-1][gaps == step + HOUR] + step if step < HOUR else held[:-1][gaps == 2 * HOUR] + HOUR
    pairs = pd.factorize(stamps)[0] * np.int64(nodes.max() + 1) + nodes
    order = np.sort(pairs)
    repeated = order[1:][np.diff(order) == 0]
    uniques = pd.factorize(stamps)[1]
    twice = np.unique(np.asarray(uniques)[repeated // np.int64(nodes.max() + 1)]) if len(repeated) else held[:0]
    words, zones = [], []
    for kind, found in (("missing", missing), ("twice", twice)):
        for stamp in found.astype("datetime64[h]"):
            fit = tuple(zone for zone in ZONES if _changes(zone, stamp, kind))
            if not fit or len(found) > 0.01 * len(held) + 4:
                continue
            zones.append(set(fit))
            hour = str(stamp)[11:13]
            words.append(f"the hour {hour}:00 is absent everywhere on {str(stamp)[:10]}" if kind == "missing" else
                         f"the hour {hour}:00 comes twice on {str(stamp)[:10]}")
    if not words:
        return None
    common = set.intersection(*zones) or zones[0]
    return ZoneHint("; ".join(dict.fromkeys(words[:2])), tuple(zone for zone in ZONES if zone in common))


def _changes(zone: str, stamp: np.datetime64, kind: str) -> bool:
    spring, autumn = changes_of(zone, int(str(stamp)[:4]))
    return str(stamp) in (spring if kind == "missing" else autumn)


@lru_cache(maxsize=4096)
def changes_of(zone: str, year: int) -> tuple[frozenset[str], frozenset[str]]:
    """Local hours of a year that are skipped, and those that come twice."""
    hours = pd.date_range(f"{year}-01-01", f"{year}-12-31 23:00", freq="h")
    skipped = hours[hours.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(hours), bool)).isna()]
    doubled = hours[hours.tz_localize(zone, nonexistent="shift_forward", ambiguous="NaT").isna()]
    return (frozenset(str(hour.to_datetime64().astype("datetime64[h]")) for hour in skipped),
            frozenset(str(hour.to_datetime64().astype("datetime64[h]")) for hour in doubled))


def zone_at(lat: Sequence[float], lon: Sequence[float]) -> str | None:
    """The time zone of places, where all have one; None without places."""
    known = [(y, x) for y, x in zip(lat, lon, strict=True) if np.isfinite(y) and np.isfinite(x)][:20]
    if not known:
        return None
    import tzfpy

    found = {tzfpy.get_tz((x + 180) % 360 - 180, y) for y, x in known}
    zones = {zone for zone in found if zone}
    return zones.pop() if len(zones) == 1 else None


def keeps_one_offset(zone: str) -> bool:
    """Whether clocks are never changed in a zone."""
    year = pd.date_range("2024-01-01", periods=366, freq="D", tz="UTC")
    return len({stamp.astimezone(ZoneInfo(zone)).utcoffset() for stamp in year.to_pydatetime()}) == 1
