"""CSV and its kin as tables, read by pyarrow: numbers at once, texts each once; lines that are no rows are counted."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from terracast.streams.errors import ReadError
from terracast.streams.readers.numbers import MISSING
from terracast.streams.readers.rows_that_are_none import REMARK, observations_of
from terracast.streams.readers.table import PLAIN_NAMES, Column, Table, Texts, once_each
from terracast.streams.readers.wanted import CONTRADICTORY, Wanted, as_number

SPACES = " "  # the separator of columns that one or more spaces part
MOST_REMARKS = 40  # lines below a table
FIELDS = "fields missing or too many"
BLOCK = 4 << 20  # bytes read at once
WORDS = sorted({form(word) for word in MISSING for form in (str, str.upper, str.title)} | {"N/a", "NaN", "NaT"})


def read_text(path: Path, wanted: Wanted, *, texts: bool = False) -> Table:
    """Read a table of text, with ``texts`` all columns as such. Raises ``ReadError``."""
    names, first = header_of(path, wanted)
    names = once_each(wanted.named(names))
    bad: list[tuple[str, int]] = []
    numeric = () if texts else _numeric(names, wanted)
    try:
        rows = _read(path, wanted, names, first, numeric, bad)
    except pa.ArrowInvalid as wrong:
        if "Could not skip" in str(wrong):
            raise wanted.refusal("no rows", expected="a header and rows", remedy="fetch the file again") from wrong
        if "conversion error" not in str(wrong) or not numeric:
            raise _no_table(wanted, str(wrong)) from wrong
        try:
            rows = _read(path, wanted, names, first, (), bad)
        except pa.ArrowInvalid as again:
            raise _no_table(wanted, str(again)) from again
    except (UnicodeError, pa.ArrowException) as wrong:
        raise _no_table(wanted, str(wrong)) from wrong
    if not rows.num_rows and not bad:
        raise wanted.refusal("no rows", expected="a header and rows", remedy="fetch the file again")
    below = _remarks_below(path, wanted, bad, len(names))
    if len(bad) - below > CONTRADICTORY * (rows.num_rows + len(bad)) or (
            not below and _is_cut(path, wanted, bad, len(names))):
        line = next((line for line, count in _lines(path, wanted, first) if count != len(names)), None)  # it may grow
        raise wanted.refusal(f"{bad[0][1]} fields", row=line, expected=f"{len(names)} fields",
                             remedy="fetch the file again if it was cut, correct the line, or name the line of the "
                                    "header (--header)")
    columns = {name: _column(rows.column(at)) for at, name in enumerate(names)}
    lost = +Counter({FIELDS: len(bad) - below, REMARK: below})
    return observations_of(with_parted_columns(Table(
        columns, rows.num_rows, wanted, lambda row: _line(path, wanted, first, len(names), row), rejected=lost)), names)


def _remarks_below(path: Path, wanted: Wanted, bad: list[tuple[str, int]], fields: int) -> int:
    """How many lines at the end of a file are remarks: few, shorter than a row, and not one row that was cut."""
    if not bad or bad[-1][1] >= fields or (len(bad) == 1 and bad[-1][1] > max(1, fields // 2)):
        return 0
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, BLOCK), io.SEEK_END)
        lines = [line.strip() for line in file.read().decode(wanted.encoding, errors="ignore").splitlines()]
    held, count = [line for line in lines if line], 0
    for text, _ in reversed(bad):
        if count == MOST_REMARKS or len(held) <= count or " ".join(held[-1 - count].split()) != " ".join(text.split()):
            break
        count += 1
    cut = count == 1 and re.match(r"\s*[\"']?\d", bad[-1][0])
    return 0 if cut else count


def with_parted_columns(table: Table) -> Table:
    """A column such as ``freq,unit,geo\\time`` (Eurostat) as one per name; the last one is said across."""
    parted = next((name for name in table.columns if "\\" in name and "," in name), None)
    if parted is None or not isinstance(table.columns[parted], Texts):
        return table
    names = [name.strip() for name in parted.partition("\\")[0].split(",")]
    texts = table.texts(parted)
    words = [[*str(word).split(","), *[""] * len(names)][:len(names)] for word in texts.words]
    found: dict[str, Column] = {
        name: Texts(np.array([word[at].strip() for word in words], dtype=object), texts.codes)
        for at, name in enumerate(names)}
    return replace(table, columns={**found, **{name: one for name, one in table.columns.items() if name != parted}})


def _is_cut(path: Path, wanted: Wanted, bad: list[tuple[str, int]], fields: int) -> bool:
    """Whether the last line of the file is one of the bad ones and too short."""
    text = bad[-1][0] if bad else ""
    remark = not re.match(r"\s*[\"']?\d", text) and bad and bad[-1][1] == 1  # such as "End of report"
    if not bad or bad[-1][1] >= fields or remark:
        return False
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, BLOCK), io.SEEK_END)
        end = file.read().decode(wanted.encoding, errors="ignore")
    return end.rstrip("\r\n").endswith(bad[-1][0].rstrip("\r\n"))


def header_of(path: Path, wanted: Wanted) -> tuple[list[str], int]:
    """Names of the columns, and the line of the first row. A column without a name is called by its number."""
    try:
        with path.open(encoding=wanted.encoding, newline="") as file:
            at = 1 if wanted.header is None else wanted.header
            for _ in range(max(at, wanted.first_row or 1) - 1 if not at else at - 1):
                file.readline()
            begin = file.readline()
            begin = begin.removeprefix(wanted.comment) if wanted.comment and at else begin
            if wanted.separator == SPACES:
                fields, lines = begin.split(), 1
            else:
                reader = csv.reader(_from(begin, file), delimiter=separator_of(begin, wanted), strict=True)
                fields = next(reader, [])
                for _ in range(wanted.header_rows - 1 if at else 0):
                    fields = joined(fields, next(reader, []))
                lines = reader.line_num
    except (UnicodeError, csv.Error) as wrong:
        raise _no_table(wanted, str(wrong)) from wrong
    except LookupError as wrong:
        raise wanted.refusal(f"encoding is {wanted.encoding!r}", expected="a name such as 'latin-1'",
                             remedy="give another encoding") from wrong
    if at == 0:
        return [f"column {number}" for number in range(1, len(fields) + 1)], wanted.first_row or 1
    names = [name.strip() or f"column {number}" for number, name in enumerate(fields, 1)]
    return names, wanted.first_row or at + lines


def joined(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """Two lines of a header as one; what stands over several columns is written over the first of them only.

    >>> joined(["", "North", "", "South"], ["time", "no2", "o3", "no2"])
    ['time', 'North | no2', 'North | o3', 'South | no2']
    """
    held, over = "", []
    for name in upper:
        held = name.strip() or held
        over.append(held)
    over += [held] * (len(lower) - len(over))
    below = [name.strip() for name in lower] + [""] * (len(over) - len(lower))
    return [f"{one} | {other}" if one and other and one != other else one or other
            for one, other in zip(over, below, strict=True)]


def separator_of(line: str, wanted: Wanted) -> str:
    """The separator given, or the commonest sign in a line that may be one."""
    return wanted.separator or max(",;\t", key=line.count)


def _from(begin: str, file: Iterable[str]) -> Iterator[str]:
    yield begin
    yield from file


def _numeric(names: list[str], wanted: Wanted) -> tuple[str, ...]:
    """Columns that should hold numbers which can be read as they stand."""
    if wanted.thousands is not None or wanted.below_limit is not None or wanted.decimal == "," or wanted.across \
            or wanted.suffix:
        return ()
    given = [one for axis in (wanted.time, wanted.node) for one in (axis if isinstance(axis, tuple) else (axis,))]
    plain = {name for axis, held in PLAIN_NAMES.items() for name in held
             if getattr(wanted, axis) is None and axis in ("time", "node")}
    flags = (rule.partition("=")[0].rpartition(":")[2].strip() for rule in wanted.valid)
    aside = {*given, *wanted.facts, wanted.known_time, wanted.variable, *flags}
    if wanted.variable is not None:
        return tuple(name for name in names if name in (wanted.value, wanted.lat, wanted.lon))
    chosen = None if wanted.variables is None else {*wanted.variables, *PLAIN_NAMES["lat"], *PLAIN_NAMES["lon"],
                                                    wanted.lat, wanted.lon}
    return tuple(name for name in names if name not in aside and name.lower() not in plain
                 and (chosen is None or name in chosen or name.lower() in chosen))


def _read(path: Path, wanted: Wanted, names: list[str], first: int, numeric: tuple[str, ...],
          bad: list[tuple[str, int]]) -> pa.Table:
    def invalid(row: arrow_csv.InvalidRow) -> str:
        if not (wanted.comment and row.text.startswith(wanted.comment)) and row.text.strip():
            bad.append((row.text, row.actual_columns))
        return "skip"

    bad.clear()
    source: str | io.BytesIO = str(path)
    with path.open("rb") as file:
        begin = file.read(BLOCK)
    delimiter = separator_of(_first_line(path, wanted), wanted)
    encoding = wanted.encoding
    if wanted.separator == SPACES:
        text = path.read_text(encoding=encoding)
        source = io.BytesIO("\n".join(" ".join(_without_remark(line.split(), len(names)))
                                      for line in text.splitlines()).encode())
        encoding = "utf8"
    types = {name: pa.float64() if name in numeric else pa.dictionary(pa.int32(), pa.string()) for name in names}
    absent = [word for word in wanted.missing if "=" not in word and as_number(word) is None]
    return arrow_csv.read_csv(
        source, arrow_csv.ReadOptions(column_names=names, skip_rows=first - 1, block_size=BLOCK,
                                      encoding="utf8" if encoding == "utf-8-sig" else encoding),
        arrow_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=invalid,
                               newlines_in_values=b'"' in begin),
        arrow_csv.ConvertOptions(column_types=types, null_values=[*WORDS, *absent], strings_can_be_null=False,
                                 check_utf8=True))


def _without_remark(fields: list[str], count: int) -> list[str]:
    """The fields of a row without a remark behind them, such as ``Provisional``.

    >>> _without_remark(["2024", "1", "7.5", "Provisional"], 3)
    ['2024', '1', '7.5']
    """
    return fields[:count] if len(fields) > count and all(map(str.isalpha, fields[count:])) else fields


def _first_line(path: Path, wanted: Wanted) -> str:
    with path.open(encoding=wanted.encoding, newline="") as file:
        for _ in range((wanted.header or wanted.first_row or 1) - 1):
            file.readline()
        return file.readline()


def _column(column: pa.ChunkedArray) -> Column:
    if pa.types.is_dictionary(column.type):
        whole = column.unify_dictionaries().combine_chunks()
        if isinstance(whole, pa.ChunkedArray):  # no rows
            return Texts(np.zeros(0, object), np.zeros(0, np.int32))
        return Texts(np.array(whole.dictionary.to_pylist(), dtype=object), whole.indices.to_numpy())
    return np.asarray(column.to_numpy())


def _lines(path: Path, wanted: Wanted, first: int) -> Iterator[tuple[int, int]]:
    """Line and number of fields of each row of the file, slowly: only where something is to be told."""
    begin = _first_line(path, wanted)
    with path.open(encoding=wanted.encoding, newline="") as file:
        for _ in range(first - 1):
            file.readline()
        if wanted.separator == SPACES:
            yield from ((at, len(line.split())) for at, line in enumerate(file, first) if line.strip())
            return
        reader = csv.reader(file, delimiter=separator_of(begin, wanted))
        yield from ((first - 1 + reader.line_num, len(row)) for row in reader
                    if row and not (wanted.comment and row[0].startswith(wanted.comment)))


def _line(path: Path, wanted: Wanted, first: int, fields: int, row: int) -> int:
    whole = (line for line, count in _lines(path, wanted, first) if count == fields)
    return next((line for at, line in enumerate(whole) if at == row), 0)


def _no_table(wanted: Wanted, why: str) -> ReadError:
    said = re.sub(r"\s+", " ", why)[:120]
    return wanted.refusal(f"not a text table ({said})", expected=f"a CSV file in {wanted.encoding}",
                          remedy="fetch it again, or give its encoding, e.g. --encoding latin-1")
