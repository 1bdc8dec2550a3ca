"""Rasters: lazy there and back, masks, levels, calendars."""

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

from terracast.stats.great_circle import EARTH_RADIUS_KM
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import plot, raster
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.model_calendar import from_panel_time, to_panel_time

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
READS = [("lievre_basin_vic_raster/lievre_basin.nc", {}), ("era5_uk_t2m/era5_uk_t2m.nc", {}),
         ("eraint_uvz/eraint_uvz.nc", {"names": {"month": "time"}, "time": ["2000-01-01", "2000-07-01"]}),
         ("climate_a1b_north_america/A1B_north_america.nc", {})]


def _lazy(data: xr.Dataset) -> bool:
    return all(data[name].chunks is not None for name in data.data_vars)


@needs_data
@pytest.mark.parametrize(("name", "how"), READS)
def test_grid_to_panel_and_back_is_lossless_and_lazy(name: str, how: dict[str, object]) -> None:
    grid = raster.read(DATA / name, domain="weather", **how)  # type: ignore[arg-type]
    panel = check_kind(raster.to_panel(grid))
    back = raster.to_grid(panel)
    assert _lazy(grid) and _lazy(panel) and _lazy(back)
    for variable in grid.data_vars:
        np.testing.assert_array_equal(back[variable].values, grid[variable].values)
        assert back[variable].dtype == grid[variable].dtype and back[variable].attrs == grid[variable].attrs
    for axis in ("time", "lat", "lon"):
        np.testing.assert_array_equal(back[axis].values, grid[axis].values)
        assert back[axis].dtype == grid[axis].dtype
    check_kind(panel.compute())


@needs_data
def test_the_basin_mask_drops_cells_and_nothing_else() -> None:
    grid = raster.read(DATA / READS[0][0], domain="basin")
    inside = raster.observed_cells(grid)
    panel = raster.to_panel(grid, inside)
    assert panel.sizes["node"] == 58 == int(inside.sum()) and _lazy(panel)
    assert not panel.runoff.isnull().any()
    np.testing.assert_array_equal(raster.to_grid(panel).runoff.values, grid.runoff.values)
    name = panel.node.values[17]
    lat, lon = (float(word) for word in name.split(","))
    np.testing.assert_array_equal(panel.runoff.sel(node=name), grid.runoff.sel(lat=lat, lon=lon))
    with pytest.raises(PanelError, match="mask"):
        raster.to_panel(grid, inside & False)
    assert plot.plot_raster(panel, "runoff", "2005-04-20").axes


@needs_data
def test_levels_become_variables_and_come_together_again() -> None:
    grid = raster.read(DATA / READS[2][0], domain="weather", **READS[2][1])  # type: ignore[arg-type]
    assert list(grid.data_vars)[:3] == ["z_200", "z_500", "z_850"] and grid.z_500.attrs["level_units"] == "hPa"
    whole = raster.levels_together(raster.to_grid(raster.to_panel(grid)))
    with xr.open_dataset(DATA / READS[2][0]) as file:
        for name in ("z", "u", "v"):
            np.testing.assert_array_equal(whole[name].values, file[name].values)
            assert whole[name].attrs == file[name].attrs


@needs_data
def test_a_360_day_calendar_keeps_its_dates_and_its_step(tmp_path: Path) -> None:
    path = DATA / READS[3][0]
    grid = raster.read(path, domain="climate")
    panel = raster.to_panel(grid)
    assert (np.diff(panel.time.values) == np.timedelta64(360, "D")).all() and panel.attrs["step"] == "360D"
    assert panel.attrs["calendar"] == "360_day" and str(panel.calendar_time.values[0]).startswith("1860-06-01")
    raster.write(raster.to_grid(panel), tmp_path / "again.nc")
    with xr.open_dataset(path) as file, xr.open_dataset(tmp_path / "again.nc") as again:
        assert (file.time.values == again.time.values).all()
        np.testing.assert_array_equal(file.air_temperature.values, again.air_temperature.values)
    again = raster.read(tmp_path / "again.nc", domain="climate")
    np.testing.assert_array_equal(again.time.values, grid.time.values)


@given(st.sampled_from(["360_day", "noleap", "all_leap", "julian", "standard"]),
       st.lists(st.integers(-100 * 360 * 86_400_000_000, 200 * 360 * 86_400_000_000), min_size=1, max_size=20))
def test_calendars_go_there_and_back(calendar: str, passed: list[int]) -> None:
    dates = np.array([cftime.num2date(one, "microseconds since 1990-01-01", calendar=calendar,
                                      only_use_cftime_datetimes=True) for one in passed])
    stamps = to_panel_time(dates)
    assert (from_panel_time(stamps, calendar) == dates).all()
    order = np.argsort(passed, kind="stable")
    assert (np.diff(stamps[order]).astype(int) == np.diff(np.array(passed)[order]) * 1000).all()


def _large(folder: Path) -> tuple[Path, int]:
    time = np.datetime64("2020-01-01", "ns") + np.arange(1000) * np.timedelta64(1, "h")
    values = np.random.default_rng(0).normal(size=(1000, 60, 80)).astype("float32")
    grid = xr.Dataset({"t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "t"})},
                      {"time": time, "lat": np.linspace(60, 30, 60), "lon": np.linspace(0, 40, 80)},
                      {"domain": "weather", "kind": "raster", "step": "1h"})
    grid.chunk({"time": 50}).to_zarr(folder / "large.zarr", consolidated=False)
    return folder / "large.zarr", values.nbytes


def test_nothing_is_read_or_copied_before_it_is_asked_for(tmp_path: Path) -> None:
    path, size = _large(tmp_path)
    mask = xr.DataArray(np.random.default_rng(1).random((60, 80)) < 0.5, dims=("lat", "lon"))
    tracemalloc.start()
    try:
        panel = raster.to_panel(raster.read(path, domain="weather"), mask)
        back = raster.to_grid(panel)
        assert _lazy(panel) and _lazy(back)
        one = panel.t.isel(time=slice(100, 110)).values
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert one.shape == (10, int(mask.sum())) and peak < 0.35 * size
    raster.write(back, tmp_path / "back.zarr")
    with xr.open_zarr(path, consolidated=False) as whole, \
            xr.open_zarr(tmp_path / "back.zarr", consolidated=False) as again:
        np.testing.assert_array_equal(again.t.values, whole.t.where(mask).transpose("time", "lat", "lon").values)


@needs_data
def test_areas_cover_the_earth() -> None:
    grid = raster.read(DATA / READS[2][0], domain="weather", **READS[2][1])  # type: ignore[arg-type]
    assert float(raster.areas_km2(raster.to_panel(grid)).sum()) == pytest.approx(4 * np.pi * EARTH_RADIUS_KM**2)


def test_a_grid_that_is_none_is_refused(tmp_path: Path) -> None:
    time = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    flat = xr.Dataset({"t": (("time", "y"), np.ones((2, 2)))}, {"time": time})
    flat.to_netcdf(tmp_path / "flat.nc")
    with pytest.raises(ReadError, match="no axis 'lat'"):
        raster.read(tmp_path / "flat.nc", domain="weather")
    (tmp_path / "broken.nc").write_bytes(b"nonsense")
    with pytest.raises(ReadError, match="not a raster file"):
        raster.read(tmp_path / "broken.nc", domain="weather")


@needs_data
def test_grib_reads_with_the_extra_and_says_so_without() -> None:
    path = DATA / "era5_uk_t2m" / "era5-2mt-2019-03-uk.grib"
    if importlib.util.find_spec("cfgrib") is None:
        with pytest.raises(ReadError, match=r"terracast\[grib\]"):
            raster.read(path, domain="weather")
        pytest.skip("cfgrib is not installed: only the error was tried")
    grid = raster.read(path, domain="weather")
    plain = raster.read(DATA / "era5_uk_t2m" / "era5_uk_t2m.nc", domain="weather")
    np.testing.assert_allclose(grid.t2m.values, plain.t2m.values, atol=1e-2)
