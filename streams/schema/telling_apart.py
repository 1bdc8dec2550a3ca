"""Which columns tell the rows of a table apart, and which may name places."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terracast.streams.schema.profile import ColumnProfile
from terracast.streams.vocabulary import named

UNIQUE = 0.97  # share of rows that an axis must tell apart
COMPOUNDS = ("stelle", "station", "punkt", "standort", "pegel", "sensor", "zaehler", "zähler", "kreis", "bezirk")
PLACES = named("place")


def pairs_of_codes(one: np.ndarray, column: ColumnProfile) -> np.ndarray:
    return pd.factorize(one.astype(np.int64) * len(column.texts.words) + column.texts.codes)[0]


def distinct_share(key: np.ndarray, *columns: ColumnProfile) -> float:
    """The share of rows that a key and columns tell apart."""
    for column in columns:
        key = pairs_of_codes(key, column)
    return len(np.unique(key)) / max(len(key), 1)


def may_name(column: ColumnProfile, rows: int) -> bool:
    """Whether a column may name places: it repeats, and is no measured number."""
    if column.distinct < 2 or column.distinct * 2 > rows:
        return False
    if not column.numeric or column.coded:
        return True
    if not column.whole:
        return False
    if set(column.words) & (PLACES | {"nr", "no", "num", "number", "nummer"}):
        return True
    counts = column.counts[column.present]
    return bool(counts.std() < 0.3 * counts.mean() and counts.min() > 2)


def is_place(column: ColumnProfile) -> bool:
    """Whether a name says that a column names places; compounds as of German count by their end."""
    return bool(set(column.words) & PLACES) or any(word.endswith(COMPOUNDS) for word in column.words)
