"""The body of a push: JSON (an object, a list of them, or ``{"rows": [...]}``) or CSV with a header, as reports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping

import numpy as np

from terracast.streams.errors import ReadError
from terracast.streams.sources.rows import RowReport, Terms, report_of

JSON = "application/json"
CSV = "text/csv"


def reports_of(body: bytes, content_type: str, terms: Terms, received: np.datetime64) -> list[RowReport]:
    """All rows of a body as reports. Raises ``ReadError`` that names the first row that is wrong.

    >>> import pandas as pd
    >>> terms = Terms("air", pd.Timedelta("1h"))
    >>> body = b"time,node,no2\\n2020-01-01T00:00Z,a,1.5\\n2020-01-01T01:00Z,a,\\n"
    >>> [report.values for report in reports_of(body, CSV, terms, np.datetime64("2020-01-02"))]
    [{'no2': 1.5}, {'no2': nan}]
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal("the body is not UTF-8", "text in UTF-8", "convert it") from None
    rows = _json_rows(text) if content_type == JSON else _csv_rows(text)
    reports = [report_of(row, terms, received, f"row {number}") for number, row in enumerate(rows, start=1)]
    if not reports:
        raise _refusal("no rows", "at least one row", "send rows or nothing")
    return reports


def _json_rows(text: str) -> list[Mapping[str, object]]:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise _refusal(f"not JSON ({str(wrong)[:60]})", "a JSON list of objects", "correct the sender") from None
    if isinstance(held, dict):
        held = held["rows"] if isinstance(held.get("rows"), list) else [held]
    wrong_row = next((number for number, row in enumerate(held, 1) if not isinstance(row, dict)), 0) \
        if isinstance(held, list) else 1
    if wrong_row:
        raise _refusal(f"row {wrong_row} is no object", 'rows such as {"time": ..., "node": ..., "no2": 1.5}',
                       "correct the sender")
    return held


def _csv_rows(text: str) -> Iterable[Mapping[str, object]]:
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    rows = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) < len(header):
            raise _refusal("a column is doubled", "one column per name", "rename one of them")
        for row in reader:
            if row and len(row) != len(header):
                raise _refusal(f"line {reader.line_num} has {len(row)} fields", f"{len(header)} fields",
                               "correct the sender")
            if row:
                rows.append(dict(zip(header, row, strict=True)))
    except csv.Error as wrong:
        raise _refusal(f"not CSV ({wrong})", "a CSV table with a header", "correct the sender") from None
    return rows


def _refusal(what: str, expected: str, remedy: str) -> ReadError:
    return ReadError(what, where="body", expected=expected, remedy=remedy)
