"""The body of a push as reports: JSON or a table of text, in the forms that files have."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from terracast.streams.errors import ReadError
from terracast.streams.readers.records import rows_of_json
from terracast.streams.readers.rows_that_are_none import NO_OBSERVATIONS
from terracast.streams.readers.text import read_text
from terracast.streams.sources.reports import Arrival, reports_of_rows
from terracast.streams.sources.rows import RowReport, Terms

JSON = "application/json"
CSV = "text/csv"


def reports_of(body: bytes, content_type: str, terms: Terms, received: np.datetime64) -> list[RowReport]:
    r"""All rows of a body as reports. Raises ``ReadError`` that names the first row that is wrong.

    >>> import pandas as pd
    >>> terms = Terms("air", pd.Timedelta("1h"))
    >>> body = b"time,node,no2\n2020-01-01T00:00Z,a,1.5\n2020-01-01T01:00Z,a,\n"
    >>> [report.values for report in reports_of(body, CSV, terms, np.datetime64("2020-01-02"))]
    [{'no2': 1.5}, {'no2': nan}]
    """
    encoding = terms.wanted.encoding
    try:
        text = body.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise _refusal(f"the body is not {encoding.upper().removesuffix('-SIG')}", "text in that encoding",
                       "convert it, or name its encoding in [[sources]]") from None
    rows = _json_rows(text) if content_type == JSON else _table_rows(body, terms)
    arrivals = [Arrival(row, received, f"row {number}") for number, row in enumerate(rows, start=1)]
    if not arrivals:
        raise _refusal("no rows", "at least one row", "send rows or nothing")
    reports, faults = reports_of_rows(arrivals, terms)
    if faults:
        raise faults[0]
    return reports


def _json_rows(text: str) -> list[dict[str, object]]:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise _refusal(f"not JSON ({str(wrong)[:60]})", "a JSON list of objects", "correct the sender") from None
    wrong_row = next((number for number, row in enumerate(held, 1) if not isinstance(row, dict | list)), 0) \
        if isinstance(held, list) else 0 if isinstance(held, dict) else 1
    if wrong_row:
        raise _refusal(f"row {wrong_row} is no object", 'rows such as {"time": ..., "node": ..., "no2": 1.5}',
                       "correct the sender")
    return rows_of_json(held)


def _table_rows(body: bytes, terms: Terms) -> Iterable[Mapping[str, object]]:
    """Rows of a table of text, read as one in a file; a line that is no row is refused, not left out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.csv"
        path.write_bytes(body)
        table = read_text(path, replace(terms.wanted, where="body", names={}), texts=True)
    lost = {why: count for why, count in table.rejected.items() if why not in NO_OBSERVATIONS}
    if lost:
        raise _refusal(f"{sum(lost.values())} lines are no rows ({', '.join(lost)})", "as many fields as the header",
                       "correct the sender")
    names = list(table.columns)
    texts = [table.texts(name) for name in names]
    return (dict(zip(names, map(str, row), strict=True))
            for row in zip(*(one.words[one.codes] for one in texts), strict=True))


def _refusal(what: str, expected: str, remedy: str) -> ReadError:
    return ReadError(what, where="body", expected=expected, remedy=remedy)
