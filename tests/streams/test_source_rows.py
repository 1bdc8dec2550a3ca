"""Rows, local time and panels of rows: against zoneinfo, and against a plain replay of the reports."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.streams.errors import PanelError
from terracast.streams.readers.local_time import to_utc
from terracast.streams.readers.table import NO_NUMBER
from terracast.streams.sources.panels import REPLACED, arranged
from terracast.streams.sources.reports import report_of
from terracast.streams.sources.rows import (
    AHEAD,
    AMBIGUOUS,
    NONEXISTENT,
    RowError,
    RowReport,
    Terms,
)
from terracast.streams.store import Store

HOUR = 3_600_000_000_000
BERLIN = Terms("air", pd.Timedelta("1h"), time_zone="Europe/Berlin", delay=pd.Timedelta("1h"))
NOW = np.datetime64("2030-01-01", "ns")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_a_year_of_local_half_hours_comes_back(zone: str) -> None:
    """Every instant of a year, written as local time in order, is found again: none is lost, none is doubled."""
    utc = pd.date_range("2020-01-01", "2021-01-01", freq="30min", tz="UTC")
    local = utc.tz_convert(zone).tz_localize(None).to_numpy("datetime64[ns]")
    back, ambiguous, skipped = to_utc(local, np.zeros(len(local), int), zone)
    assert np.array_equal(back, utc.tz_localize(None).to_numpy("datetime64[ns]"))
    assert not ambiguous.any() and not skipped.any()


def test_local_stamps_that_cannot_be_placed() -> None:
    texts = ["2020-10-25T02:00", "2020-10-25T02:30", "2020-10-25T02:30", "2020-03-29T02:30", "2020-10-25T03:00"]
    local = np.array(texts, dtype="datetime64[ns]")
    utc, ambiguous, skipped = to_utc(local, np.array([0, 0, 1, 0, 0]), "Europe/Berlin")
    assert ambiguous.tolist() == [True, True, True, False, False]  # one of each in its group
    assert skipped.tolist() == [False, False, False, True, False]
    assert str(utc[4])[:16] == "2020-10-25T02:00"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2029, 1, 1)))
@settings(max_examples=200, deadline=None)
def test_a_row_s_local_stamp_is_the_instant_or_refused(stamp: datetime) -> None:
    zone = ZoneInfo("Europe/Berlin")
    meant = {one for fold in (0, 1) if (one := stamp.replace(tzinfo=zone, fold=fold).astimezone(UTC))
             .astimezone(zone).replace(tzinfo=None) == stamp}
    try:
        report = report_of({"time": stamp.isoformat(), "node": "a", "x": 1}, BERLIN, NOW, "row 1")
    except RowError as error:
        assert error.reason == (AMBIGUOUS if len(meant) == 2 else NONEXISTENT) and len(meant) != 1
    else:
        assert len(meant) == 1
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert report.time == (meant.pop() - epoch) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize("stamp", ["2020-07-01T14:00+02:00", "2020-07-01T12:00Z", "2020-07-01 12:00:00.000Z",
                                   1593604800, 1593604800.0, 1593604800000])
def test_forms_of_a_stamp(stamp: object) -> None:
    report = report_of({"time": stamp, "node": 7, "x": "1.5"}, BERLIN, NOW, "row 1")
    assert np.datetime64(report.time, "ns") == np.datetime64("2020-07-01T12:00")
    assert report.node == "7" and report.values == {"x": 1.5}


@pytest.mark.parametrize(("row", "reason", "words"), [
    ({"node": "a", "x": 1}, "no time stamp", "no 'time'"),
    ({"time": "yesterday", "node": "a", "x": 1}, "no time stamp", "'yesterday'"),
    ({"time": "9999-01-01", "node": "a", "x": 1}, "no time stamp", "1678 to 2262"),
    ({"time": "2020-01-01", "x": 1}, "no node", "no 'node'"),
    ({"time": "2020-01-01", "node": "a"}, "no value", "no value"),
    ({"time": "2020-01-01", "node": "a", "x": "much"}, NO_NUMBER, "x is 'much'"),
    ({"time": "2020-01-01", "node": "a", "x": "inf"}, NO_NUMBER, "finite"),
    ({"time": "2020-01-01", "node": "a", "x": [1]}, NO_NUMBER, "x is '[1]'"),
])
def test_rows_refused_in_words(row: dict[str, object], reason: str, words: str) -> None:
    with pytest.raises(RowError) as told:
        report_of(row, BERLIN, NOW, "row 3")
    assert told.value.reason == reason and words in str(told.value) and "row 3" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_clock_that_is_ahead() -> None:
    terms, now = Terms("air", pd.Timedelta("1h")), np.datetime64("2020-01-01T12:00", "ns")
    little = report_of({"time": "2020-01-01T12:00:02Z", "node": "a", "x": 1}, terms, now, "row 1")
    assert little.known == little.time  # never known before its own time
    with pytest.raises(RowError) as told:
        report_of({"time": "2020-01-01T14:00Z", "node": "a", "x": 1}, terms, now, "row 1")
    assert told.value.reason == AHEAD


@pytest.mark.parametrize("wrong", [{"kind": "sensors"}, {"time_zone": "Berlin"}, {"step": pd.Timedelta(0)},
                                   {"delay": pd.Timedelta(-1)}, {"stamps": "round"}])
def test_terms_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PanelError, match=next(iter(wrong))):
        Terms(**{"domain": "air", "step": pd.Timedelta("1h"), **wrong})


REPORTS = st.lists(st.builds(
    RowReport, time=st.sampled_from([0, HOUR, 2 * HOUR, 900 * HOUR]), node=st.sampled_from("ab"),
    known=st.just(0),
    values=st.dictionaries(st.sampled_from("xy"), st.sampled_from([1.0, 2.0]), min_size=1),
    lat=st.just(math.nan), lon=st.just(math.nan), units=st.just({}),
    facts=st.dictionaries(st.sampled_from([".", "..", "__height", "a/b"]), st.sampled_from(["1", "Elbe"]))),
    max_size=10).map(
        lambda reports: [report._replace(known=(901 + number) * HOUR) for number, report in enumerate(reports)])


@pytest.mark.integration
@given(REPORTS)
@settings(max_examples=8, deadline=None)
def test_the_store_knows_what_the_reports_said(tmp_path_factory: pytest.TempPathFactory,
                                               reports: list[RowReport]) -> None:
    """At every instant the store's panel holds, per value, the last report known."""
    store = Store.open(tmp_path_factory.mktemp("store"))
    pieces = arranged(reports, Terms("air", pd.Timedelta("1h")))
    with store.transaction("all") as step:
        done = [step.ingest("air", panel) for panel in pieces.panels]
        again = [step.ingest("air", panel) for panel in pieces.panels]
    assert not any(one.new or one.late or one.revised for one in again)
    assert sum(one.new + one.late for one in done) == len({(report.time, report.node) for report in reports})
    for hours in range(901, 901 + len(reports)):
        said: dict[tuple[int, str, str], tuple[int, float]] = {}
        for report in sorted(reports, key=lambda report: report.known):
            for name, value in report.values.items() if report.known <= hours * HOUR else ():
                key = (report.time, report.node, name)
                said[key] = (report.known, value)
        panel = store.read().as_known_at("air", np.datetime64(hours * HOUR, "ns"))
        held = {(int(time.astype(np.int64)), node, name): float(panel[name].values[row, column])
                for name in map(str, panel.data_vars) for row, time in enumerate(panel["time"].values)
                for column, node in enumerate(panel["node"].values.tolist())
                if not math.isnan(panel[name].values[row, column])}
        assert held == {key: value for key, (_, value) in said.items()}


def test_floor_keeps_the_last_reading_of_a_step() -> None:
    terms = Terms("air", pd.Timedelta("1h"), stamps="floor")
    rows = [{"time": f"2020-01-01T12:{minute:02d}Z", "node": "a", "x": minute} for minute in range(10)]
    reports = [report_of(row, terms, np.datetime64("2020-01-01T13:00") + number, "row")
               for number, row in enumerate(rows)]
    pieces = arranged(reports, terms)
    assert [panel.x.values.tolist() for panel in pieces.panels] == [[[9.0]]]
    assert pieces.rejected == {REPLACED: 9}


def test_places_on_nodes_or_on_steps() -> None:
    rows = [RowReport(hour * HOUR, "bus", 9 * HOUR, {"x": 1.0}, 50.0 + hour, 8.0) for hour in range(3)]
    moving = arranged(rows, Terms("bus", pd.Timedelta("1h"), kind="point")).panels[0]
    assert moving["lat"].dims == ("time", "node") and moving["lat"].values[:, 0].tolist() == [50, 51, 52]
    fixed = arranged(rows, Terms("bus", pd.Timedelta("1h"))).panels[0]
    assert fixed["lat"].dims == ("node",) and fixed["lat"].values.tolist() == [50]
