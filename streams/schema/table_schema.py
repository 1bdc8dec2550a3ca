"""A table understood: layout, numbers, time, shape, what stands for no value, units, zone, as options of ``read``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from terracast.streams.clock import span
from terracast.streams.readers import BOOKS, JSON, TEXT, wanted_of
from terracast.streams.readers.numbers import suffix_pattern
from terracast.streams.readers.parquet import read_parquet
from terracast.streams.readers.records import read_records
from terracast.streams.readers.spreadsheet import cells_of, read_spreadsheet, sheets_of
from terracast.streams.readers.stamp_format import ZONES
from terracast.streams.readers.table import Table, bare
from terracast.streams.readers.text import read_text
from terracast.streams.readers.wanted import Wanted
from terracast.streams.schema.absent import find_absent, find_flags, words_for_none
from terracast.streams.schema.across import find_across
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.layout import TextLayout, layout_of, rows_layout
from terracast.streams.schema.profile import ColumnProfile, number_form, profiles_of
from terracast.streams.schema.shape import TableShape, shape_of
from terracast.streams.schema.suffixes import find_suffixes
from terracast.streams.schema.time_axis import time_axis
from terracast.streams.schema.time_parts import TableTime
from terracast.streams.schema.units_nearby import own_units, unit_for_all, units_above, units_nearby
from terracast.streams.schema.zone import keeps_one_offset, zone_at, zone_hint
from terracast.streams.unit_names import is_unit, plain, split_unit
from terracast.streams.vocabulary import named

LAYOUT = ("encoding", "separator", "header", "first_row", "header_rows", "comment", "sheet", "decimal", "thousands",
          "suffix")
_LAT, _LON = named("lat"), named("lon")
MOVES = 0.05  # share of the rows at which a node has another place, above which it moves
CENTRAL = {"CET": "Europe/Brussels", "MEZ": "Europe/Berlin", "EET": "Europe/Helsinki", "WET": "Europe/Lisbon"}


def find_table(path: Path, found: Findings) -> None:
    """Find the options that read a table. Raises ``ReadError`` where it has no time."""
    layout = _layout(path, found)
    for name, value in layout.options.items():
        found.find(name, value, layout.why.get(name, ""))
    wanted = _wanted(path, found)
    table = _texts(path, wanted)
    in_cells = _numbers(table, found)
    columns = profiles_of(table, _wanted(path, found))
    told = find_across(table, columns, path.stem, found)
    if told is not table:
        table, columns = told, profiles_of(told, _wanted(path, found))
    for name in found.given.get("facts") or ():
        if name not in columns:
            raise wanted.refusal(f"no column {name!r}", expected="one of " + ", ".join(columns),
                                 remedy="name a fact of a place: --facts NAME")
    for name in table.above:
        if columns[name].numeric and columns[name].distinct < 2 and not {*columns[name].words} & (_LAT | _LON):
            found.leave(name, "said once, above the rows")
            del columns[name]
    axis = time_axis(columns, found) or _counted(table, found)
    if axis is None:
        raise wanted.refusal("no time column", expected="a column of stamps; there are "
                             + ", ".join(list(columns)[:8]),
                             remedy="name it (--time NAME), or give --start 2020-01-01 --step 1h")
    aside = {*axis.names, *axis.also}
    values = [name for name, column in columns.items() if column.numeric and name not in aside]
    flags = find_flags(columns, [name for name in columns if name not in aside], values,
                       words_for_none(columns[name] for name in values), found)
    rows = [name for name in columns if columns[name].numeric and name not in (*aside, *flags)]
    said = {in_cells.get(name) or _unit_of_row(layout, list(columns).index(name)) for name in rows}
    same_unit = len(said) == 1 and ("" not in said or bool(unit_for_all(layout.above)))
    shape = shape_of(columns, axis, flags, layout.quantity or path.stem, found, same_unit)
    if not shape.measured:
        raise wanted.refusal("no column of numbers", expected="at least one measured quantity; there are "
                             + ", ".join(list(columns)[:8]), remedy="name it (--variables NAME)")
    names = _name_and_units(columns, shape, layout, in_cells, found)
    find_absent(columns, names, found)
    if shape.wide is None and shape.variable is None:
        found.find("variables", list(names.values()), "columns of numbers")
    _kind(columns, shape, found)
    _zone(columns, axis, shape, found)


def _layout(path: Path, found: Findings) -> TextLayout:
    ending = path.suffix.lower()
    wanted_of(path, domain="x", **{name: found.given[name] for name in ("decimal", "separator") if name in found.given})
    if ending in TEXT:
        return layout_of(path, found.given)
    if ending not in BOOKS:
        return TextLayout()
    if "sheet" not in found.given:
        sheets = sheets_of(path)
        if len(sheets) > 1:
            best = max(sheets, key=lambda sheet: len(cells_of(path, Wanted(path.name, "x", sheet=sheet))))
            found.find("sheet", best, "the sheet with the most rows of " + ", ".join(sheets))
            found.doubt(f"{len(sheets)} sheets: {best} is read", "--sheet NAME")
    return rows_layout(cells_of(path, _wanted(path, found))[:2000], found.given)


def _wanted(path: Path, found: Findings) -> Wanted:
    return wanted_of(path, domain="x", **{name: found.options[name] for name in LAYOUT if name in found.options})


def _texts(path: Path, wanted: Wanted) -> Table:
    ending = path.suffix.lower()
    if ending in TEXT:
        return read_text(path, wanted, texts=True)
    return read_parquet(path, wanted) if ending in (".parquet", ".pq") else \
        read_records(path, wanted) if ending in JSON else read_spreadsheet(path, wanted)


def _numbers(table: Table, found: Findings) -> dict[str, str]:
    """How the numbers of a table are written; units that stand behind them in the cells, by column."""
    texts = {name: [bare(str(word)) for word in values.words] for name, values in table.columns.items()
             if not isinstance(values, np.ndarray)}
    in_cells = {} if "suffix" in found.given else find_suffixes(texts, found)
    if found.options.get("suffix"):
        pattern = suffix_pattern(found.options["suffix"])
        texts = {name: [pattern.sub(r"\1", word) for word in words] for name, words in texts.items()}
    form = number_form(texts, str(found.options.get("separator") or ""))
    if form.decimal != ".":
        found.find("decimal", form.decimal, "numbers have a comma where decimals begin")
    if form.thousands and not (form.thousands == "." and form.decimal == ","):
        found.find("thousands", form.thousands, "it groups the digits of large numbers")
    if form.doubtful:
        other = f"--thousands {form.doubtful}"
        found.doubt(f"numbers such as 1{form.doubtful}234 are read with {form.doubtful!r} as decimal mark", other)
    return in_cells


def _counted(table: Table, found: Findings) -> TableTime | None:
    """The stamps of a table that has none, where their begin and step are given."""
    if "start" not in found.given or "step" not in found.given:
        return None
    step = span(found.given["step"]).to_timedelta64()
    return TableTime((), np.datetime64(found.given["start"], "ns") + np.arange(table.size) * step, False, True)


def _unit_of_row(layout: TextLayout, at: int) -> str:
    """The unit that a row below the header says of a column, perhaps behind the name of its quantity."""
    text = layout.units[at].strip("[]() ") if at < len(layout.units) else ""
    last = text.split()[-1] if text else ""
    return plain(last if not is_unit(text) and is_unit(last) else text)


def _name_and_units(columns: Mapping[str, ColumnProfile], shape: TableShape, layout: TextLayout,
                    in_cells: Mapping[str, str], found: Findings) -> dict[str, str]:
    """Names of the variables by column, and their units: from brackets, a row or a column of units, or a name's end."""
    places = {name: at for at, name in enumerate(columns)}
    names: dict[str, str] = {}
    units: dict[str, str] = {}
    origins: dict[str, str] = {}
    short_names = [split_unit(name)[0] for name in shape.measured]
    for name in shape.measured:
        short, unit = split_unit(name)
        if short_names.count(short) > 1 or shape.wide or (short in columns and short != name):
            short = name
        short = (found.given.get("names") or {}).get(name, short)
        names[name] = short
        if unit:
            units[short], origins["header"] = unit, "the header"
        if row := _unit_of_row(layout, places[name]):
            units[short], origins["row"] = row, "the row below the header"
        if name in in_cells:
            units[short], origins["cells"] = in_cells[name], "the cells"
    for name, short in names.items() if shape.variable is None and shape.wide is None else ():
        unit = units.get(short) or units_above(name, layout.above, len(names) == 1) or own_units(name, columns) \
            or units_nearby(name, columns)
        if unit and short not in units:
            units[short], origins["elsewhere"] = unit, "what the file says elsewhere"
    renamed = {name: short for name, short in names.items() if name != short}
    if renamed:
        found.options["names"] = renamed
        found.why["names"] = "names without their units"
    if shape.wide:
        said = set(units.values())
        if not said and (unit := unit_for_all(layout.above)):
            said, origins["elsewhere"] = {unit}, "what the file says elsewhere"
        units = {shape.wide: said.pop()} if len(said) == 1 else {}
    if shape.variable is not None:
        for word in map(str, columns[shape.variable].texts.words[columns[shape.variable].present]):
            short, unit = split_unit(word)
            if unit:
                found.options["names"] = {**found.options.get("names", {}), word: short}
                units[short], origins["names"] = unit, "the names"
    if shape.units is not None:
        units |= _units_of_column(columns, shape, list(names.values()))
        origins = {"column": f"the column {shape.units}"}
    if units:
        given = found.given.get("units") or {}
        found.options["units"] = {**units, **given}
        found.why["units"] = "from " + " and ".join(origins.values())
    return names


def _units_of_column(columns: Mapping[str, ColumnProfile], shape: TableShape, names: list[str]) -> dict[str, str]:
    column = columns[str(shape.units)]
    if shape.variable is None:
        words = [str(word) for word in column.texts.words[column.present]]
        return {name: plain(words[0]) for name in names} if len(words) == 1 else {}
    variables, found = columns[shape.variable].texts, {}
    for code, name in enumerate(variables.words):
        held = column.texts.codes[variables.codes == code]
        if len(held) and str(name):
            found[str(name)] = plain(str(column.texts.words[np.bincount(held).argmax()]))
    return found


def _kind(columns: Mapping[str, ColumnProfile], shape: TableShape, found: Findings) -> None:
    """Moving nodes, where the place of a node changes often."""
    if shape.lat is None or shape.lon is None or not shape.node or "kind" in found.given:
        return
    node = columns[shape.node[0]].texts.codes
    lat, lon = (columns[str(name)].texts.codes for name in (shape.lat, shape.lon))
    order = np.argsort(node, kind="stable")
    same = np.diff(node[order]) == 0
    moved = same & ((np.diff(lat[order]) != 0) | (np.diff(lon[order]) != 0))
    if moved.sum() > MOVES * max(same.sum(), 1):
        found.find("kind", "point", "places change from stamp to stamp")
        found.doubt("nodes move: they are read as moving points", "--kind trajectory")


def _zone(columns: Mapping[str, ColumnProfile], axis: TableTime, shape: TableShape, found: Findings) -> None:
    """Doubts on the time zone of stamps without an offset, and the zone that a header names."""
    if axis.says_offset or "time_zone" in found.options:
        return
    said = re.search(r"\b(?:GMT|UTC)\s?([+-])(\d{1,2})(?::?00)?\b", " ".join(axis.names))
    if said:
        hours = int(said[2]) * (1 if said[1] == "+" else -1)
        found.find("time_zone", f"Etc/GMT{-hours:+d}" if hours else "UTC", f"the header says {said[0]}")
        return
    in_header = [word for word in re.findall(r"[A-Z]+", " ".join(axis.names).upper()) if word in ZONES]
    if in_header:
        if "UTC" in in_header or "GMT" in in_header:
            return
        summer = len(in_header) > 1
        offset = ZONES[in_header[0]]
        zone = CENTRAL.get(in_header[0]) if summer else None
        zone = zone or f"Etc/GMT{-int(offset):+d}"
        if float(offset).is_integer():
            found.find("time_zone", zone, f"the header says {' and '.join(in_header)}")
        return
    if axis.gap >= np.timedelta64(1, "D") or axis.gap == np.timedelta64(0, "ns") or not axis.says_hour:
        return
    node = columns[shape.node[0]].texts.codes if shape.node else np.zeros(len(axis.stamps), int)
    if shape.variable is not None:
        node = node * len(columns[shape.variable].texts.words) + columns[shape.variable].texts.codes
    hint = zone_hint(axis.stamps, node)
    place = None
    if shape.lat is not None and shape.lon is not None:
        lat, lon = columns[shape.lat].numbers, columns[str(shape.lon)].numbers
        place = zone_at([float(np.nanmedian(lat))], [float(np.nanmedian(lon))])
    zone = place or (hint.zones[0] if hint else None)
    if hint is not None:
        likely = [place] if place else list(hint.zones[:3])
        found.doubt(f"{hint.what}, which looks like local time (as in {', '.join(map(str, likely))}); stamps say no "
                    "offset and are read as UTC", f"--time-zone {zone}")
    elif zone is not None and not keeps_one_offset(zone):
        found.doubt(f"stamps say no offset and are read as UTC; the places lie in {zone}", f"--time-zone {zone}")
    else:
        found.doubt("stamps say no offset and are read as UTC", f"--time-zone {zone or 'ZONE'}")
    found.proposed["time_zone"] = (zone or "Europe/Berlin", "stamps without an offset are read as UTC; name their zone "
                                   "where they are local time" + (": " + hint.what if hint else ""))
