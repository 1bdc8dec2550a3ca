"""Rows with a place of their own (events, fixes of movers) as a plain table, from every form of file they come in.

Tables come by ``streams.readers``, as those of stations do: one path, so that what is understood of a separator, a
decimal comma or a line above the header holds for every kind. ``track_forms`` reads what is no table. Nothing is
interpreted here: ``streams.kinds.columns`` says which column is what.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from terracast.streams.errors import ReadError
from terracast.streams.kinds import track_forms
from terracast.streams.readers import TABLES, TEXT, wanted_of
from terracast.streams.readers.numbers import MISSING, numbers_of
from terracast.streams.readers.pieces import PIECE, pieces
from terracast.streams.readers.table import Table, Texts
from terracast.streams.readers.text import header_of
from terracast.streams.readers.wanted import Wanted
from terracast.streams.schema.layout import layout_of
from terracast.streams.schema.profile import number_form

TRACKS: Mapping[str, Callable[[Path], pd.DataFrame]] = {".gpx": track_forms.gpx, ".plt": track_forms.plt}
JSON = (".json", ".geojson")
LAYOUT = ("encoding", "separator", "header", "first_row", "comment", "sheet", "decimal", "thousands", "missing")
HEAD = 16 << 20  # bytes of a table of text that show what it is


def is_large(path: Path) -> bool:
    """Whether a table is better read in pieces, with only the columns that are needed."""
    return path.suffix.lower() in TEXT and path.is_file() and path.stat().st_size > PIECE


def records(path: str | Path, layout: Mapping[str, Any] | None = None, *, head: bool = False,
            columns: frozenset[str] | None = None) -> pd.DataFrame:
    """The rows of a file, columns as they are called there; places of GeoJSON, GPX and GTFS are ``lat`` and ``lon``.

    Parameters
    ----------
    path : str or Path
        A table that ``streams.readers`` read, ``.gpx`` or ``.plt``.
    layout : mapping, optional
        How a table is written, by the names in ``LAYOUT``; found where it is not given.
    head : bool
        Read only the first megabytes of a table of text: enough to see what it is.
    columns : frozenset of str, optional
        Of a large table of text keep only these; it is read in pieces.

    Raises
    ------
    ReadError
        The file is not what its ending says, or holds no rows.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "thefts.csv"
    ...     _ = file.write_text("wann;Breite;Länge\\n2020-01-01 10:00;52,5;13,4\\n")
    ...     records(file).to_csv(index=False).split()
    ['wann,Breite,Länge', '2020-01-01', '10:00,52.5,13.4']
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError("no such file", where=str(path), expected="a file of rows", remedy="check the path")
    ending = path.suffix.lower()
    try:
        table = _tracks(path) if ending in TRACKS or ending in JSON else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError, ElementTree.ParseError) as wrong:
        words = " ".join(str(wrong).split())[:80]
        raise ReadError(f"the file cannot be read ({words})", where=path.name, expected=f"rows in a {ending} file",
                        remedy="fetch it again, or convert it to CSV or Parquet") from wrong
    if table is not None:
        table.attrs["tracks"] = True
    else:
        table = _headed(path, layout or {}) if head and ending in TEXT and path.stat().st_size > HEAD else \
            _in_pieces(path, layout or {}, columns) if columns is not None and is_large(path) else \
            _table(path, layout or {})
    if not len(table):
        raise ReadError("no rows", where=path.name, expected="a row or more", remedy="fetch the file again")
    return table


def _tracks(path: Path) -> pd.DataFrame | None:
    """The rows of a form of tracks; None: a table."""
    if path.suffix.lower() in TRACKS:
        return TRACKS[path.suffix.lower()](path)
    held = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(held, Mapping):
        return None
    if "entity" in held:
        return track_forms.gtfs(held)
    features = held.get("features", [held] if held.get("type") == "Feature" else [])
    if any((one.get("geometry") or {}).get("type") == "LineString" for one in features):
        return track_forms.lines(features)
    return None


def _headed(path: Path, layout: Mapping[str, Any]) -> pd.DataFrame:
    """The first rows of a large table."""
    with tempfile.TemporaryDirectory() as folder, path.open("rb") as file:
        begin = Path(folder) / path.name
        data = file.read(HEAD)
        begin.write_bytes(data[: data.rfind(b"\n") + 1])
        return _table(begin, layout)


def _in_pieces(path: Path, layout: Mapping[str, Any], columns: frozenset[str]) -> pd.DataFrame:
    """Some columns of a large table; texts are held once each."""
    given = {name: value for name, value in layout.items() if name in LAYOUT and value not in (None, ())}
    found = {**layout_of(path, given).options, **given}
    first = header_of(path, wanted_of(path, domain="rows", **found))[1]
    parts: list[pd.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / path.name
        for data, _ in pieces(path, first, whole_lines=False):
            piece.write_bytes(data)
            whole = _table(piece, found)
            parts.append(whole[[name for name in whole.columns if name in columns]].copy())
    return pd.concat(parts, ignore_index=True)


def _table(path: Path, layout: Mapping[str, Any]) -> pd.DataFrame:
    """A table by the reader of its ending, its columns as numbers where all texts are some."""
    ending = path.suffix.lower()
    given = {name: value for name, value in layout.items() if name in LAYOUT and value not in (None, ())}
    found = {**(layout_of(path, given).options if ending in TEXT else {}), **given}
    wanted = wanted_of(path, domain="rows", **found)
    table = TABLES[ending](path, wanted)
    if ending in TEXT and not {"decimal", "thousands"} & set(given):
        texts = {name: [str(word).strip() for word in held.words] for name, held in table.columns.items()
                 if isinstance(held, Texts)}
        form = number_form(texts, str(found.get("separator") or ""))
        wanted = wanted_of(path, domain="rows", **found, decimal=form.decimal, thousands=form.thousands or None)
    return pd.DataFrame({name: _column(table, name, wanted) for name in table.columns})


def _column(table: Table, name: str, wanted: Wanted) -> np.ndarray | pd.Series:
    """A column as numbers, whole ones as such, as stamps, or as texts (None: nothing is said)."""
    held = table.columns[name]
    if not isinstance(held, Texts):
        if held.dtype.kind == "M":
            return pd.Series(held).dt.tz_localize("UTC") if name in table.in_utc else held
        return _whole(held)
    said = np.array([str(word).strip().lower() not in MISSING for word in held.words], bool)
    numbers, wrong = numbers_of(held.words, name, wanted)
    if said.any() and not wrong.any():
        return _whole(numbers[held.codes])
    words = np.array([str(word).strip() if told else None for word, told in zip(held.words, said, strict=True)], object)
    return np.asarray(words[held.codes])


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Numbers without a point where none needs it: a name such as 338000001 stays what it is."""
    if numbers.dtype.kind == "f" and len(numbers) and bool(np.isfinite(numbers).all()) and bool(
            (numbers == np.rint(numbers)).all()) and bool((np.abs(numbers) < 2**53).all()):
        return numbers.astype(np.int64)
    return numbers
