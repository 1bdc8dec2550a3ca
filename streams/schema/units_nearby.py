"""Units that a file tells elsewhere than in its header: in remarks above, in a text beside the values, in a code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from terracast.streams.schema.profile import ColumnProfile
from terracast.streams.unit_names import is_unit, plain
from terracast.streams.vocabulary import named

UNITS = named("units")

# Units in words, as remarks above a table write them; the longest beginnings come first.
IN_WORDS = (("cubic feet per second", "ft3 s-1"), ("cubic meters per second", "m3 s-1"), ("feet per second", "ft s-1"),
            ("meters per second", "m s-1"), ("miles per hour", "mph"), ("milligrams per liter", "mg L-1"),
            ("micrograms per liter", "µg L-1"), ("microsiemens per centimeter", "µS cm-1"),
            ("degrees celsius", "degC"), ("degrees fahrenheit", "degF"), ("millimeters of mercury", "mmHg"),
            ("formazin nephelometric units", "FNU"), ("feet", "ft"), ("inches", "in"), ("meters", "m"),
            ("millimeters", "mm"), ("percent", "%"), ("standard units", "1"))
# Parameters of the U.S. Geological Survey, by the code in the names of its columns.
USGS = {"00060": "ft3 s-1", "00065": "ft", "00010": "degC", "00045": "in", "00095": "µS cm-1", "00300": "mg L-1",
        "00400": "1", "63680": "FNU", "72019": "ft", "62614": "ft", "72255": "ft s-1", "99133": "mg L-1"}
USGS_NAME = re.compile(r"(?:[A-Z]|\d+)_(\d{5})(?:_\d{5})?")
FOR_ALL = re.compile(r"\W*(?:units?(?: of measure(?:ment)?)?|einheit|unité|unidad(?:es)?|unità|eenheid)"
                     r"\W*[:=;,\t]\s*(.+)", re.IGNORECASE)


def units_above(name: str, above: Sequence[str], alone: bool) -> str:
    """The unit of a column from the lines above a table, "" where they say none; ``alone``: no other is measured.

    >>> units_above("FH", ["FH  : mean wind speed (in 0.1 m/s)"], False)
    '0.1 m s-1'
    >>> units_above("9_00065", ["  9   00065   Gage height, feet"], False), units_above("Q", ["Unit: m3/s"], True)
    ('ft', 'm3 s-1')
    """
    tokens = [token for token in re.split(r"[_\W]+", name) if token] if USGS_NAME.fullmatch(name) else [name]
    for line in above:
        places = [re.search(rf"(?<!\w){re.escape(token)}(?!\w)", line) for token in tokens]
        if not all(places) or (len(tokens) == 1 and not re.match(
                rf"\W*{re.escape(name)}\s*(?:[:=]|\s-\s|\t|\s{{2,}})", line)):
            continue
        unit = _unit_in(line[max(place.end() for place in places if place):])
        if unit:
            return unit
    said = USGS_NAME.fullmatch(name)
    if said and said[1] in USGS:
        return USGS[said[1]]
    return unit_for_all(above) if alone else ""


def unit_for_all(above: Sequence[str]) -> str:
    """The unit that a remark above a table says of all its values, "" where none does.

    >>> unit_for_all(["Load of buildings;;;", "Unit: kW;;;"])
    'kW'
    """
    said = (found[1].strip().strip('";,') for found in map(FOR_ALL.match, above) if found)
    return next((plain(unit) for unit in said if is_unit(unit)), "")


def _unit_in(text: str) -> str:
    """The unit that a remark names: in brackets, behind its last comma, or behind "in"."""
    for said in re.findall(r"[\[(]([^\[\]()]+)[\])]", text):
        bare = re.sub(r"^in\s+", "", said.strip())
        if is_unit(bare):
            return plain(bare)
    for part in reversed(text.split(",")):
        part = re.sub(r"^.*\bin\s+", "", part.strip().lower())
        for words, unit in IN_WORDS:
            if part.startswith(words):
                return unit
        if is_unit(part) and not part.isdigit():
            return plain(part)
    return ""


def own_units(name: str, columns: Mapping[str, ColumnProfile]) -> str:
    """The unit that the column of units right behind a column of values says, such as ``NO2,NO2 Unit``; "": none."""
    names = list(columns)
    at = names.index(name) + 1 if name in columns else len(names)
    if at >= len(names) or not columns[name].numeric or not set(columns[names[at]].words) & UNITS:
        return ""
    said = {plain(str(word)) for word in columns[names[at]].texts.words[columns[names[at]].present]}
    return said.pop() if len(said) == 1 else ""


def units_nearby(name: str, columns: Mapping[str, ColumnProfile]) -> str:
    """The unit in the text column that stands right behind a column of values, such as ``R ugm-3``."""
    names = list(columns)
    at = names.index(name) + 1 if name in columns else len(names)
    if at >= len(names) or columns[names[at]].numeric or columns[names[at]].empty or columns[names[at]].distinct > 20:
        return ""
    column = columns[names[at]]
    units = {next((token for token in re.split(r"[\s()]+", str(word)) if len(token) > 3 and is_unit(token)), "")
             for word in column.texts.words[column.present]}
    return plain(units.pop()) if len(units) == 1 else ""
