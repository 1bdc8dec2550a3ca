"""Readers: values bit-identical to the source, and one clear line for every sort of bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.errors import ReadError
from terracast.streams.readers import read
from terracast.streams.store import Store

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
HOURS = pd.date_range("2020-01-01", periods=4, freq="h")


def written(folder: Path, text: str, name: str = "air.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def long_frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"time": np.repeat(HOURS, 3), "node": ["n1", "n2", "dead"] * 4,
                          "pm25": rng.normal(size=12), "o3": rng.normal(size=12).astype("f4")})
    frame.loc[frame.node == "dead", ["pm25", "o3"]] = np.nan
    frame.loc[4, "pm25"] = np.nan
    return frame


def refused(path: Path, *words: str, **arguments: object) -> None:
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ReadError) as told:
        read(path, **{"domain": "air", **arguments})
    text = str(told.value)
    assert "\n" not in text and path.name in text, text
    for word in words:
        assert word in text, text
    assert not path.is_file() or path.read_bytes() == before


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_long_table_comes_back_exact(tmp_path, ending):
    frame = long_frame()
    path = tmp_path / f"air{ending}"
    frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    panel = read(path, domain="air", units={"pm25": "ug m-3"})
    for name in ("pm25", "o3"):
        wanted = frame.pivot_table(index="time", columns="node", values=name, dropna=False)[["n1", "n2", "dead"]]
        wide = panel[name].values.astype(wanted.to_numpy().dtype)
        assert wide.tobytes() == wanted.to_numpy().tobytes() or np.array_equal(wide, wanted, equal_nan=True)
    assert panel.o3.dtype == ("float32" if ending == ".parquet" else "float64")
    assert panel.node.values.tolist() == ["n1", "n2", "dead"]  # an all-NaN node is kept
    assert panel.attrs == {"domain": "air", "kind": "sensor", "step": "1h", "duplicates_dropped": 0}
    assert (panel.pm25.attrs["units"], panel.o3.attrs["units"]) == ("ug m-3", "unknown")
    assert (panel.known_time.values == panel.time.values + np.timedelta64(1, "h")).all()
    late = read(path, domain="air", delay="90min", step="30min", variables=["o3"])
    assert late.attrs["step"] == "30min" and list(late.data_vars) == ["o3"]
    assert (late.known_time.values == late.time.values + np.timedelta64(90, "m")).all()


def test_known_time_column_and_positions(tmp_path):
    frame = long_frame()
    frame["seen"] = frame.time + pd.Timedelta("2h")
    frame.loc[0, "seen"] = pd.NaT
    frame["lat"], frame["lon"] = frame.node.map({"n1": 1.0, "n2": 2.0, "dead": 3.0}), 5.0
    frame.to_csv(tmp_path / "air.csv", index=False)
    panel = read(tmp_path / "air.csv", domain="air", known_time="seen")
    assert np.isnat(panel.known_time.values[0, 0]) and panel.known_time.dims == ("time", "node")
    assert panel.known_time.values[1, 0] == np.datetime64("2020-01-01T03:00")
    assert panel.lat.values.tolist() == [1, 2, 3] and panel.lat.dims == ("node",)
    frame["lat"] = np.arange(12.0)
    frame.to_parquet(tmp_path / "buoys.parquet")
    refused(tmp_path / "buoys.parquet", "lat of a node changes", "kind='point'", known_time="seen")
    moving = read(tmp_path / "buoys.parquet", domain="sea", kind="point", known_time="seen")
    assert moving.lat.values.tolist() == np.arange(12.0).reshape(4, 3).tolist() and moving.lon.dims == ("time", "node")


def test_stamps_in_other_forms(tmp_path):
    zoned = written(tmp_path, "time,x\n2020-01-01T01:00+01:00,1\n2020-01-01T02:00+01:00,2\n")
    assert read(zoned, domain="air").time.values[0] == np.datetime64("2020-01-01T00:00")
    days = written(tmp_path, "Date;A;B\n03/01/2005;1;2\n10/01/2005;3;\n", "days.csv")
    refused(days, "Date is '03/01/2005'", "line 2", "time_format", wide="cases")
    panel = read(days, domain="d", wide="cases", time_format="%d/%m/%Y")
    assert panel.attrs["step"] == "7D" and panel.node.values.tolist() == ["A", "B"]
    np.testing.assert_array_equal(panel.cases.values, [[1, 2], [3, np.nan]])
    bare = written(tmp_path, "n1,n2\n1,2\n3,4\n", "bare.csv")
    refused(bare, "no time column", "there are n1, n2", "start and step", wide="speed")
    panel = read(bare, domain="d", wide="speed", start="2012-03-01", step="5min")
    assert panel.time.values[1] == np.datetime64("2012-03-01T00:05") and panel.speed.values.tolist() == [[1, 2], [3, 4]]
    refused(bare, "start or step is no time", wide="speed", start="yesterday", step="5min")


def test_duplicates(tmp_path):
    same = written(tmp_path, "time,node,x\n" + "2020-01-01,a,1\n" * 2 + "2020-01-02,a,\n" * 2 + "2020-01-03,a,3\n")
    panel = read(same, domain="air")
    assert panel.attrs["duplicates_dropped"] == 2 and panel.sizes["time"] == 3
    other = written(tmp_path, "time,node,x\n2020-01-01,a,1\n2020-01-01,b,1\n2020-01-01,a,2\n2020-01-02,a,\n")
    refused(other, "x of node a", "1.0 in line 2 and 2.0 here", "line 4")
    wide = written(tmp_path, "time,a\n2020-01-01,1\n2020-01-02,2\n2020-01-02,3\n")
    refused(wide, "x differs between two rows of 2020-01-02", "line 4", wide="x")


@pytest.mark.parametrize("wide", [None, "x"])
def test_a_few_second_readings_of_a_stamp_are_counted_and_the_first_is_read(tmp_path, wide):
    """Every file that went through a change of the clock has some."""
    stamps = [f"2014-03-{1 + hour // 24:02d}T{hour % 24:02d}:00,{hour}\n" for hour in range(24 * 12)]
    stamps[200:200] = [stamps[199].replace(",199", ",7")]
    panel = read(written(tmp_path, ("time,a\n" if wide else "time,x\n") + "".join(stamps)), domain="air", wide=wide)
    assert panel.attrs["same_step_dropped"] == 1 and panel.sizes["time"] == 24 * 12
    np.testing.assert_array_equal(panel.x.values[:, 0], np.arange(24 * 12.0))


def test_bad_tables_in_one_line(tmp_path):
    good = "time,node,x\n2020-01-01,a,1\n2020-01-02,a,2\n"
    refused(written(tmp_path, good), "no column 'y'", "x", variables=["y"])
    refused(written(tmp_path, good), "no column 'station'", "time, node, x", node="station")
    refused(written(tmp_path, good), "no column 'seen'", known_time="seen")
    refused(written(tmp_path, good), "units are given for 'q'", units={"q": "K"})
    refused(written(tmp_path, good), "step is 'soon'", step="soon")
    refused(written(tmp_path, good), "delay is '-1h'", delay="-1h")
    refused(written(tmp_path, good), "kind is 'cloud'", kind="cloud")
    refused(written(tmp_path, good), "both wide and variables", wide="x", variables=["x"])
    refused(written(tmp_path, "a,b\n1,2\n"), "no time column", "a, b")
    refused(written(tmp_path, "time,node\n2020-01-01,a\n"), "no column besides the axes")
    refused(written(tmp_path, ""), "the file is empty")
    refused(written(tmp_path, "time,node,x\n"), "no rows")
    refused(written(tmp_path, good[:-4]), "2 fields", "line 3", "3 fields", "cut")
    refused(written(tmp_path, good + "2020-01-03,a,3,4\n"), "4 fields", "line 4")
    refused(written(tmp_path, good + "2020-01-01,a,3\n"), "x of node a at 2020-01-01", "1.0 in line 2", "line 4")
    refused(written(tmp_path, good + "2020-01-03,a,3.5x\n"), "x is '3.5x'", "line 4")
    refused(written(tmp_path, good + ",a,3\n"), "time is missing", "line 4")
    refused(written(tmp_path, good + "2020-01-03,a,inf\n"), "infinite")
    refused(written(tmp_path, "time,x\n2020-01-01,1\n"), "one stamp alone has no step", "step='1h'")
    refused(written(tmp_path, "hello", "air.docx"), "'.docx'", ".csv")
    refused(written(tmp_path, "hello", "air.txt"), "no rows")
    refused(tmp_path / "absent.csv", "no such file")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80" * 20)
    refused(tmp_path / "binary.csv", "not a text table")
    assert read(written(tmp_path, "time,x\n2020-01-01,1\n"), domain="air", step="1h").x.values.tolist() == [[1]]


def test_files_cut_in_half(tmp_path):
    long_frame().to_parquet(tmp_path / "air.parquet")
    source = xr.Dataset({"x": (("time", "node"), np.random.default_rng(0).normal(size=(4, 3)))},
                        {"time": HOURS, "node": ["a", "b", "c"]})
    source.to_netcdf(tmp_path / "air.nc")
    for name, word in (("air.parquet", "not a sound Parquet"), ("air.nc", "not a sound NetCDF")):
        whole = (tmp_path / name).read_bytes()
        for share in (0.02, 0.5, 0.97):
            half = tmp_path / f"half-{share}{Path(name).suffix}"
            half.write_bytes(whole[:max(1, int(len(whole) * share))])
            refused(half, word, "fetch it again")
    (tmp_path / "zero.nc").write_bytes(b"")
    refused(tmp_path / "zero.nc", "the file is empty")


def test_netcdf_axes_by_cf_and_by_name(tmp_path):
    values = np.random.default_rng(1).normal(size=(4, 3)).astype("f4")
    source = xr.Dataset(
        {"pm": (("t", "station_number"), values, {"units": "ug m-3", "long_name": "PM", "standard_name": "pm"}),
         "label": ("station_number", ["a", "b", "c"], {"cf_role": "timeseries_id"}),
         "holiday": ("t", [0, 1, 0, 1])},
        {"t": ("t", HOURS, {"axis": "T", "timezone": "UTC"}),
         "y": ("station_number", [1.0, 2, 3], {"standard_name": "latitude"}),
         "x": ("station_number", [4.0, 5, 6], {"units": "degrees_east"})}, {"title": "test"})
    source.to_netcdf(tmp_path / "air.nc")
    panel = read(tmp_path / "air.nc", domain="air")
    assert panel.pm.values.tobytes() == values.tobytes() and panel.pm.dtype == np.float32
    assert panel.node.values.tolist() == ["a", "b", "c"] and panel.lat.values.tolist() == [1, 2, 3]
    assert panel.pm.attrs == {"units": "ug m-3", "long_name": "PM", "standard_name": "pm"}
    assert panel.attrs["title"] == "test" and panel.attrs["not_read"] == "holiday (on time)"
    assert panel.time.attrs["timezone"] == "UTC"
    both = read(tmp_path / "air.nc", domain="air", variables=["pm", "holiday"])
    assert both.holiday.values[:, 2].tolist() == [0, 1, 0, 1]
    refused(tmp_path / "air.nc", "no variable 'o3'", "pm", variables=["o3"])
    source.assign(area=("station_number", [1.0, 2, 3])).to_netcdf(tmp_path / "area.nc")
    refused(tmp_path / "area.nc", "'area' is no series", variables=["area"])
    refused(tmp_path / "air.nc", "no 'when'", time="when")


def test_netcdf_single_place_raster_and_bad_times(tmp_path):
    one = xr.Dataset({"x": ("time", [1.0, 2, 3, 4])}, {"time": HOURS, "lat": 50.0, "lon": 8.0})
    one.to_netcdf(tmp_path / "one.nc")
    panel = read(tmp_path / "one.nc", domain="d")
    assert panel.node.values.tolist() == ["0"] and panel.x.shape == (4, 1) and panel.lat.values.tolist() == [50]
    one.assign(station_name="Kiel").to_netcdf(tmp_path / "kiel.nc")
    assert read(tmp_path / "kiel.nc", domain="d").node.values.tolist() == ["Kiel"]
    grid = xr.Dataset({"t": (("time", "latitude", "longitude"), np.arange(24.0).reshape(4, 2, 3))},
                      {"time": HOURS, "latitude": [1.5, 2], "longitude": [7, 8, 9]})
    grid.to_netcdf(tmp_path / "grid.nc")
    refused(tmp_path / "grid.nc", "values on a grid")
    for name, order, word in (("back", [0, 2, 1, 3], "time goes backwards to 2020-01-01T01"),
                              ("twice", [0, 1, 1, 2], "")):
        one.isel(time=order).to_netcdf(tmp_path / f"{name}.nc")
        if word:
            refused(tmp_path / f"{name}.nc", word)
    assert read(tmp_path / "twice.nc", domain="d").attrs["duplicates_dropped"] == 1
    odd = xr.Dataset({"x": ("time", [1.0, 2])},
                     {"time": ("time", [0, 30], {"units": "days since 2000-01-01", "calendar": "360_day"})})
    odd.to_netcdf(tmp_path / "odd.nc")
    refused(tmp_path / "odd.nc", "calendar")


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared datasets are not here")


@needs_shared
@pytest.mark.parametrize(("file", "variables", "step", "nodes"), [
    ("beijing_air_quality/beijing_air_quality.nc", ["PM25", "O3"], "1h", 12),
    ("beijing_air_quality/beijing_air_quality.nc", ["TEMP", "PRES", "DEWP"], "1h", 12),
    ("muenster_bicycle_counters/muenster_bicycle.nc", ["bicycle_count"], "1h", 23),
    ("metro_i94_traffic_weather/metro_i94.nc", ["traffic_volume", "temp"], "1h", 1),
    ("hungary_chickenpox/hungary_chickenpox.nc", ["cases"], "7D", 20),
    ("los_loop/los_loop.nc", ["speed"], "5min", 207),
])
def test_real_files_bit_identical(file, variables, step, nodes):
    panel = read(SHARED / file, domain="real", variables=variables)
    with xr.open_dataset(SHARED / file) as source:
        for name in variables:
            raw = source[name].values
            assert panel[name].values.tobytes() == raw.astype("f8" if raw.dtype.kind == "i" else raw.dtype).tobytes()
            assert panel[name].attrs["units"] == source[name].attrs["units"]
    assert panel.attrs["step"] == step and panel.sizes["node"] == nodes and "known_time" in panel.coords


@needs_shared
def test_real_wide_table_equals_its_netcdf():
    table = read(SHARED / "los_loop/los_speed.csv", domain="real", wide="speed", start="2012-03-01", step="5min")
    netcdf = read(SHARED / "los_loop/los_loop.nc", domain="real")
    assert table.node.values.tolist() == netcdf.node.values.tolist()
    held = ~np.isnan(netcdf.speed.values)
    assert np.array_equal(table.speed.values.astype("f4")[held], netcdf.speed.values[held])


@needs_shared
def test_real_network_that_grows_through_the_store(tmp_path):
    """Muenster by years: nodes join, nothing is lost, and each year is read without the others."""
    whole = read(SHARED / "muenster_bicycle_counters/muenster_bicycle.nc", domain="bicycles")
    store = Store.open(tmp_path)
    for year in range(2019, 2027):
        part = whole.sel(time=str(year))
        part = part.isel(node=np.flatnonzero(part.bicycle_count.notnull().any("time")))
        with store.transaction(f"year {year}") as step:
            answer = step.ingest("bicycles", part)
        assert answer.new + answer.late == int(part.bicycle_count.notnull().sum()) and not answer.rejected
    held = store.read().as_known_at("bicycles", np.datetime64("2030-01-01"))
    back = held.sel(node=whole.node.values).reindex(time=whole.time.values)
    assert np.array_equal(back.bicycle_count.values, whole.bicycle_count.values, equal_nan=True)
