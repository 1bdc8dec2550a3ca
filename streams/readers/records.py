"""JSON as tables: a list of objects (at the top or under one key), or the features of a GeoJSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from terracast.streams.readers.table import Column, Table, Texts
from terracast.streams.readers.wanted import Wanted


def read_records(path: Path, wanted: Wanted) -> Table:
    """Read objects as rows; an object within one is named ``outer.inner``. Raises ``ReadError``."""
    try:
        rows = _rows(json.loads(path.read_text(encoding="utf-8-sig")))
    except (UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise wanted.refusal(f"not JSON ({str(wrong)[:80]})", expected="a whole JSON file",
                             remedy="fetch it again") from wrong
    if not rows:
        raise wanted.refusal("no list of objects", expected="a list of objects, or GeoJSON features",
                             remedy="write the rows as a list of objects, or as CSV")
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    columns: dict[str, Column] = {
        shown: Texts.of(np.array([_text(row.get(name)) for row in flat], dtype=object))
        for name, shown in zip(names, wanted.named(names), strict=True)}
    return Table(columns, len(flat), wanted, lambda row: row + 1)


def _rows(held: Any) -> list[dict[str, Any]]:
    if isinstance(held, dict) and held.get("type") == "FeatureCollection":
        return [_feature(one) for one in held.get("features", [])]
    if isinstance(held, dict):
        lists = [one for one in held.values() if isinstance(one, list) and one and isinstance(one[0], dict)]
        if lists:
            return max(lists, key=len)
        equal = {name: one for name, one in held.items() if isinstance(one, list)}
        if len(equal) > 1 and len({len(one) for one in equal.values()}) == 1:  # a list per column
            return [dict(zip(equal, row, strict=True)) for row in zip(*equal.values(), strict=True)]
        return []
    return [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []


def _feature(feature: dict[str, Any]) -> dict[str, Any]:
    place = (feature.get("geometry") or {})
    point = place.get("coordinates") if place.get("type") == "Point" else None
    found = dict(feature.get("properties") or {})
    if "id" in feature and "id" not in found:
        found = {"id": feature["id"], **found}
    return found if not point else {**found, "lon": point[0], "lat": point[1]}


def _flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list) else str(value)
