"""Rows in the forms that people have, as keys of ``[[sources]]``, and what they say: the same live and in a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from terracast.flows.settings.push_source import PushSourceSettings
from terracast.streams.readers import read
from terracast.streams.sources import Terms

Row = dict[str, Any]


class RowForm(NamedTuple):
    """``keys`` of the source, ``rows``, and what they say: stamp (UTC) and node, by variable. ``units`` of each."""

    name: str
    keys: dict[str, Any]
    rows: list[Row]
    said: dict[str, dict[tuple[str, str], float]]
    units: dict[str, str]

    def terms(self) -> Terms:
        """As the settings of a source of rows give them."""
        return PushSourceSettings(domain="air", **{"step": "1h", "delay": "1h", **self.keys}).terms()

    def table(self) -> str:
        """The same rows as a file."""
        names = list(self.rows[0])
        return "\n".join(";".join("" if row[name] is None else str(row[name]) for name in names)
                         for row in [dict(zip(names, names, strict=True)), *self.rows]) + "\n"

    def from_file(self, folder: Path) -> xr.Dataset:
        """The panel of the same rows in a file, read by the same keys."""
        (folder / "rows.csv").write_text(self.table(), encoding="utf-8")
        keys = {name: value for name, value in self.keys.items() if name != "unit"}
        return read(folder / "rows.csv", domain="air", **{"step": "1h", "separator": ";", **keys})


FORMS = [
    RowForm("a row per parameter, with units, decimal commas and a sentinel",
            {"time": "datum", "node": "messstelle", "variable": "komponente", "value": "wert", "unit": "einheit",
             "decimal": ",", "missing": ("-999",), "time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"},
            [{"datum": "01.07.2020 14:00", "messstelle": "A", "komponente": "no2", "wert": "12,5", "einheit": "µg/m³"},
             {"datum": "01.07.2020 14:00", "messstelle": "A", "komponente": "temp", "wert": "-999", "einheit": "°C"},
             {"datum": "01.07.2020 14:00", "messstelle": "B", "komponente": "temp", "wert": "21,0", "einheit": "°C"}],
            {"no2": {("2020-07-01T12:00", "A"): 12.5}, "temp": {("2020-07-01T12:00", "B"): 21.0}},
            {"no2": "µg m-3", "temp": "degC"}),
    RowForm("a column per node", {"wide": "flow", "time": "Zeit", "time_zone": "Europe/Berlin", "leave_out": ("id",)},
            [{"id": 1, "Zeit": "2020-01-01 01:00", "N1": 5, "N2": 7}, {"id": 2, "Zeit": "2020-01-01 02:00", "N1": 6,
                                                                     "N2": None}],
            {"flow": {("2020-01-01T00:00", "N1"): 5, ("2020-01-01T00:00", "N2"): 7, ("2020-01-01T01:00", "N1"): 6}},
            {"flow": "unknown"}),
    RowForm("milliseconds since 1970 and plain names", {"time": "ts", "time_format": "epoch-ms", "missing": ("9999",)},
            [{"ts": 1577836800000, "sensor_id": 7, "no2": 4.5, "o3": 9999}, {"ts": 1577840400000, "sensor_id": 7,
                                                                           "no2": 5.5, "o3": 60}],
            {"no2": {("2020-01-01T00:00", "7"): 4.5, ("2020-01-01T01:00", "7"): 5.5},
             "o3": {("2020-01-01T01:00", "7"): 60}}, {}),
    RowForm("flags, limits of detection and units in the cells",
            {"time": "timestamp", "node": "site", "valid": ("flag=V",), "below_limit": "half", "suffix": ("ug/m3",),
             "names": {"NO2 (ug/m3)": "no2"}, "units": {"no2": "ug m-3"}},
            [{"timestamp": "2020-01-01T00:00Z", "site": "A", "NO2 (ug/m3)": "<0.5 ug/m3", "flag": "V"},
             {"timestamp": "2020-01-01T01:00Z", "site": "A", "NO2 (ug/m3)": "8 ug/m3", "flag": "X"},
             {"timestamp": "2020-01-01T02:00Z", "site": "A", "NO2 (ug/m3)": "9 ug/m3", "flag": "V"}],
            {"no2": {("2020-01-01T00:00", "A"): 0.25, ("2020-01-01T02:00", "A"): 9}}, {"no2": "ug m-3"}),
    RowForm("columns of a node and a variable", {"across": ("{node}_{variable}",), "node": "node",
                                                 "variable": "variable", "value": "value", "time": "when"},
            [{"when": "2020-01-01T00:00Z", "A_no2": 1, "A_o3": 2, "B_no2": 3}],
            {"no2": {("2020-01-01T00:00", "A"): 1, ("2020-01-01T00:00", "B"): 3},
             "o3": {("2020-01-01T00:00", "A"): 2}}, {}),
    RowForm("another unit", {"units": {"temp": "degF"}, "convert": {"temp": "degC"}},
            [{"time": "2020-01-01T00:00Z", "node": "A", "temp": 50.0}],
            {"temp": {("2020-01-01T00:00", "A"): 10}}, {"temp": "degC"}),
    RowForm("date and hour apart, with the midnight that is written 24", {
        "time": ("day", "hour"), "time_format": "%Y-%m-%d %H", "node": ("city", "street")},
            [{"day": "2020-01-01", "hour": 23, "city": "X", "street": "Y", "n": 1},
             {"day": "2020-01-01", "hour": 24, "city": "X", "street": "Y", "n": 2}],
            {"n": {("2020-01-01T23:00", "X Y"): 1, ("2020-01-02T00:00", "X Y"): 2}}, {}),
]
NAMES = [form.name for form in FORMS]


def said_by(panel: xr.Dataset) -> dict[str, dict[tuple[str, str], float]]:
    """What a panel says, value by value."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for name in map(str, panel.data_vars):
        for (time, node), value in panel[name].to_series().items():
            if not math.isnan(value):
                key = (str(np.datetime64(time, "m")), str(node))
                found.setdefault(name, {})[key] = round(float(value), 6)
    return found
