"""Sheets of a workbook (xlsx, xls, xlsb, ods) as tables; calamine reads the cells."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np

from terracast.streams.readers.rows_that_are_none import observations_of
from terracast.streams.readers.table import Column, Table, Texts, once_each
from terracast.streams.readers.text import joined
from terracast.streams.readers.wanted import Wanted


def read_spreadsheet(path: Path, wanted: Wanted) -> Table:
    """Read the sheet named (default: the first). Raises ``ReadError``."""
    cells = cells_of(path, wanted)
    at = 1 if wanted.header is None else wanted.header
    if len(cells) < max(at, 1):
        raise wanted.refusal("no rows", expected="a header and rows", remedy="name the line of the header (--header)")
    first = wanted.first_row or at + wanted.header_rows
    width = max(len(row) for row in cells)
    head = cells[at - 1] if at else []
    for lower in cells[at:at + wanted.header_rows - 1] if at else ():
        head = joined(head, lower)
    names = [str(text).strip() or f"column {number}" for number, text in enumerate([*head, *[""] * width][:width], 1)]
    names = once_each(wanted.named(names))
    lines = [line for line in range(first - 1, len(cells)) if any(cells[line])]
    if not lines:
        raise wanted.refusal("no rows", expected="a header and rows", remedy="fetch the file again")
    columns: dict[str, Column] = {name: Texts.of(np.array([_cell(cells[line], at) for line in lines], dtype=object))
                                  for at, name in enumerate(names)}
    return observations_of(Table(columns, len(lines), wanted, lambda row: lines[row] + 1), names)


def cells_of(path: Path, wanted: Wanted) -> list[list[str]]:
    """All cells of the sheet as texts, stamps in ISO form. Raises ``ReadError``."""
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(path)
        if wanted.sheet is not None and wanted.sheet not in book.sheet_names:
            raise wanted.refusal(f"no sheet {wanted.sheet!r}", expected="one of " + ", ".join(book.sheet_names),
                                 remedy="name one of them (--sheet)")
        sheet = book.get_sheet_by_name(wanted.sheet or book.sheet_names[0])
        return [[_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
    except (python_calamine.CalamineError, zipfile.BadZipFile, OSError, IndexError, ValueError) as wrong:
        raise wanted.refusal(f"not a sound workbook ({str(wrong)[:80]})", expected="an xlsx, xls, xlsb or ods file",
                             remedy="fetch it again, or save it as xlsx") from wrong


def sheets_of(path: Path) -> list[str]:
    """Names of the sheets of a workbook."""
    import python_calamine

    try:
        return list(python_calamine.CalamineWorkbook.from_path(path).sheet_names)
    except python_calamine.CalamineError:
        return []  # which reading tells


def _cell(row: list[str], at: int) -> str:
    return row[at] if at < len(row) else ""


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):  # cells of dates are midnights
        return cell.isoformat(timespec="seconds").removesuffix("T00:00:00")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)
