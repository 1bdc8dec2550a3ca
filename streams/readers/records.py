"""JSON as tables: objects at any depth, JSON lines, a list per column, or the features of a GeoJSON file.

The longest list is that of the rows; what stands above it (the name of a station, a unit) is said in each of its rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from terracast.streams.readers.table import Column, Table, Texts
from terracast.streams.readers.wanted import Wanted

Row = dict[str, Any]
NAMES = ("columns", "header", "headers", "fields")
ROWS = ("data", "values", "rows", "datapoints")  # beside "columns": a list per row


def read_records(path: Path, wanted: Wanted) -> Table:
    """Read objects as rows; an object within one is named ``outer.inner``. Raises ``ReadError``."""
    try:
        held = _held(path.read_text(encoding="utf-8-sig"))
        flat = rows_in(held)
    except (UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise wanted.refusal(f"not JSON ({str(wrong)[:80]})", expected="a whole JSON file",
                             remedy="fetch it again") from wrong
    if not flat:
        raise wanted.refusal("no list of objects", expected="a list of objects, or GeoJSON features",
                             remedy="write the rows as a list of objects, or as CSV")
    names = list(dict.fromkeys(name for row in flat for name in row))
    columns: dict[str, Column] = {
        shown: Texts.of(np.array([_text(row.get(name)) for row in flat], dtype=object))
        for name, shown in zip(names, wanted.named(names), strict=True)}
    above = frozenset(shown for name, shown in zip(names, wanted.named(names), strict=True)
                      if isinstance(held, dict) and _is_above(held, name))
    return Table(columns, len(flat), wanted, lambda row: row + 1, above=above)


def _is_above(held: Row, name: str) -> bool:
    """Whether the outermost object says a name itself."""
    first = name.removeprefix("outer.").partition(".")[0]
    return any(one in held and not isinstance(held[one], list | dict) for one in (name, first))


def _held(text: str) -> Any:
    """What a text of JSON holds, or the list of what its lines hold."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as wrong:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or wrong.msg != "Extra data":
            raise
        return [json.loads(line) for line in lines]


def rows_in(held: Any) -> list[Row]:
    """The rows that JSON values hold.

    >>> rows_in({"site": "A", "data": {"time": [1, 2], "no2": [7, 8]}})
    [{'site': 'A', 'time': 1, 'no2': 7}, {'site': 'A', 'time': 2, 'no2': 8}]
    """
    if isinstance(held, list):
        return _rows_of_list(held, "")
    return _rows_of_object(held) if isinstance(held, dict) else []


def rows_of_json(held: Any) -> list[Row]:
    """The rows of JSON values, of which a single object without a list in it is one.

    >>> rows_of_json({"node": "a", "air": {"no2": 7}}), rows_of_json({"rows": [{"x": 1}]})
    ([{'node': 'a', 'air.no2': 7}], [{'x': 1}])
    """
    return rows_in(held) or ([_flat(held)] if isinstance(held, dict) and held else [])


def _rows_of_list(held: list[Any], key: str) -> list[Row]:
    if held and all(isinstance(one, dict) for one in held):
        below = [_rows_of_object(one) for one in held]
        if sum(map(len, below)) > len(held) and any(map(_says_number, next(filter(None, below)))):
            return [row for rows in below for row in rows]
        return [_flat(one) for one in held]
    if len(held) > 1 and all(isinstance(one, list) and len(one) == len(held[0]) > 1 for one in held):
        return [{f"{key or 'column'} {at}": value for at, value in enumerate(one, 1)} for one in held]
    return []


def _rows_of_object(held: Row) -> list[Row]:
    """The rows of the longest list within an object, each with what the object says beside it."""
    if held.get("type") == "FeatureCollection":
        return [_flat(_feature(one)) for one in held.get("features", [])]
    columns = _columns(held)
    if columns is not None:
        names, rows, rest = columns
        return [{**rest, **dict(zip(names, row, strict=False))} for row in rows]
    found = {key: _rows_of_list(one, key) if isinstance(one, list) else _rows_of_object(one)
             for key, one in held.items() if isinstance(one, list | dict)}
    key = max(found, key=lambda name: len(found[name]), default="")
    if not key or not found[key]:
        return []
    units = next((one for name, one in held.items() if name != key and isinstance(one, dict)
                  and set(one) == set(found[key][0]) and all(isinstance(unit, str) for unit in one.values())), None)
    beside = _flat({name: one for name, one in held.items() if name != key and one is not units})
    rows = found[key] if units is None else _with_units(found[key], units)
    shared = {name: value for name, value in beside.items() if not isinstance(value, list)}
    return [{**{(name if name not in row else f"outer.{name}"): value for name, value in shared.items()}, **row}
            for row in rows]


def _columns(held: Row) -> tuple[list[str], list[Any], Row] | None:
    """The names, the rows and the rest of an object that is a table itself: a list, or an object, per column."""
    names = next((held[key] for key in NAMES if isinstance(held.get(key), list | str)), None)
    names = names.split(",") if isinstance(names, str) and "," in names else names
    rows = next((held[key] for key in ROWS if isinstance(held.get(key), list)), None)
    if isinstance(names, list) and rows and isinstance(rows[0], list):
        told = [str(one.get("text") or one.get("name")) if isinstance(one, dict) else str(one) for one in names]
        return told, rows, _flat({name: one for name, one in held.items() if not isinstance(one, list)})
    lists = {name: one for name, one in held.items() if isinstance(one, list)}
    lengths = {len(one) for one in lists.values()}
    if len(lists) > 1 and len(lengths) == 1 and lengths != {1} and not any(
            isinstance(item, dict | list) for one in lists.values() for item in one[:3]):
        rest = _flat({name: one for name, one in held.items() if name not in lists})
        return list(lists), list(zip(*lists.values(), strict=True)), rest
    dicts = [one for one in held.values() if isinstance(one, dict)]
    same = all(one.keys() == dicts[0].keys() for one in dicts)
    if len(dicts) == len(held) > 1 and (len(dicts[0]) > 2 or len(dicts) > 9) and same and not any(
            isinstance(item, dict | list) for one in dicts for item in one.values()):
        across = all(str(key).isdigit() for key in dicts[0])  # a column each, by the number of the row
        return (list(held), list(zip(*(one.values() for one in dicts), strict=True)), {}) if across else (
            ["key", *dicts[0]], [(name, *one.values()) for name, one in held.items()], {})
    return None


def _with_units(rows: list[Row], units: dict[str, str]) -> list[Row]:
    """Rows whose numbers are named with their units."""
    number = {name for name in units if any(isinstance(row.get(name), int | float) for row in rows[:100])}
    return [{(f"{name} ({units[name]})" if name in number and units[name] else name): value
             for name, value in row.items()} for row in rows]


def _says_number(row: Row) -> bool:
    """Whether a row holds a number (perhaps as text)."""
    return any((isinstance(value, int | float) and not isinstance(value, bool)) or (
        isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit()) for value in row.values())


def _feature(feature: Row) -> Row:
    place = (feature.get("geometry") or {})
    point = place.get("coordinates") if place.get("type") == "Point" else None
    found = dict(feature.get("properties") or {})
    if "id" in feature and "id" not in found:
        found = {"id": feature["id"], **found}
    return found if not point else {**found, "lon": point[0], "lat": point[1]}


def _flat(row: Row, before: str = "") -> Row:
    """An object without others in it; of a list of one object that one."""
    found: Row = {}
    for name, value in row.items():
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
            if isinstance(value, dict) and "value" in value and not isinstance(value["value"], list | dict):
                value = {"": value["value"], **{key: one for key, one in value.items() if key != "value"}}
        if isinstance(value, dict):
            found |= {key.rstrip("."): one for key, one in _flat(value, f"{before}{name}.").items()}
        else:
            found[f"{before}{name}"] = value
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list) else str(value)
