"""A table as it came, and its columns as numbers and stamps: what is wrong is told by its line in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.streams.readers.wanted import Wanted

PLAIN_NAMES = {
    "time": ("time", "timestamp", "datetime", "date_time", "date", "valid_time"),
    "node": ("node", "station", "station_id", "sensor", "sensor_id", "site", "node_id"),
    "lat": ("lat", "latitude"), "lon": ("lon", "longitude"),
}
GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "nat"}


@dataclass(frozen=True)
class Table:
    """Columns as they came: texts (object arrays), numbers or stamps. ``lines`` numbers rows as the file does."""

    columns: dict[str, np.ndarray]
    lines: np.ndarray
    wanted: Wanted
    in_utc: frozenset[str] = frozenset()  # columns of stamps that know their offset

    def column(self, axis: str, given: str | None) -> str | None:
        """The name of the column that is this axis: the given one, else a plain one, None where there is none."""
        if given is not None:
            if given not in self.columns:
                raise self.wanted.refusal(f"no column {given!r}", remedy=f"name the {axis} column",
                                          expected="one of " + ", ".join(self.columns))
            return given
        lower = {name.strip().lower(): name for name in self.columns}
        return next((lower[name] for name in PLAIN_NAMES[axis] if name in lower), None)

    def numbers(self, name: str) -> np.ndarray:
        """A column as floats (float32 stays); ``ReadError`` names the line of a text among them."""
        values = self.columns[name]
        if values.dtype.kind == "f":
            return values
        if values.dtype.kind in "iub":
            return values.astype(np.float64)
        if values.dtype.kind == "O":
            blank = np.fromiter((text.strip().lower() in MISSING for text in values), bool, len(values))
            try:
                return np.where(blank, "nan", self._pointed(values)).astype(np.float64)
            except ValueError:
                self._refuse_text(name, values, blank)
        raise self.wanted.refusal(f"column {name!r} holds no numbers", expected="numbers",
                                  remedy="leave it out: name the columns to read in variables")

    def _pointed(self, values: np.ndarray) -> np.ndarray:
        """Texts with a decimal point; where the comma is decimal, points may only group thousands."""
        if self.wanted.decimal == ".":
            return values
        texts = [text.strip() for text in values]
        return np.array([(text.replace(".", "") if GROUPED.fullmatch(text) else text if "." not in text else "?"
                          ).replace(self.wanted.decimal, ".") for text in texts], dtype=object)

    def stamps(self, name: str, *, gaps: bool = False) -> np.ndarray:
        """A column as stamps, UTC; gaps (NaT) only where allowed."""
        values = self.columns[name]
        if values.dtype.kind == "O":
            texts = [None if text.strip().lower() in MISSING else text.strip() for text in values]
            parsed = pd.to_datetime(pd.Series(texts, dtype=object), format=self.wanted.time_format or "ISO8601",
                                    utc=True, errors="coerce")
            stamps = parsed.dt.tz_localize(None).to_numpy("datetime64[ns]")
            wrong = np.flatnonzero(np.isnat(stamps) & np.array([text is not None for text in texts]))
        else:
            stamps = values.astype("datetime64[ns]") if values.dtype.kind == "M" else None
            wrong = np.zeros(0, int) if stamps is not None else np.zeros(1, int)
        if len(wrong) or stamps is None:
            form = self.wanted.time_format or "2020-01-31T12:00 (ISO 8601)"
            raise self.wanted.refusal(f"{name} is {values[wrong[0]]!r}", row=int(self.lines[wrong[0]]),
                                      expected=f"a stamp as {form}",
                                      remedy="give time_format, e.g. time_format='%d/%m/%Y'")
        if not gaps and np.isnat(stamps).any():
            raise self.wanted.refusal(f"{name} is missing", row=int(self.lines[np.isnat(stamps)][0]),
                                      expected="a stamp on every row", remedy="drop the rows without one")
        return np.asarray(stamps)

    def _refuse_text(self, name: str, values: np.ndarray, blank: np.ndarray) -> None:
        pointed = self._pointed(values)
        for row in np.flatnonzero(~blank):
            try:
                float(pointed[row])
            except ValueError as wrong:
                raise self.wanted.refusal(f"{name} is {values[row]!r}", row=int(self.lines[row]),
                                          expected="a number", remedy="correct it, or name the columns to read in "
                                          "variables") from wrong
