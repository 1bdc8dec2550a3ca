"""How a table is written: encoding, separator, the line of the header, rows of units below it, and comment lines."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terracast.streams.readers.numbers import MISSING
from terracast.streams.readers.text import joined
from terracast.streams.unit_names import is_unit
from terracast.streams.vocabulary import named

HEAD = 1 << 20  # bytes from which the layout is found
SAMPLE = 200  # lines that clevercsv sees
MOST_REMARKS = 40  # lines above an empty one
MOST_BELOW = 12  # lines between a header and the first row, at most
MOST_SKIPPED = 200  # lines above a header, at most
MARKS = ("#", "%", "//", "!", "*", ";", '"#')
SEPARATORS = (",", ";", "\t", "|", " ")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"))
WESTERN = frozenset("µ°²³¹§±·×÷½¼¾€£«»ª¡¿’‘“”–—…•®©\u00a0ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝß"
                    "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽž")
NUMBER = re.compile(r"\s*[<>]?\s*[+-]?[\d.,'\u2019\u00a0\u202f ]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*%?\s*")
STAMP = re.compile(r"\s*\d{1,4}\s?[-/.:年]\s?(?:\d{1,2}|[^\W\d_]{3,9}\.?)(?:[-/.:月\sT年]|$).*|\s*\d{8}T?\d{0,6}Z?\s*|"
                   r"\s*\d{4}-?[WQ]\d.*|\s*[^\W\d_]{3,9}\.?[-/ ]\d{1,4}\b.*\d.*")
WIDE_GAP = re.compile(r"\S {2,}\S")  # between two columns of fixed width
FORMAT_ROW = re.compile(r"\d+[sdnf]")
UNITS = named("units")
TIMES = named("time") | named("year") | named("month")
KINDS_OF_VALUES = named("kind_of_value")


@dataclass(frozen=True)
class TextLayout:
    """What of ``read``'s options the layout decides, why, the texts of a row of units, and what a row below the header
    says that all columns measure."""

    options: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    quantity: str = ""


def layout_of(path: Path, given: Mapping[str, Any]) -> TextLayout:
    """The layout of a text table; what is ``given`` is not looked for."""
    raw = path.open("rb").read(HEAD)
    options: dict[str, Any] = {}
    why: dict[str, str] = {}
    encoding, reason = (given["encoding"], "") if "encoding" in given else encoding_of(path, raw)
    if encoding != "utf-8-sig":
        options["encoding"], why["encoding"] = encoding, reason
    lines = raw.decode(encoding, errors="replace").splitlines()
    if len(raw) == HEAD:
        lines = lines[:-1]
    mark = given.get("comment") or _comment(lines)
    if mark and "comment" not in given:
        options["comment"], why["comment"] = mark, "lines that begin with it are no rows"
    separator = given.get("separator") or separator_of(lines, mark)
    rows = split(lines, separator, mark)
    if separator == " ":
        rows = _units_to_the_right(rows)
    found = rows_layout(rows, given)
    if mark and found.options.get("header") == 0:  # perhaps the header is marked as a comment, too
        found = rows_layout(_with_marked_header(lines, rows, separator, mark), given)
    options |= found.options
    why |= found.why
    plain = max(",;\t", key=lines[max(options.get("header", 1), 1) - 1].count) if lines else ","
    if separator and separator != plain and "separator" not in given:
        options["separator"] = separator
        why["separator"] = {"\t": "tabs part the fields", " ": "spaces part the fields"}.get(
            separator, "it parts the fields")
    top = options.get("header") or options.get("first_row") or 1
    above = tuple(line.removeprefix(mark) for line in lines[:top - 1])
    return TextLayout(options, why, found.units, above, found.quantity)


def encoding_of(path: Path, raw: bytes) -> tuple[str, str]:
    """The encoding of a file and what shows it: a byte order mark, sound UTF-8, or what charset-normalizer finds."""
    for mark, name in BOMS:
        if raw.startswith(mark):
            return name, "the file begins with its byte order mark"
    pairs = raw[:4000]
    if len(pairs) > 20 and pairs.count(b"\0") > len(pairs) // 4:
        return ("utf-16-le" if pairs[1::2].count(b"\0") > pairs[::2].count(b"\0") else "utf-16-be",
                "every other byte is zero")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(HEAD):
                decoder.decode(block)
        return "utf-8-sig", ""
    except UnicodeDecodeError:
        pass
    odd = b"\n".join(line for line in raw.splitlines() if any(byte > 127 for byte in line)) or raw
    western = odd.decode("cp1252", errors="replace")
    if {sign for sign in western if ord(sign) > 127} <= WESTERN:
        latin = all(not 0x80 <= byte < 0xA0 for byte in odd)
        return "latin-1" if latin else "cp1252", "it is no UTF-8; its signs are those of Western Europe"
    from charset_normalizer import from_bytes

    told = {run for run in re.split(rb"[\x00-\x2f:;<=>?|\r\n\t]+", odd) if any(byte > 127 for byte in run)}
    best = from_bytes(b" ".join(sorted(told))[:20_000]).best()
    return (best.encoding if best else "latin-1"), "it is no UTF-8; charset-normalizer finds this"


def _comment(lines: Sequence[str]) -> str:
    """How comment lines begin: a mark on the first line (or lines) that most lines do not have."""
    for mark in MARKS:
        marked = [line.startswith(mark) for line in lines]
        if marked and marked[0] and sum(marked) < len(lines) / 2:
            return mark
    return ""


def separator_of(lines: Sequence[str], mark: str) -> str:
    """What parts the fields, as clevercsv finds it in the lower lines; "" where there is one column."""
    import clevercsv

    told = [line for line in lines if line.strip() and not (mark and line.startswith(mark))]
    lower = told[len(told) // 3:] if len(told) > 30 else told[-max(1, 2 * len(told) // 3):]
    sample = lower[:SAMPLE]
    widths = {sign: _even_width(sample, sign) for sign in SEPARATORS if sign != " "}
    plain = max(widths, key=lambda sign: widths[sign])
    found = clevercsv.Detector().detect("\n".join(line[:2000] for line in sample))
    delimiter = found.delimiter if found is not None else ""
    if delimiter in SEPARATORS and delimiter != " ":
        return str(delimiter)
    if widths[plain] > 1:
        return plain
    return " " if (delimiter == " " or any(map(WIDE_GAP.search, sample))) and _even_width(
        [" ".join(line.split()) for line in sample], " ") > 1 else ""


def _even_width(lines: Sequence[str], sign: str) -> int:
    """Fields of a line where nearly all lines have as many, else 1."""
    counts = Counter(len(row) for row in csv.reader(lines, delimiter=sign))
    if not counts:
        return 1
    width, often = counts.most_common(1)[0]
    return width if often >= 0.9 * sum(counts.values()) else 1


def split(lines: Sequence[str], separator: str, mark: str) -> list[list[str] | None]:
    """The fields of each line; None for a comment."""
    if separator == " ":
        return [None if mark and line.startswith(mark) else line.split() for line in lines]
    rows: list[list[str] | None] = []
    for line in lines:
        if mark and line.startswith(mark):
            rows.append(None)
        else:
            rows.append(next(csv.reader([line], delimiter=separator or ","), []))
    return rows


def _units_to_the_right(rows: list[list[str] | None]) -> list[list[str] | None]:
    """Lines of units that are shorter than a row stand below its last columns: the first ones are parts of a stamp."""
    width = Counter(len(row) for row in rows if row).most_common(1)[0][0] if any(rows) else 0
    return [[""] * (width - len(row)) + row if row and 1 < len(row) < width and all(map(is_unit, row))
            else row for row in rows]


def _with_marked_header(lines: Sequence[str], rows: list[list[str] | None], separator: str,
                        mark: str) -> list[list[str] | None]:
    """The rows with the comment lines right above the first one, where they have as many fields; empty ones between."""
    first = next((at for at, row in enumerate(rows) if row), 0)
    width = len(rows[first] or [])
    for at in range(first - 1, -1, -1):
        bare = lines[at].removeprefix(mark)
        if not bare.strip():
            continue
        fields = split([bare], separator, "")[0]
        if fields is None or len(fields) != width:
            break
        rows[at] = fields
    return rows


def rows_layout(rows: Sequence[Sequence[str] | None], given: Mapping[str, Any]) -> TextLayout:
    """The line of the header and of the first row, and the texts of a row of units.

    The header is the first line after which rows have its number of fields; above it are titles and remarks.
    """
    full = [(at, row) for at, row in enumerate(rows) if row and any(field.strip() for field in row)]
    if not full:
        return TextLayout()
    lower = full[len(full) // 3:] if len(full) > 6 else full[1:] or full
    width = Counter(len(row) for _, row in lower).most_common(1)[0][0]
    data = [row for _, row in lower if len(row) == width][-SAMPLE:]
    typed = [sum(is_typed(row[column]) for row in data) > 0.3 * len(data) for column in range(width)]
    if "header" in given:
        at = int(given["header"]) - 1
        header = list(rows[at] or []) if at >= 0 else None
    else:
        at, header = _header(full, width, typed, data)
    begin = next((place for place, (line, _) in enumerate(full) if line > at), len(full))
    below = [(line, row) for line, row in full[begin:begin + MOST_BELOW]]
    extra = _below_header(below, header, width, typed)
    better = _better_header(header, extra)
    if better and "header" not in given:
        at, header, begin = below[better - 1][0], list(extra[better - 1]), begin + better
        below, extra = below[better:], extra[better:]
    first = below[len(extra)][0] if len(below) > len(extra) else at + 1
    above = tuple(" ".join(row).strip() for line, row in full if line < at)
    if header is None:
        options: dict[str, Any] = {"header": 0} | ({"first_row": first + 1} if first > 0 else {})
        told = {"header": "the first line holds values", "first_row": "the first line that is a row"}
        return TextLayout(options, told, (), tuple(
            " ".join(row).strip() for line, row in full if line < first))
    return _with_header(at, header, width, extra, first, above, "header" in given)


def _better_header(header: Sequence[str] | None, extra: Sequence[Sequence[str]]) -> int:
    """Which line below a header of running numbers names the columns, from 1; 0: the header does."""
    if header is None or len(extra) < 2 or not all(text.strip().isdigit() for text in header[1:]):
        return 0
    return next((place for place, row in enumerate(extra, 1) if all(row) and len(set(row)) == len(row)), 0)


def _below_header(below: Sequence[tuple[int, Sequence[str]]], header: Sequence[str] | None, width: int,
                  typed: Sequence[bool]) -> list[Sequence[str]]:
    """Lines below a header that hold no values: units, formats, or a second line of names."""
    extra: list[Sequence[str]] = []
    for _, row in below:
        if header is None or len(row) > width or any(is_typed(text) for text in row) or not any(typed):
            break
        extra.append([text.strip() for text in row])
    return extra


def _with_header(at: int, header: Sequence[str], width: int, extra: Sequence[Sequence[str]], first: int,
                 above: tuple[str, ...], given: bool) -> TextLayout:
    """The options of a table with a header."""
    options: dict[str, Any] = {}
    why: dict[str, str] = {}
    if at > 0 and not given:
        options["header"] = at + 1
        why["header"] = f"the first line after which rows have its {width} fields; the {at} above it are no rows"
    double = bool(extra) and not _says_units(extra[0]) and _spans(header, extra[0])
    if double:
        options["header_rows"] = 2
        why["header_rows"] = "names of the first line stand over several of the second"
    told = [tuple(row) for row in extra[double:] if not _says_formats(row)]
    fit = [row for row in told if _says_units(row[1:])]
    fit.sort(key=lambda row: row[0].lower() not in UNITS)
    units = fit[0] if fit else told[0] if len(told) == 1 else ()
    quantity = next((row[1] for row in told if row != units and len(set(row[1:])) == 1 and len(row) > 2), "")
    if len(extra) > double:
        options["first_row"] = first + 1
        why["first_row"] = "the line" + ("s" if len(extra) > 1 else "") + " below the header hold" + \
            ("" if len(extra) > 1 else "s") + (" units" if units else " formats")
    return TextLayout(options, why, units, above, quantity)


def _says_formats(row: Sequence[str]) -> bool:
    return all(not text or FORMAT_ROW.fullmatch(text) or text.lower() in KINDS_OF_VALUES for text in row)


def _says_units(row: Sequence[str]) -> bool:
    """Whether a line holds units (perhaps each behind the name of its quantity) or formats."""
    told = [text.strip("[]() ") for text in row if text]
    return _says_formats(row) or sum(is_unit(text) or is_unit(text.split()[-1]) for text in told if text) \
        >= 0.5 * len(told)


def _spans(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether names of one line stand over several of the next, so that both together name a column."""
    names = joined(upper, lower)
    over = [name.partition(" | ")[0] for name in names if " | " in name]
    return len(over) > 1 and len(set(over)) < len(over) and len(set(names)) == len(names)


def _header(full: Sequence[tuple[int, Sequence[str]]], width: int, typed: Sequence[bool],
            data: Sequence[Sequence[str]]) -> tuple[int, list[str] | None]:
    """The line (from 0) of the header and its fields; the line before the first row and None where there is none."""
    begin = _after_gap(full, width)
    for place, (at, row) in enumerate(full[:MOST_SKIPPED]):
        if place < begin:
            continue
        after = [len(other) for _, other in full[place + 1:place + 21]]
        same = sum(count == width for count in after)
        if len(row) != width or (after and same < 0.5 * len(after)):
            continue
        if after and len(full) > place + 1 and len(full[place + 1][1]) != width and width == 1:
            continue
        texts = [field.strip() for field in row]
        if _is_remark(texts) and _fuller_comes(full, place, texts):
            continue
        if any(is_typed(text) for text, number in zip(texts, typed, strict=True) if number) \
                and not _names(texts, typed, [other for other in data if other is not row] or data):
            return at - 1, None
        if _names_come_later(full, place, width):
            continue
        return at, texts
    return -1, None


def _is_remark(texts: Sequence[str]) -> bool:
    """Whether a line is a title, or a word and its value, with the separators that a spreadsheet leaves behind it."""
    filled = [place for place, text in enumerate(texts) if text]
    return filled in ([0], [0, 1]) and len(texts) > len(filled) + 1 and not is_typed(texts[0])


def _fuller_comes(full: Sequence[tuple[int, Sequence[str]]], place: int, texts: Sequence[str]) -> bool:
    """Whether the next line that is no remark could be the header: it names more columns than a remark at ``place``,
    the first of them, too, and does not begin with a value."""
    for _, row in full[place + 1:place + 1 + MOST_REMARKS]:
        told = [text.strip() for text in row]
        if _is_remark(told):
            continue
        return bool(told[0]) and sum(map(bool, told)) > sum(map(bool, texts)) and not is_typed(told[0])
    return False


def _names_come_later(full: Sequence[tuple[int, Sequence[str]]], place: int, width: int) -> bool:
    """Whether a line of as many fields is prose: one below it, and above the values, names more parts of a stamp."""
    def parts(row: Sequence[str]) -> int:
        return sum(field.strip().lower() in TIMES for field in row)

    for _, row in full[place + 1:place + MOST_BELOW]:
        if any(map(is_typed, row)):
            return False
        if len(row) == width and parts(row) > parts(full[place][1]) and not _spans(full[place][1], row):
            return True
    return False


def _after_gap(full: Sequence[tuple[int, Sequence[str]]], width: int) -> int:
    """The place of a line of names right below an empty line and above values; above it are remarks, perhaps of as many
    fields, such as ``Station;Hof``. 0 where there is none."""
    for place in range(1, min(MOST_REMARKS, len(full) - 1)):
        (before, _), (at, row), (_, below) = full[place - 1:place + 2]
        if at > before + 1 and len(row) == width and not any(map(is_typed, row)) and any(map(is_typed, below)):
            return place
    return 0


def _kind_of(text: str) -> str:
    text = text.strip()
    if STAMP.fullmatch(text) and len(re.findall(r"\d[-/.:]", text)) > 1:
        return "stamp"  # and no number, as 01.03.2024 could be
    return "none" if text.lower() in MISSING else "number" if NUMBER.fullmatch(text) else \
        "stamp" if STAMP.fullmatch(text) else "word"


def _names(texts: Sequence[str], typed: Sequence[bool], data: Sequence[Sequence[str]]) -> bool:
    """Whether a line that holds numbers is one of names all the same: most are other things than their columns hold, or
    they are codes that are no values of their columns."""
    kinds = [(_kind_of(text), Counter(_kind_of(row[column]) for row in data).most_common(1)[0][0])
             for column, (text, number) in enumerate(zip(texts, typed, strict=True)) if number]
    other = sum(mine not in ("none", usual) for mine, usual in kinds)
    if other > 0.5 * len(kinds):
        return True
    numbers = [(text, [row[column] for row in data]) for column, (text, number) in enumerate(
        zip(texts, typed, strict=True)) if number and is_typed(text)]
    words = [text for text, number in zip(texts, typed, strict=True) if number and text and not is_typed(text)]
    if words and all(text.isdigit() or STAMP.fullmatch(text) is None for text, _ in numbers) \
            and not all(_kind_of(text) == "none" for text in words):
        return True  # a text where the others hold numbers or stamps
    if len(set(texts)) < len(texts) or not all(text.isdigit() for text, _ in numbers):
        return False
    sequence = [int(text) for text, _ in numbers]
    if len(sequence) > 1 and sequence[0] in (0, 1) and sequence == list(range(sequence[0], sequence[-1] + 1)):
        return True
    outside = 0
    for text, values in numbers:
        known = [float(value) for value in values if re.fullmatch(r"-?\d+(\.\d+)?", value.strip())]
        outside += bool(known) and not min(known) <= float(text) <= max(known)
    return len(numbers) > 0 and outside >= 0.9 * len(numbers)


def is_typed(text: str) -> bool:
    """Whether a text is a number or looks like a stamp.

    >>> is_typed("1,5"), is_typed("01.02.2024 13:00"), is_typed("m/s"), is_typed("PM10")
    (True, True, False, False)
    """
    return bool(NUMBER.fullmatch(text) or STAMP.fullmatch(text))
