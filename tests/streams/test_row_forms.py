"""Rows that arrive are read as rows of a file are: each form says the same in both, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terracast.flows.settings.push_source import PushSourceSettings
from terracast.streams.sources import Arrival, arranged, reports_of_rows
from terracast.streams.sources.rows import NO_FORM, OTHER_UNIT, Terms
from tests.streams.row_forms import FORMS, NAMES, RowForm, said_by

NOW = np.datetime64("2021-01-01", "ns")


def arrivals(rows: list[dict[str, object]]) -> list[Arrival]:
    return [Arrival(row, NOW, f"row {number}") for number, row in enumerate(rows, 1)]


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_a_form_says_the_same_live_and_in_a_file(form: RowForm, tmp_path: Path) -> None:
    terms = form.terms()
    reports, faults = reports_of_rows(arrivals(form.rows), terms)
    assert not faults
    (live,) = arranged(reports, terms).panels
    assert said_by(live) == form.said == said_by(form.from_file(tmp_path))
    assert {name: live[name].attrs["units"] for name in form.units} == form.units


def terms(**keys: object) -> Terms:
    return PushSourceSettings(domain="air", step="1h", delay="1h", **keys).terms()


def test_a_row_in_another_unit_is_converted_or_rejected() -> None:
    rows = [{"time": f"2020-01-01T0{hour}:00Z", "node": "a", "what": "wind", "value": value, "unit": unit}
            for hour, (value, unit) in enumerate([(1.0, "m/s"), (3.6, "km/h"), (5.0, "hPa")])]
    reports, faults = reports_of_rows(arrivals(rows), terms(variable="what", unit="unit"))
    assert [round(one.values["wind"], 9) for one in reports] == [1.0, 1.0]
    (fault,) = faults
    assert fault.reason == OTHER_UNIT and "'hPa'" in str(fault) and "row 3" in str(fault)


def test_parameters_that_are_not_read_are_no_faults() -> None:
    rows = [{"time": "2020-01-01T00:00Z", "node": "a", "what": name, "value": 1} for name in ("no2", "o3", "battery")]
    reports, faults = reports_of_rows(arrivals(rows), terms(variable="what", variables=("no2",)))
    assert [one.values for one in reports] == [{"no2": 1.0}] and not faults


def test_rows_of_other_fields_each_keep_their_own() -> None:
    """A message of a rain gauge says nothing of NO2, not even that it is missing."""
    rows = [{"time": "2020-01-01T00:00Z", "node": "a", "no2": 1}, {"time": "2020-01-01T00:00Z", "node": "g", "rain": 2}]
    reports, _ = reports_of_rows(arrivals(rows), terms())
    assert [one.values for one in reports] == [{"no2": 1.0}, {"rain": 2.0}]


def test_a_form_that_is_not_the_one_set_is_told_by_row() -> None:
    rows = [{"time": "2020-01-01T00:00Z", "node": "a", "no2": 1}]
    reports, faults = reports_of_rows(arrivals(rows), terms(valid=("flag=V",)))
    assert not reports and faults[0].reason == NO_FORM and "no column 'flag'" in str(faults[0])


def test_a_stamp_on_arrival() -> None:
    reports, _ = reports_of_rows(arrivals([{"node": "a", "no2": 1}]), terms(time="arrival", stamps="floor"))
    assert np.datetime64(reports[0].time, "ns") == NOW


def test_whole_numbers_of_nanoseconds_and_texts_of_digits() -> None:
    rows = [{"time": value, "node": "a", "x": 1} for value in (1577836800000000000, "1577836800", 1577836800000.0)]
    reports, faults = reports_of_rows(arrivals(rows), terms(time_zone="Europe/Berlin"))
    assert not faults and {str(np.datetime64(one.time, "ns"))[:16] for one in reports} == {"2020-01-01T00:00"}
