"""Clocks: an anchor and a step, or months and local days; ticks, the even axis, and stamps that jitter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.streams.bitemporal import InMemoryHistory, known_after
from terracast.streams.clock import DAY, MONTH, Clock, span, span_text
from terracast.streams.errors import PanelError
from terracast.streams.even_history import EvenHistory
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
ANCHORS = st.datetimes(pd.Timestamp("1950-01-01").to_pydatetime(), pd.Timestamp("2040-01-01").to_pydatetime())
FIXED = ("1s", "90s", "10min", "1h", "6h", "1D", "7D", "365D")


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    """Any anchor × any step, fixed, of months, or of the days of a zone."""
    anchor = np.datetime64(draw(ANCHORS).replace(microsecond=0), "ns")
    sort = draw(st.sampled_from(("", "month", "zone")))
    if sort == "month":
        return Clock((draw(st.sampled_from((1, 3, 6, 12))) * MONTH).to_timedelta64(), anchor, "month")
    if sort == "zone":
        return Clock((draw(st.sampled_from((1, 2, 7))) * DAY).to_timedelta64(), anchor, draw(st.sampled_from(ZONES)))
    return Clock(pd.Timedelta(draw(st.sampled_from(FIXED))).to_timedelta64(), anchor)


@given(clocks(), st.integers(-50, 50))
@settings(max_examples=200, deadline=None)
def test_a_tick_is_found_again_from_its_stamp_its_even_stamp_and_its_attributes(clock: Clock, first: int) -> None:
    base = int(clock.number(np.array([clock.anchor]))[0])
    numbers = base + first + np.arange(20)
    ticks = clock.ticks(numbers)
    assert (np.diff(ticks) > np.timedelta64(0)).all()
    assert clock.number(ticks).tolist() == numbers.tolist()
    assert (clock.nearest(ticks) == ticks).all()
    even = clock.even(ticks)
    assert (np.diff(even) == clock.step).all()
    assert (clock.shown(even) == ticks).all()
    again = Clock.of(clock.attrs)
    assert (again.ticks(again.number(ticks)) == ticks).all() and again.step == clock.step


@given(clocks(), ANCHORS)
@settings(max_examples=200, deadline=None)
def test_the_last_tick_is_at_most_a_step_ago_and_never_ahead(clock: Clock, now: pd.Timestamp) -> None:
    stamp = clock.even(np.datetime64(now, "ns"))
    tick = clock.floor(stamp)
    assert tick <= stamp < tick + clock.step
    assert (clock.nearest(clock.shown(np.array([tick]))) == clock.shown(np.array([tick]))).all()


@given(clocks(), st.lists(ANCHORS, min_size=2, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_even_axis_keeps_every_order(clock: Clock, stamps: list[pd.Timestamp]) -> None:
    true = np.sort(np.array(stamps, "datetime64[ns]"))
    even = clock.even(true)
    assert (np.diff(even) >= np.timedelta64(0)).all()
    assert (np.abs((clock.shown(even) - true).astype(np.int64)) < 10_000).all()  # ns


def test_an_even_month_lies_in_its_month_so_that_its_date_names_it() -> None:
    for anchor in ("1995-01-01", "1995-01-16T12:00", "1995-01-31"):
        clock = Clock(MONTH.to_timedelta64(), np.datetime64(anchor), "month")
        ticks = clock.between(np.datetime64("1900-01-01"), np.datetime64("2100-12-31"))
        assert (clock.even(ticks).astype("datetime64[M]") == ticks.astype("datetime64[M]")).all(), anchor


def test_spans_in_words() -> None:
    for text in ("1mo", "3mo", "2y", "7D", "90s", "6h"):
        assert span_text(span(text)) == text
    assert span("7d") == pd.Timedelta("7D") and span("1 quarter") == span("3 months")
    with pytest.raises(ValueError, match="soon"):
        span("soon")
    with pytest.raises(PanelError, match="months"):
        Clock(pd.Timedelta("36h").to_timedelta64(), np.datetime64("2020-01-01"), "month")


@given(st.integers(0, 40), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_nothing_is_known_earlier_on_the_even_axis(known_days: int, month: int) -> None:
    time = pd.date_range("2019-01-01", periods=24, freq="MS")
    rain = xr.Dataset({"rain": (("time", "node"), np.arange(24.0)[:, None], {"units": "mm", "long_name": "rain"})},
                      {"time": time, "node": ["a"]}, {"domain": "rain", "kind": "sensor", "step": "1mo"})
    held = InMemoryHistory({"rain": known_after(rain, pd.Timedelta(days=known_days))})
    clock = Clock.of(rain.attrs)
    now = np.datetime64(f"2020-{month:02d}-10", "ns")
    true = held.as_known_at("rain", now)
    even = EvenHistory(held, clock).as_known_at("rain", clock.even(now))
    assert even["rain"].values.tolist() == true["rain"].values.tolist()
    assert (clock.shown(even["time"].values) == true["time"].values).all()
    recorded = EvenHistory(held, clock).recorded("rain")
    assert (recorded.panel["known_time"].values >= recorded.panel["time"].values[:, None]).all()


def test_months_are_kept_by_the_store_with_their_gaps(tmp_path) -> None:
    time = pd.to_datetime(["2020-01-31", "2020-02-29", "2020-04-30"])
    rain = xr.Dataset({"rain": (("time", "node"), [[1.0], [2.0], [4.0]], {"units": "mm", "long_name": "rain"})},
                      {"time": time, "node": ["a"]},
                      {"domain": "rain", "kind": "sensor", "step": "1mo", "anchor": "2020-01-31", "calendar": "month"})
    store = Store.open(tmp_path / "store")
    with store.transaction("months") as step:
        counted = step.ingest("rain", known_after(rain, pd.Timedelta("1D")))
    assert counted.new == 3 and not counted.rejected
    panel = store.read().as_known_at("rain", np.datetime64("2021-01-01"))
    assert panel.rain.values.ravel().tolist()[:2] == [1.0, 2.0] and np.isnan(panel.rain.values[2, 0])
    assert str(panel.time.values[2])[:10] == "2020-03-31"
    held = store.read().clock("rain")
    assert held is not None and str(held.nearest(np.array(["2021-02-10"], "datetime64[ns]"))[0])[:10] == "2021-02-28"
