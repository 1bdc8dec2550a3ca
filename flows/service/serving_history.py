"""What served when, and why: a ledger in the store to which every change of service adds one entry; none is changed.

An act of the loop bears the instant of its step, so that a step which is repeated after a kill writes the same. An act
of a person bears the clock's.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from terracast.streams.storage.ledger import REPEATS
from terracast.streams.store import Transaction, View

LEDGER = "history"
CHANGES = ("began", "promoted", "rolled-back")  # after these another version serves, or one anew
LOOP, ALIAS = "loop", "MLflow alias"  # who acted, where it was no person of whom we know
TEXTS = ("version", "action", "by", "reason", "serves", "key")
NUMBERS = ("p_value", "mean_gain")


@dataclass(frozen=True)
class HistoryEntry:
    """One act.

    Attributes
    ----------
    time
        When, UTC.
    action
        ``began``, ``promoted``, ``rolled-back``, ``refused``, ``challenged``, ``expired``, ``approved``, ``declined``.
    version
        The version concerned; of a rollback the one taken out. Empty for a training that has made none yet.
    by
        ``loop``, ``MLflow alias``, or a person.
    reason
        Why, in words.
    serves
        The version in service after the act; empty where there is none.
    key
        Of the adaptation concerned; empty where there was none.
    p_value, mean_gain, pairs
        The gate's evidence: NaN, NaN and 0 where no gate spoke. The gain is a share of the champion's loss.
    """

    time: np.datetime64
    action: str
    version: str
    by: str
    reason: str
    serves: str
    key: str = ""
    p_value: float = float("nan")
    mean_gain: float = float("nan")
    pairs: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data; what is not there is null."""
        numbers = {name: value if np.isfinite(value := float(getattr(self, name))) else None for name in NUMBERS}
        return {"time": f"{np.datetime_as_string(self.time, 's')}Z", "version": self.version or None,
                "action": self.action, "by": self.by, "reason": self.reason, "serves": self.serves or None,
                "key": self.key or None, **numbers, "pairs": self.pairs or None}


def add_entry(step: Transaction, entry: HistoryEntry) -> None:
    """Add one entry in the open transaction; O(1): only the last chunk of the ledger is written anew."""
    columns: dict[str, Any] = {name: np.array([getattr(entry, name)], dtype=object) for name in TEXTS}
    columns |= {name: np.array([getattr(entry, name)], dtype=float) for name in NUMBERS}
    columns["pairs"] = np.array([entry.pairs], dtype=np.int64)
    time = np.array([entry.time], "datetime64[ns]")
    step.append(LEDGER, xr.Dataset({name: (("time",), values) for name, values in columns.items()}, {"time": time},
                                   {REPEATS: True}), along="time")


def entries(held: View) -> tuple[HistoryEntry, ...]:
    """All entries, in the order in which they were added; none before service."""
    ledger = held.ledger(LEDGER)
    if ledger is None:
        return ()
    columns = {name: ledger[name].values for name in ("time", *TEXTS, *NUMBERS, "pairs")}
    return tuple(HistoryEntry(**{name: values[row].item() if name != "time" else values[row]
                                 for name, values in columns.items()}) for row in range(ledger.sizes["time"]))


def last_change(held: View) -> HistoryEntry | None:
    """The entry by which the version in service came to serve, None before service."""
    return next((one for one in reversed(entries(held)) if one.action in CHANGES), None)


def of_version(found: Iterable[HistoryEntry], version: str) -> list[dict[str, Any]]:
    """What concerns one version, as plain data: also the approval of the training that made it, and whom it
    replaced."""
    held = tuple(found)
    keys = {one.key for one in held if one.version == version and one.key}
    return [one.to_json() for one in held if one.version == version or (not one.version and one.key in keys)
            or (one.serves == version and one.action in CHANGES)]


def person(by: str | None) -> str:
    """Who acts: as given, else the user of this process.

    >>> person("ann")
    'ann'
    """
    if by:
        return " ".join(by.split())
    with suppress(OSError, KeyError, ImportError):
        return os.environ.get("USER") or getpass.getuser()
    return "unknown"
