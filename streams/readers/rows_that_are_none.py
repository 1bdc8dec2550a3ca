"""Rows of a table that are no observations: the header once more, and totals below."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from terracast.streams.readers.table import Column, Table, Texts

HEADER_AGAIN = "the header once more"
TOTALS = "totals, not one observation"
REMARK = "a remark, not a row"
NO_OBSERVATIONS = frozenset((HEADER_AGAIN, TOTALS, REMARK))  # nothing is lost with them
MOST = 40  # such rows
_TOTALS = re.compile(r"(?:grand )?(?:total|sum|summe|gesamt|somme|totale|suma|mittel|mittelwert|mean|average|avg"
                     r"|moyenne|media|promedio|minimum|maximum|min|max|count|std|stddev|stdev|median)\b[.: ]*(?:\w+)?",
                     re.IGNORECASE)


def _remarks(table: Table, first: Texts) -> np.ndarray:
    """Rows that say something in their first cell alone, in several words."""
    wordy = np.array([len(re.findall(r"[^\W\d_]{2,}", str(word))) > 1 for word in first.words], dtype=bool)
    rows = np.flatnonzero(wordy[first.codes]) if wordy.any() else np.zeros(0, np.int64)
    for column in table.columns.values():
        if len(rows) and column is not first:
            rows = rows[~_says(column, rows)]
    found = np.zeros(table.size, bool)
    found[rows[:0] if len(rows) > MOST or len(table.columns) < 3 else rows] = True
    return found


def _says(column: Column, rows: np.ndarray) -> np.ndarray:
    """Which of some rows say anything in a column."""
    if isinstance(column, Texts):
        return np.array([str(word).strip() != "" for word in column.words], dtype=bool)[column.codes[rows]]
    return np.asarray(~pd.isna(column[rows]))


def observations_of(table: Table, names: Sequence[str]) -> Table:
    """The table without rows that repeat its ``names``, hold totals or a remark; all are counted as rejected."""
    texts = [(name, column) for name, column in table.columns.items() if isinstance(column, Texts)]
    if not texts:
        return table
    again = np.zeros(table.size, bool)
    held = [np.array([str(word).strip() == name for word in column.words], dtype=bool) for name, column in texts]
    if all(same.any() for same in held) and len(texts) >= min(2, len(names)):
        again = np.all([same[column.codes] for same, (_, column) in zip(held, texts, strict=True)], axis=0)
    first = texts[0][1]
    totals = np.array([bool(_TOTALS.fullmatch(str(word).strip())) for word in first.words], dtype=bool)
    sums = totals[first.codes] if totals.any() else np.zeros(table.size, bool)
    if sums.sum() > max(0.02 * table.size, 3):
        sums[:] = False  # it names what is measured
    alone = _remarks(table, first) & ~(again | sums)
    lost = +Counter({why: int(mask.sum()) for why, mask in (
        (HEADER_AGAIN, again), (TOTALS, sums & ~again), (REMARK, alone))})
    if not lost:
        return table
    kept = table.rows(~(again | sums | alone))
    columns = {name: column.used if isinstance(column, Texts) else column for name, column in kept.columns.items()}
    return replace(kept, columns=columns, rejected=table.rejected + lost)
