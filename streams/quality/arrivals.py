"""Late, backfilled and revised: what the known times and the ledger of revisions tell; no value is judged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terracast.streams.quality.found import Cells, Found
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.windows import run_length


def delays(known: np.ndarray, time: np.ndarray, step: np.timedelta64, usual: int) -> np.ndarray:
    """By how many steps each report (time, node) was later than usual; NaN where none came.

    ``usual`` in ns; -1, not learned, stands for one step: an hourly value is known when its hour is over.
    """
    ordinary = np.timedelta64(usual, "ns") if usual >= 0 else step
    behind = (known - time[:, None]) - ordinary
    return np.where(np.isnat(behind), np.nan, behind / step)


def late(behind: np.ndarray, settings: QualitySettings) -> Found:
    """Reports that came ``late_steps`` or more after their usual time.

    >>> late(np.array([[0.0], [2.0], [np.nan]]), QualitySettings()).mask.ravel().tolist()
    [False, True, False]
    """
    with np.errstate(invalid="ignore"):
        return Found(behind >= settings.late_steps)


def backfilled(behind: np.ndarray, known: np.ndarray, settings: QualitySettings) -> Found:
    """Late reports that came in one go: ``backfill_rows`` or more stamps in a row with one known time."""
    is_late = late(behind, settings).mask
    together = np.concatenate([np.zeros((1, known.shape[1]), bool), known[1:] == known[:-1]])
    run = run_length(together & is_late & np.concatenate([is_late[:1], is_late[:-1]])) + is_late
    rows = np.arange(len(known), dtype=np.int32)[:, None]
    return Found(run >= settings.backfill_rows, rows - run + 1, is_late)


def revised(revisions: pd.DataFrame, name: str, time: np.ndarray, nodes: np.ndarray
            ) -> tuple[Cells, np.ndarray]:
    """Cells whose value was replaced, and when the first replacement was known."""
    mine = revisions[revisions["variable"] == name].sort_values("known_time", kind="stable")
    mine = mine.drop_duplicates(["time", "node"])
    rows, columns = pd.Index(time).get_indexer(mine["time"]), pd.Index(nodes).get_indexer(mine["node"])
    held = (rows >= 0) & (columns >= 0)
    when = mine["known_time"].to_numpy("datetime64[ns]")[held]
    return (rows[held], columns[held], rows[held]), when
