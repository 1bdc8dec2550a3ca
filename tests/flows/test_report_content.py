"""From data to the rows and words of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.flows.reporting.content import AlarmRow, Change, KnownEvent, ReportError, Timeline
from terracast.flows.reporting.daily import MOST_ROWS, network_daily
from terracast.flows.reporting.reasons import reasons_from
from terracast.flows.reporting.svg import element, harmless
from terracast.flows.reporting.timeline import rows_of
from terracast.streams.wording import number, percent

at = np.datetime64


def panel(values: np.ndarray, freq: str = "h") -> xr.DataArray:
    clock = pd.date_range("2020-01-01", periods=len(values), freq=freq)
    return xr.DataArray(values, {"time": clock, "node": [f"n{i}" for i in range(values.shape[1])]}, ("time", "node"))


def test_daily_means_run_over_the_same_cells_of_observation_and_forecast() -> None:
    random = np.random.default_rng(2)
    truth, forecast = random.random((72, 3)), random.random((72, 3))
    truth[random.random((72, 3)) < 0.3] = np.nan
    found = network_daily(panel(truth), panel(forecast - 1), panel(forecast), panel(forecast + 1))
    for day in range(3):
        cells = slice(24 * day, 24 * day + 24)
        both = np.isfinite(truth[cells])
        assert found["observed"][day] == pytest.approx(truth[cells][both].mean())
        assert found["median"][day] == pytest.approx(forecast[cells][both].mean())
        assert found["high"][day] - found["low"][day] == pytest.approx(2)


def test_days_with_only_one_side_show_that_side_and_gaps_stay_gaps() -> None:
    truth, forecast = np.ones((96, 1)), np.full((96, 1), 2.0)
    forecast[:24] = np.nan
    truth[72:] = np.nan
    forecast[48:72], truth[48:72] = np.nan, np.nan
    found = network_daily(panel(truth), panel(forecast), panel(forecast), panel(forecast))
    np.testing.assert_array_equal(found["observed"], [1, 1, np.nan, np.nan])
    np.testing.assert_array_equal(found["median"], [np.nan, 2, np.nan, 2])


def test_a_century_becomes_fewer_rows_than_the_chart_takes() -> None:
    values = panel(np.ones((40_000, 1)), "D")
    found = network_daily(values, values, values, values)
    assert 1000 < len(found) < MOST_ROWS
    assert rows_of(Timeline(found), ()) is not None


def timeline() -> Timeline:
    days = pd.date_range("2020-01-01", periods=100)
    values = pd.DataFrame({"time": days, "observed": 1.0, "median": 1.0, "low": 0.0, "high": 2.0})
    return Timeline(values, changes=(Change(at("2020-02-01"), "promotion", "2"), Change(at("2021-02-01"), "x", "3")),
                    events=(KnownEvent(at("2019-01-01"), at("2019-02-01"), "long before"),
                            KnownEvent(at("2019-12-01"), at("2020-01-10"), "across the start")))


def test_spans_are_clipped_to_the_axis_and_open_ones_reach_its_end() -> None:
    rows = rows_of(timeline(), (AlarmRow("E-1", "", "", "", at("2020-03-01")),))
    assert rows is not None
    start, end = rows.domain
    assert (end - start) == 100 * 86_400_000
    assert [row["label"] for row in rows.events] == ["across the start"] and rows.events[0]["at"] == start
    assert rows.episodes[0]["until"] == end and "still open" in str(rows.episodes[0]["when"])
    assert [row["label"] for row in rows.changes] == ["version 2"]


@given(st.lists(st.tuples(st.integers(0, 95), st.integers(1, 30)), min_size=1, max_size=15))
def test_bars_in_one_lane_never_overlap(spans: list[tuple[int, int]]) -> None:
    first = at("2020-01-01")
    alarms = [AlarmRow(f"E-{index}", "", "", "", first + np.timedelta64(begin, "D"),
                       first + np.timedelta64(begin + length, "D")) for index, (begin, length) in enumerate(spans)]
    rows = rows_of(timeline(), alarms)
    assert rows is not None and len(rows.episodes) == len(spans)
    for one in rows.episodes:
        for other in rows.episodes:
            if one is not other and one["lane"] == other["lane"]:
                assert one["until"] <= other["at"] or other["until"] <= one["at"]  # type: ignore[operator]
    assert rows.lanes == 1 + max(int(row["lane"]) for row in rows.episodes + rows.events)  # type: ignore[call-overload]


def test_nothing_to_draw_and_too_much_to_draw() -> None:
    assert rows_of(Timeline(None), ()) is None
    hollow = pd.DataFrame({"time": pd.date_range("2020-01-01", periods=3), "observed": np.nan})
    assert rows_of(Timeline(hollow), ()) is None
    long = pd.DataFrame({"time": pd.date_range("2000-01-01", periods=5000), "observed": 1.0})
    with pytest.raises(ReportError, match="5,000 rows"):
        rows_of(Timeline(long), ())


WIND, RAIN, AIR, CARS = (Series(*name) for name in (("weather", "wind"), ("weather", "rain"), ("air", "pm25"),
                                                    ("traffic", "flow")))


def test_links_into_the_target_come_first_with_their_drivers() -> None:
    links = (Link(WIND, CARS, 1, 0.9, 0.0), Link(AIR, AIR, 1, 0.8, 0.0), Link(RAIN, AIR, 3, -0.2, 0.0, 0.4),
             Link(WIND, AIR, 2, -0.4, 0.0, 0.9), Link(AIR, CARS, 0, 0.1, 0.0, oriented=False))
    graph = CausalGraph((WIND, RAIN, AIR, CARS), links, "1h", "PCMCI+", 900, labels={"air.pm25": "PM2.5"})
    drivers = (Driver(WIND, AIR, 2, -0.4, True, "known in time", 1), Driver(RAIN, AIR, 3, -0.2, False, "unstable"),
               Driver(CARS, AIR, 0, 0.1, False, "no direction"), Driver(CARS, AIR, 5, 0.3, True, "set by hand"))
    found = reasons_from(graph, drivers, "<svg/>").links
    assert [(link.cause, link.effect) for link in found] == [
        ("wind", "PM2.5"), ("rain", "PM2.5"), ("PM2.5", "flow"), ("PM2.5", "PM2.5"), ("wind", "flow"),
        ("flow", "PM2.5")]
    assert [link.used for link in found] == [True, False, False, None, None, True]
    assert [link.published for link in found[:2]] == [True, False]
    assert all(link.sentence.strip() for link in found)


def test_series_that_share_a_name_are_told_apart() -> None:
    other = Series("street", "flow")
    graph = CausalGraph((CARS, other), (Link(CARS, other, 1, 0.5, 0.0),), "1h", "PCMCI+", 10)
    link = reasons_from(graph, (), "").links[0]
    assert (link.cause, link.effect) == ("flow (traffic)", "flow (street)")


@pytest.mark.parametrize("bad", ['<svg onload="x()"/>', "<svg><script>x()</script></svg>",
                                 '<svg><a href="javascript:x()"><text>a</text></a></svg>',
                                 '<svg><rect fill="url(http://e.org/a)"/></svg>',
                                 "<svg><style>@import 'http://e.org'</style></svg>",
                                 '<svg xmlns:x="http://www.w3.org/1999/xlink"><use x:href="http://e.org/"/></svg>',
                                 "<svg><foreignObject><p>x</p></foreignObject></svg>"])
def test_drawings_are_made_harmless(bad: str) -> None:
    clean = harmless(bad)
    assert not any(word in clean.lower() for word in ("x()", "http", "script", "foreign", "import", "<p"))


def test_a_drawing_keeps_its_marks_and_references() -> None:
    drawn = harmless('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10px" height="5">'
                     '<defs><marker id="m"/></defs><path marker-end="url(#m)" d="M0 0"/></svg>')
    assert 'viewBox="0 0 10 5"' in drawn and 'marker-end="url(#m)"' in drawn and "ns0" not in drawn
    with pytest.raises(ReportError, match="document type"):
        harmless('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>')


@given(st.text())
def test_any_text_survives_an_element(text: str) -> None:
    written = element("text", text=text, title=text)
    assert written.count("<") == 2 and written.count(">") == 2


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_in_words_are_within_three_digits(value: float) -> None:
    read = float(number(value).replace(",", "").replace("−", "-"))
    assert read == pytest.approx(value, rel=6e-3, abs=1e-300)


def test_shares_round_half_up_and_never_show_minus_zero() -> None:
    shown = [percent(share, signed=True) for share in (-0.0001, 0.0, 0.0625, 0.995)]
    assert shown == ["0.0 %", "0.0 %", "+6.3 %", "+100 %"]


def test_a_link_tells_its_note_and_how_surely_its_share_is_known() -> None:
    rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    link = Link(rain, cars, 2, -0.4, 1e-6, 0.9, note="holds 2020-01-01 to 2020-02-01")
    settings: dict[str, object] = {"stability": {"draws": 20}, "effort": "110 tests on 500 steps: a second."}
    graph = CausalGraph((rain, cars), (link,), "1h", "PCMCI+", 500, settings)
    told = reasons_from(graph, (), "<svg/>")
    one = told.links[0]
    assert one.share == pytest.approx((0.699, 0.972), abs=1e-3) and one.note == link.note
    assert one.sentence.endswith("[holds 2020-01-01 to 2020-02-01]")
    assert told.method.endswith("expected before the search: 110 tests on 500 steps: a second")
    bare = reasons_from(CausalGraph((rain, cars), (link,), "1h", "PCMCI+", 500), (), "<svg/>")
    assert bare.links[0].share is None and "expected" not in bare.method
