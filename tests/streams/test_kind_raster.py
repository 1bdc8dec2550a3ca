"""Rasters: lazy, land masks, levels, calendars, coarser cells, forms of files."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import raster
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.model_calendar import to_panel_time
from terracast.streams.kinds.raster_file import is_raster, read
from terracast.streams.kinds.raster_stream import coarsen_by, opened, raster_panels
from terracast.streams.readers.wanted import Wanted

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
LIEVRE, UZ, A1B = (DATA / name for name in ("lievre_basin_vic_raster/lievre_basin.nc", "eraint_uvz/eraint_uvz.nc",
                                            "climate_a1b_north_america/A1B_north_america.nc"))


def _wanted(path: Path, **how: object) -> Wanted:
    return Wanted(where=path.name, domain="weather", kind="raster", **how)  # type: ignore[arg-type]


def _lazy(data: xr.Dataset) -> bool:
    return all(data[name].chunks is not None for name in data.data_vars)


def _climate(path: Path, calendar: str = "360_day", step: str = "days", steps: int = 400) -> xr.Dataset:
    """Sea cells are missing; dates in a calendar of a climate model, or of months."""
    dates = xr.date_range("2000-01-01", periods=steps, freq={"days": "D", "months": "MS"}[step], calendar=calendar,
                          use_cftime=True)
    values = np.random.default_rng(0).normal(size=(steps, 5, 6)).astype("float32")
    values[:, :2, :3] = np.nan
    made = xr.Dataset({"tas": (("time", "rlat", "rlon"), values, {"units": "K"})},
                      {"time": dates, "rlat": ("rlat", np.linspace(60, 56, 5), {"units": "degrees_north"}),
                       "rlon": ("rlon", np.linspace(0, 5, 6), {"units": "degrees_east"})})
    made.to_netcdf(path)
    return made


@needs_data
@pytest.mark.parametrize("path", [LIEVRE, A1B])
def test_grid_to_panel_is_lossless_and_lazy(path: Path) -> None:
    grid = read(path, domain="weather")
    panel = check_kind(raster.to_panel(grid))
    assert _lazy(grid) and _lazy(panel)
    for variable in grid.data_vars:
        np.testing.assert_array_equal(panel[variable].values.reshape(grid[variable].shape), grid[variable].values)
        assert panel[variable].dtype == grid[variable].dtype and panel[variable].attrs == grid[variable].attrs


@needs_data
def test_the_basin_mask_drops_cells_and_nothing_else() -> None:
    stacked = opened(LIEVRE, _wanted(LIEVRE))
    (panel,) = raster_panels(LIEVRE, _wanted(LIEVRE))
    assert panel.sizes["node"] == 58 == stacked.cells and coarsen_by(stacked) == 1
    assert not panel.runoff.isnull().any() and panel.attrs["cell"] == "0.125,0.125"
    name = panel.node.values[17]
    lat, lon = (float(word) for word in name.split(","))
    np.testing.assert_array_equal(panel.runoff.values[:, 17], stacked.grid.runoff.sel(lat=lat, lon=lon).values)
    with pytest.raises(PanelError, match="mask"):
        raster.to_panel(stacked.grid, stacked.mask & False)


@needs_data
def test_levels_become_variables_and_two_months_are_no_series() -> None:
    grid = read(UZ, domain="weather", names={"month": "time"}, time=["2000-01-01", "2000-07-01"])
    assert list(grid.data_vars)[:3] == ["z_200", "z_500", "z_850"] and grid.z_500.attrs["level_units"] == "hPa"
    with pytest.raises(ReadError, match=r"no time axis among month \(2\).*100 steps or more"):
        opened(UZ, _wanted(UZ))


@needs_data
def test_years_of_a_360_day_calendar_keep_their_names() -> None:
    (panel,) = raster_panels(A1B, _wanted(A1B))
    assert [str(one)[:10] for one in panel.time.values[[0, -1]]] == ["1860-06-01", "2099-06-01"]
    assert panel.attrs["step"] == "1y" and panel.attrs["file_calendar"] == "360_day"
    with xr.open_dataset(A1B) as file:
        np.testing.assert_array_equal(panel.air_temperature.values.ravel(), file.air_temperature.values.ravel())


def test_calendars_of_models(tmp_path: Path) -> None:
    days = _climate(tmp_path / "days.nc")
    (panel,) = raster_panels(tmp_path / "days.nc", _wanted(tmp_path / "days.nc"))
    assert panel.sizes == {"time": 400, "node": 24} and panel.attrs["step"] == "1D"  # six cells of sea
    assert (np.diff(panel.time.values) == np.timedelta64(1, "D")).all()
    assert str(panel.time.values[0])[:10] == "2000-01-01"
    land = days.tas.values.reshape(400, 30)[:, ~np.isnan(days.tas.values[0]).ravel()]
    np.testing.assert_array_equal(panel.tas.values, land)
    _climate(tmp_path / "noleap.nc", "noleap")
    (panel,) = raster_panels(tmp_path / "noleap.nc", _wanted(tmp_path / "noleap.nc"))
    assert str(panel.time.values[59])[:10] == "2000-03-01" and panel.sizes["time"] == 400
    _climate(tmp_path / "months.nc", "360_day", "months", 60)
    (panel,) = raster_panels(tmp_path / "months.nc", _wanted(tmp_path / "months.nc"))
    assert panel.attrs["step"] == "1mo" and str(panel.time.values[-1])[:10] == "2004-12-01"


@given(st.sampled_from(["360_day", "noleap", "all_leap", "julian", "standard"]),
       st.lists(st.integers(-100 * 360 * 86_400_000_000, 200 * 360 * 86_400_000_000), min_size=1, max_size=20))
def test_time_passes_as_in_the_models_own_calendar(calendar: str, passed: list[int]) -> None:
    dates = np.array([cftime.num2date(one, "microseconds since 1990-01-01", calendar=calendar,
                                      only_use_cftime_datetimes=True) for one in passed])
    stamps = to_panel_time(dates)
    order = np.argsort(passed, kind="stable")
    assert (np.diff(stamps[order]).astype(int) == np.diff(np.array(passed)[order]) * 1000).all()


def _large(folder: Path) -> tuple[Path, int]:
    time = np.datetime64("2020-01-01", "ns") + np.arange(1000) * np.timedelta64(1, "h")
    values = np.random.default_rng(0).normal(size=(1000, 60, 80)).astype("float32")
    grid = xr.Dataset({"t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "t"})},
                      {"time": time, "lat": np.linspace(60, 30, 60), "lon": np.linspace(0, 40, 80)})
    grid.chunk({"time": 50}).to_zarr(folder / "large.zarr", consolidated=False)
    return folder / "large.zarr", values.nbytes


def test_pieces_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path, size = _large(tmp_path)
    assert is_raster(path)
    tracemalloc.start()
    try:
        stacked = opened(path, _wanted(path))
        panel = raster.to_panel(stacked.grid, stacked.mask)
        one = panel.t.isel(time=slice(100, 110)).values
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert one.shape == (10, 4800) and peak < 0.6 * size
    pieces = list(raster_panels(path, _wanted(path)))
    assert len(pieces) == 2 and sum(one.sizes["time"] for one in pieces) == 1000
    with xr.open_zarr(path, consolidated=False) as whole:
        np.testing.assert_array_equal(np.concatenate([one.t.values for one in pieces]).ravel(), whole.t.values.ravel())


def test_coarser_cells_are_means_of_what_is_there(tmp_path: Path) -> None:
    made = _climate(tmp_path / "days.nc", "standard")
    (panel,) = raster_panels(tmp_path / "days.nc", _wanted(tmp_path / "days.nc"), 2)
    block = made.tas.values[:, :2, 2:4].reshape(400, 4)
    np.testing.assert_allclose(panel.tas.sel(node="59.5,2.5").values, np.nanmean(block, axis=1), rtol=1e-5)
    assert panel.sizes["node"] == 8 and panel.attrs["cell"] == "2,2"  # of nine one lies in the sea
    path, _ = _large(tmp_path)
    assert coarsen_by(opened(path, _wanted(path))) == 3


def test_a_file_a_step_needs_the_step(tmp_path: Path) -> None:
    made = xr.Dataset({"rain": (("latitude", "longitude"), np.ones((2, 2)), {"units": "mm"})},
                      {"latitude": [1.0, 2.0], "longitude": [5.0, 6.0],
                       "time": np.datetime64("2024-05-06T06:00", "ns")})
    made.to_netcdf(tmp_path / "r.nc")
    (panel,) = raster_panels(tmp_path / "r.nc", _wanted(tmp_path / "r.nc", step="1h"))
    assert panel.sizes == {"time": 1, "node": 4} and str(panel.time.values[0])[:13] == "2024-05-06T06"
    with pytest.raises(ReadError, match="step"):
        opened(tmp_path / "r.nc", _wanted(tmp_path / "r.nc"))


def test_a_geotiff_is_one_step(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    for hour in (6, 7):
        with rasterio.open(tmp_path / f"rain_20240506T{hour:02d}00.tif", "w", driver="GTiff", width=3, height=2,
                           count=1, dtype="float32", crs="EPSG:4326", nodata=-9999.0,
                           transform=rasterio.transform.from_origin(10.0, 50.0, 0.5, 0.5)) as file:
            file.write(np.array([[1.0, 2, -9999], [4, 5, -9999]], "float32") + hour * (np.ones((2, 3)) * [1, 1, 0]), 1)
    path = tmp_path / "rain_20240506T0600.tif"
    (panel,) = raster_panels(path, _wanted(path, step="1h"))
    assert panel.node.values.tolist() == ["49.75,10.25", "49.75,10.75", "49.25,10.25", "49.25,10.75"]
    assert panel["value"].values.tolist() == [[7.0, 8.0, 10.0, 11.0]]
    assert str(panel.time.values[0])[:13] == "2024-05-06T06"


def test_a_grid_that_is_none_is_refused(tmp_path: Path) -> None:
    time = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    flat = xr.Dataset({"t": (("time", "y"), np.ones((2, 2)))}, {"time": time})
    flat.to_netcdf(tmp_path / "flat.nc")
    with pytest.raises(ReadError, match="no axis 'lat'"):
        read(tmp_path / "flat.nc", domain="weather")
    (tmp_path / "broken.nc").write_bytes(b"nonsense")
    with pytest.raises(ReadError, match="not a raster file"):
        read(tmp_path / "broken.nc", domain="weather")
    assert not is_raster(tmp_path / "broken.nc") and not is_raster(tmp_path / "flat.nc")


@needs_data
def test_grib_reads_with_the_extra_and_says_so_without() -> None:
    path = DATA / "era5_uk_t2m" / "era5-2mt-2019-03-uk.grib"
    if importlib.util.find_spec("cfgrib") is None:
        with pytest.raises(ReadError, match=r"terracast\[grib\]"):
            read(path, domain="weather")
        pytest.skip("cfgrib is not installed: only the error was tried")
    grid = read(path, domain="weather")
    plain = read(DATA / "era5_uk_t2m" / "era5_uk_t2m.nc", domain="weather")
    np.testing.assert_allclose(grid.t2m.values, plain.t2m.values, atol=1e-2)
