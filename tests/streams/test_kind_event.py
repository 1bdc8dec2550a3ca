"""Events: counts against pandas, what was known when, oddities as notes, cells and steps that fit the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.benchmarks.streams.events import bench_events
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import counts
from terracast.streams.kinds.cell_size import MOST_CELLS, cell_size, event_step
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.columns import find_columns
from terracast.streams.kinds.event import Counting, event_panels, usual_delay
from terracast.streams.kinds.notes import notes_of
from terracast.streams.kinds.placed import Placed, placed, together
from terracast.streams.kinds.records import records
from terracast.streams.sources.gathered import copies_of

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "nyc_crime"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")


def _table(seed: int, many: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 3 * 86400, many), "s")
    return pd.DataFrame({"time": time, "lat": random.uniform(-0.1, 1, many), "lon": random.uniform(0, 1, many),
                         "sort": random.choice(["theft", "fraud", "arson"], many)})


def _rows(table: pd.DataFrame) -> Placed:
    return placed(table, find_columns(table, "x"), "x")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 300), st.sampled_from(["1h", "30min", "1D", "7h"]))
def test_counts_are_those_of_pandas(seed: int, many: int, step: str) -> None:
    table = _table(seed, many)
    (panel,) = event_panels(_rows(table), Counting("crime", 0.5, step, event_type="sort"))
    panel = check_kind(panel)
    floors = [np.floor(table[name] / 0.5) * 0.5 + 0.25 for name in ("lat", "lon")]
    expected = table.groupby([table["time"].dt.floor(step), *floors, "sort"]).size()
    held = panel[sorted(set(table["sort"]))].to_dataframe().reset_index().melt(
        ["time", "node", "lat", "lon", "known_time", "exposure"], var_name="sort", value_name="count")
    held = held[held["count"] > 0].set_index(["time", "lat", "lon", "sort"])["count"].sort_index()
    assert held.astype(int).tolist() == expected.sort_index().tolist()
    assert held.index.tolist() == expected.sort_index().index.tolist()
    assert float(panel["events"].sum()) == many
    assert (panel.known_time.values == panel.time.values + pd.Timedelta(step).to_timedelta64()).all()


def test_only_what_is_asked_becomes_dense() -> None:
    random = np.random.default_rng(0)
    time = np.datetime64("2000-01-01", "ns") + random.integers(0, 20 * 8766, 20_000) * np.timedelta64(1, "h")
    names = np.array([f"c{cell}" for cell in range(10_000)])
    tracemalloc.start()
    try:
        held = counts.counts_of(time, random.integers(0, 10_000, 20_000), names, step="1h", domain="crime")
        panel = counts.to_panel(held, cells=["c7", "c3"], time=slice("2001-01-01", "2001-12-31"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held.attrs["steps"] * 10_000 > 1.7e9 and peak < 20e6  # dense it would be 7 GB
    assert panel["count"].shape == (8760, 2) and panel.node.values.tolist() == ["c7", "c3"]
    assert str(panel.known_time.values[-1])[:16] == "2002-01-01T00:00"
    with pytest.raises(PanelError, match="'c10000'"):
        counts.to_panel(held, cells=["c10000"])
    with pytest.raises(PanelError, match="no step"):
        counts.to_panel(held, time=slice("1990-01-01", "1990-01-02"))


def test_reports_that_come_late_revise_and_nothing_is_known_before_it_was_reported() -> None:
    table = _table(2, 400)
    table["reported"] = table["time"] + pd.to_timedelta(np.random.default_rng(3).integers(0, 30, 400), "h")
    rows = _rows(table)
    assert not np.isnat(rows.known).any()
    held: dict[tuple[pd.Timestamp, str], list[tuple[pd.Timestamp, float]]] = {}
    for panel in event_panels(rows, Counting("crime", 0.5, "1h", delay="3h")):
        told = panel["events"].to_dataframe().reset_index().dropna()
        for one in told.itertuples():
            held.setdefault((one.time, one.node), []).append((one.known_time, one.events))
    table["cell"] = [f"{a:.6g},{b:.6g}" for a, b in zip(*(np.floor(table[name] / 0.5) * 0.5 + 0.25 for name in
                                                         ("lat", "lon")), strict=True)]
    for (time, cell), told in held.items():
        own = table[(table["time"].dt.floor("1h") == time) & (table["cell"] == cell)]
        assert [one[0] for one in told] == sorted({one[0] for one in told}) and told[0][0] == time + pd.Timedelta("3h")
        for known, count in told:
            assert count == (own["reported"] <= known).sum()
        assert told[-1][1] == len(own)


def test_a_step_that_is_not_over_waits() -> None:
    rows = _rows(_table(4))
    now = np.datetime64("2020-01-02T10:30", "ns")
    (panel,) = event_panels(rows, Counting("crime", 0.5, "1h"), now)
    assert panel.time.values[-1] == np.datetime64("2020-01-02T09:00", "ns") and (panel.known_time.values <= now).all()


def test_days_of_a_time_zone_and_weeks_from_monday() -> None:
    table = pd.DataFrame({"time": pd.to_datetime(["2015-03-07T23:30", "2015-03-08T01:30", "2015-03-10T12:00"]),
                          "lat": 40.7, "lon": -74.0})
    rows = placed(table, find_columns(table, "x"), "x", zone="America/New_York")
    (panel,) = event_panels(rows, Counting("crime", 0.5, "1D", zone="America/New_York"))
    assert [str(one)[:13] for one in panel.time.values] == ["2015-03-07T05", "2015-03-08T05", "2015-03-09T04",
                                                            "2015-03-10T04"]
    assert panel["events"].values.ravel().tolist() == [1, 1, 0, 1] and panel.attrs["calendar"] == "America/New_York"
    (weeks,) = event_panels(_rows(table), Counting("crime", 0.5, "7D"))
    assert pd.Timestamp(weeks.time.values[0]).day_name() == "Monday"
    assert weeks["events"].values.ravel().tolist() == [2, 1]


def test_regions_named_by_a_column_take_the_place_of_cells() -> None:
    table = _table(5).assign(ward=np.where(np.arange(200) % 2, "north", "south"))
    (panel,) = event_panels(_rows(table), Counting("crime", 0.0, "1D", node="ward"))
    assert panel.node.values.tolist() == ["north", "south"]
    assert panel["events"].sum("time").values.tolist() == [100, 100]
    with pytest.raises(ReadError, match="no column 'wart'"):
        next(event_panels(_rows(table), Counting("crime", 0.0, "1D", node="wart")))


def test_cells_are_so_large_that_a_usual_one_holds_enough() -> None:
    random = np.random.default_rng(0)
    for many, spread in ((300, 2.0), (30_000, 0.2), (200_000, 5.0)):
        lat, lon = 50 + random.normal(0, spread, many), 8 + random.normal(0, spread, many)
        size = cell_size(lat, lon, 365)
        cells = pd.DataFrame({"a": np.floor(lat / size), "b": np.floor(lon / size)}).value_counts()
        assert len(cells) <= MOST_CELLS and (len(cells) < 5 or cells.median() >= 100)
    assert cell_size(np.append(lat, -80.0), np.append(lon, 179.0), 365) == size  # one wrong place changes nothing
    start = np.datetime64("2020-01-01", "ns")
    assert event_step(start + np.arange(800) * np.timedelta64(1, "D")) == "7D"
    assert event_step(start + np.arange(0, 800, 0.1).astype("m8[D]")) == "1D"


def test_most_reports_are_in_after_the_usual_delay() -> None:
    table = _table(6).assign(reported=lambda held: held["time"] + pd.Timedelta("50h"))
    assert usual_delay(_rows(table), "1D") == "4D" and usual_delay(_rows(_table(6)), "1D") == "1D"


def test_counts_must_be_counts() -> None:
    (panel,) = event_panels(_rows(_table(5)), Counting("crime", 0.5, "1h"))
    with pytest.raises(PanelError, match=r"holds -1"):
        check_kind(panel.assign(events=panel["events"].where(panel["events"] > 0, -1)
                                .assign_attrs(panel["events"].attrs)))


def test_zero_inflation_is_seen() -> None:
    random = np.random.default_rng(6)
    hours = np.arange(4000)
    poisson = random.poisson(0.5, 4000)
    inflated = np.where(random.random(4000) < 0.5, 0, random.poisson(1.0, 4000))
    found = []
    for many in (poisson, inflated):
        time = np.datetime64("2020-01-01", "ns") + np.repeat(hours, many) * np.timedelta64(1, "h")
        held = counts.counts_of(time, np.zeros(len(time), int), np.array(["a"]), step="1h", domain="crime",
                                start="2020-01-01", stop=str(pd.Timestamp("2020-01-01") + pd.Timedelta("4000h")))
        found.append(held.attrs["zero_inflation"])
    assert abs(found[0]) < 0.02 and 0.04 < found[1] < 0.12  # in truth 0.5 + 0.5/e − e^(−1/2) = 0.077


def test_rows_that_cannot_be_placed_are_counted_by_reason() -> None:
    table = _table(7)
    table.loc[3, "lat"] = None
    table.loc[4, ["lat", "lon"]] = 0.0
    table.loc[5, "time"] = pd.NaT
    table.loc[6, "time"] = pd.Timestamp("2042-01-01")
    rows = placed(table, find_columns(table, "x"), "x", now=np.datetime64("2020-02-01", "ns"))
    assert rows.rejected == {"no place on Earth": 2, "no time": 1, "later than the clock": 1} and len(rows) == 196


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_duplicates_are_those_of_pandas_and_overlapping_files_count_once(seed: int) -> None:
    table = _table(seed, 30)
    table = table.iloc[np.random.default_rng(seed).integers(0, 30, 60)].reset_index(drop=True)
    assert copies_of(_rows(table)) == int(table.duplicated().sum())
    whole, again = together([table.iloc[:40], table.iloc[20:]])
    assert again + len(whole) == 80 and len(whole) >= 40
    assert together([table, table])[1] == 60


@needs_data
def test_nyc_crime() -> None:
    rows = _rows(records(DATA / "nyc_crime_events.parquet"))
    assert len(rows) == 191_580 and copies_of(rows) == 2703
    found = {(note.code, note.at) for note in notes_of(rows.time, "America/New_York", 2703)}
    assert {("hour_heaped", "hour 0"), ("hour_heaped", "hour 12"), ("first_of_month_heaped", "day 1"),
            ("hour_missing", "2015-03-08T02:00"), ("hour_doubled", "2014-11-02T01:00"),
            ("duplicates", "all")} <= found and len(found) == 8
    size = cell_size(rows.lat, rows.lon, 730)
    assert event_step(rows.time) == "1D" and size == 0.02
    (panel,) = event_panels(rows, Counting("crime", size, "1D", event_type="offense"))
    assert panel.sizes == {"time": 730, "node": 265} and float(panel["events"].sum()) == 191_580
    assert float(panel["ROBBERY"].sum()) == (rows.rest["offense"] == "ROBBERY").sum()
    sample = _rows(records(DATA / "nyc_crime_2015-12.geojson"))
    assert len(sample) == (rows.time >= np.datetime64("2015-12-01")).sum()


def test_the_bench_of_events_answers_in_the_house_form() -> None:
    answer = bench_events(20_000, 10, 5, repeats=1)
    assert set(answer) == {"bench", "data", "protocol", "rows", "summary", "command"}
    assert answer["summary"]["same_counts"] and {row["method"] for row in answer["rows"]} > {"terracast"}
