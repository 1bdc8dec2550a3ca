"""Events: sparse counts against pandas, oddities as data, and no more dense than asked."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.benchmarks.streams.events import bench_events
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import counts, event, notes, plot
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.check import check_kind

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "nyc_crime"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
CELLS = GridCells((0.0, 0.3, 1.0), (0.0, 0.5, 1.0))


def _table(seed: int, many: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 3 * 86400, many), "s")
    return pd.DataFrame({"time": time, "lat": random.uniform(-0.1, 1, many), "lon": random.uniform(0, 1, many),
                         "sort": random.choice(["theft", "fraud", "arson"], many)})


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 300), st.sampled_from(["1h", "30min", "1D", "7h"]))
def test_counts_are_those_of_pandas(seed: int, many: int, step: str) -> None:
    table = _table(seed, many)
    held = event.count(event.of_table(table, domain="crime", timezone="UTC"), CELLS, step, by="sort")
    table["cell"] = CELLS.cell_of(table["lat"], table["lon"])
    inside = table[table["cell"] >= 0]
    expected = inside.groupby([inside["time"].dt.floor(step), "cell", "sort"]).size()
    names = held.mark_name.values[held.mark]
    ours = pd.Series(held["count"].values, index=pd.MultiIndex.from_arrays(
        [counts.times_of(held)[held.step_number.values], held.cell.values, names]))
    assert ours.to_dict() == expected.to_dict()
    assert held.attrs["unplaced"] == len(table) - len(inside)
    if len(inside):
        panel = check_kind(counts.to_panel(held))
        assert sum(float(panel[name].sum()) for name in panel.data_vars) == len(inside)
        zeros = np.mean([float((panel[name] == 0).mean()) for name in panel.data_vars])
        assert held.attrs["zero_share"] == pytest.approx(zeros)


def test_panel_and_back_and_file_and_back(tmp_path: Path) -> None:
    held = event.count(event.of_table(_table(1), domain="crime"), CELLS, "1h", by="sort")
    again = counts.from_panel(counts.to_panel(held))
    for name in ("count", "step_number", "cell", "mark", "mark_name", "node", "exposure", "lat"):
        np.testing.assert_array_equal(again[name].values, held[name].values)
    assert {key: again.attrs[key] for key in held.attrs} == held.attrs
    counts.write(held, tmp_path / "counts.nc")
    xr.testing.assert_identical(counts.read(tmp_path / "counts.nc"), held)
    plain = event.count(event.of_table(_table(1), domain="crime"), CELLS, "1h")
    np.testing.assert_array_equal(counts.from_panel(counts.to_panel(plain))["count"], plain["count"])
    (tmp_path / "no.nc").write_bytes(b"no")
    with pytest.raises(ReadError):
        counts.read(tmp_path / "no.nc")


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


def test_late_reports_are_left_out_and_counted() -> None:
    table = _table(2)
    wait = np.random.default_rng(3).integers(0, 10, len(table))
    table["known_time"] = table["time"] + pd.to_timedelta(wait, "h")
    events = event.of_table(table, domain="crime", timezone="UTC")
    held = event.count(events, CELLS, "1h", patience="3h")
    end = table["time"].dt.floor("1h") + pd.Timedelta("4h")
    inside = CELLS.cell_of(table["lat"], table["lon"]) >= 0
    late = (table["known_time"] > end).to_numpy() & inside
    assert held.attrs["late"] == late.sum() > 0 and int(held["count"].sum()) == (inside & ~late).sum()
    panel = counts.to_panel(held)
    assert (panel.known_time.values == panel.time.values + np.timedelta64(4, "h")).all()
    whole = event.count(events, CELLS, "1h")  # waits as long as the latest report took
    assert whole.attrs["late"] == 0 and int(whole["count"].sum()) == inside.sum()


def test_exposure_is_kept() -> None:
    held = event.count(event.of_table(_table(4), domain="crime"), CELLS, "1h")
    np.testing.assert_allclose(held.exposure.values, CELLS.areas_km2)
    people = counts.with_exposure(held, np.array([10.0, 20, 30, 40]), "1", "inhabitants")
    panel = counts.to_panel(people)
    assert panel.attrs["exposure"] == "inhabitants" and panel.attrs["exposure_total"] == 100
    assert panel.exposure.values.tolist() == [10, 20, 30, 40]
    with pytest.raises(PanelError, match="not positive"):
        counts.with_exposure(held, np.zeros(4), "1", "inhabitants")


def test_counts_must_be_counts() -> None:
    panel = counts.to_panel(event.count(event.of_table(_table(5), domain="crime"), CELLS, "1h"))
    with pytest.raises(PanelError, match=r"holds -1"):
        check_kind(panel.assign(count=panel["count"].where(panel["count"] > 0, -1).assign_attrs(panel["count"].attrs)))
    with pytest.raises(PanelError, match="missing"):
        counts.from_panel(panel.assign(count=panel["count"].where(panel["count"] > 0)))


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


def test_stamps_move_to_utc() -> None:
    table = pd.DataFrame({"time": pd.to_datetime(["2015-03-08T01:30", "2015-03-08T02:30", "2015-11-01T01:30"]),
                          "lat": 40.7, "lon": -74.0})
    moved = event.to_utc(event.of_table(table, domain="crime", timezone="America/New_York"))
    assert moved.table["time"].tolist() == [pd.Timestamp(stamp) for stamp in (
        "2015-03-08T06:30", "2015-03-08T07:30", "2015-11-01T05:30")]
    with pytest.raises(PanelError, match="time zone is not known"):
        event.to_utc(event.of_table(table, domain="crime"))


def test_events_without_time_or_place_are_refused(tmp_path: Path) -> None:
    table = _table(7)
    with pytest.raises(PanelError, match="row 3"):
        event.of_table(table.assign(lat=table["lat"].where(table.index != 3)), domain="crime")
    (tmp_path / "no.geojson").write_text("{}", encoding="utf-8")
    with pytest.raises(ReadError, match="not GeoJSON"):
        event.read(tmp_path / "no.geojson", domain="crime")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_duplicates_are_those_of_pandas(seed: int) -> None:
    table = _table(seed, 30)
    table = table.iloc[np.random.default_rng(seed).integers(0, 30, 60)].reset_index(drop=True)
    table.loc[::7, "sort"] = "other"  # same time and place, but not the same event
    assert event.of_table(table, domain="crime").duplicates == int(table.duplicated().sum())


@needs_data
def test_nyc_crime(tmp_path: Path) -> None:
    events = event.read(DATA / "nyc_crime_events.parquet", domain="crime", timezone="America/New_York")
    assert len(events) == 191_580 and events.duplicates == 2703
    found = {(note.code, note.at) for note in events.notes}
    assert {("hour_heaped", "hour 0"), ("hour_heaped", "hour 12"), ("first_of_month_heaped", "day 1"),
            ("hour_missing", "2015-03-08T02:00"), ("hour_doubled", "2014-11-02T01:00"),
            ("duplicates", "all")} <= found and len(found) == 8
    event.write(events, tmp_path / "crime.parquet")
    pd.testing.assert_frame_equal(event.read(tmp_path / "crime.parquet", domain="crime").table, events.table)
    held = event.count(events, GridCells.covering(events.table["lat"], events.table["lon"], 0.01), "1h", by="offense")
    assert int(held["count"].sum()) == 191_580 and held.attrs["unplaced"] == 0 and held.attrs["zero_share"] > 0.998
    assert held.nbytes < 5e6 and notes.of_text(held.attrs["notes"]) == events.notes
    sectors = event.count(events, ["precinct", "sector"], "1D", by="offense")
    assert sectors.attrs["unplaced"] == 191_580 - 187_272 and "1/A" in sectors.node.values
    panel = check_kind(counts.to_panel(sectors, cells=["1/A"]))
    own = events.table[(events.table["precinct"] == 1) & (events.table["sector"] == "A")]
    assert float(panel["ROBBERY"].sum()) == (own["offense"] == "ROBBERY").sum()
    sample = event.read(DATA / "nyc_crime_2015-12.geojson", domain="crime", timezone="America/New_York")
    in_december = events.table[events.table["time"] >= "2015-12-01"]
    assert len(sample) == len(in_december)
    assert plot.plot_event(held).axes


def test_the_bench_of_events_answers_in_the_house_form() -> None:
    answer = bench_events(20_000, 10, 5, repeats=1)
    assert set(answer) == {"bench", "data", "protocol", "rows", "summary", "command"}
    assert answer["summary"]["same_counts"] and {row["method"] for row in answer["rows"]} > {"terracast"}
