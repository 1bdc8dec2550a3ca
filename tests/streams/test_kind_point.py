"""Moving points: look-ups against brute force, tables and files there and back, the grid with its support."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import plot, point, raster
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.nearby import Nearby

# the poles, the date line from both sides, Greenwich, and a doubled place
HARD = [(90.0, 0.0), (90.0, 77.0), (-90.0, 10.0), (0.0, 180.0), (0.0, -180.0), (0.1, 179.99), (0.1, -179.99),
        (51.5, 0.0), (51.5, 360.0), (89.9, -170.0)]


def _buoys(steps: int = 5, nodes: int = 12, seed: int = 0) -> xr.Dataset:
    random = np.random.default_rng(seed)
    lat = np.clip(random.uniform(-80, 80, nodes) + np.cumsum(random.normal(0, 1, (steps, nodes)), 0), -90, 90)
    lon = (random.uniform(-180, 180, nodes) + np.cumsum(random.normal(0, 2, (steps, nodes)), 0) + 180) % 360 - 180
    there = random.random((steps, nodes)) < 0.9
    table = pd.DataFrame({"time": np.repeat(pd.date_range("2020-01-01", periods=steps, freq="D"), nodes),
                          "node": np.tile([f"b{node:02}" for node in range(nodes)], steps), "lat": lat.ravel(),
                          "lon": lon.ravel(), "sst": random.normal(15, 5, steps * nodes)})
    table["known_time"] = table["time"] + pd.to_timedelta(random.integers(0, 60, len(table)), "h")
    return point.of_table(table[there.ravel()].reset_index(drop=True), domain="sea", units={"sst": "degC"})


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.0, 20_100.0))
def test_look_ups_are_those_of_brute_force(seed: int, count: int, radius: float) -> None:
    random = np.random.default_rng(seed)
    hard = np.array(HARD)[random.permutation(len(HARD))[:6]]
    lat = np.concatenate([hard[:, 0], np.rad2deg(np.arcsin(random.uniform(-1, 1, 20)))])
    lon = np.concatenate([hard[:, 1], random.uniform(-180, 360, 20)])
    asked_lat, asked_lon = np.array(HARD).T
    away = haversine_km(asked_lat[:, None], asked_lon[:, None], lat, lon)
    index = Nearby(lat, lon)
    rows, distance = index.nearest(asked_lat, asked_lon, count)
    np.testing.assert_allclose(distance, np.sort(away, axis=1)[:, :count], atol=1e-6)
    np.testing.assert_array_equal(distance, np.take_along_axis(away, rows, axis=1))
    for found, own in zip(index.within(asked_lat, asked_lon, radius), away, strict=True):
        np.testing.assert_array_equal(found, np.flatnonzero(own <= radius))


def test_missing_positions_are_never_found() -> None:
    index = Nearby([0.0, np.nan], [0.0, 1.0])
    rows, away = index.nearest([0.0, np.nan], [1.0, 0.0], 2)
    assert rows.tolist() == [[0, -1], [-1, -1]] and np.isnan(away[0, 1])
    assert index.within([np.nan], [0.0], 1e5)[0].size == 0
    assert Nearby([np.nan], [0.0]).nearest([0.0], [0.0])[0].tolist() == [[-1]]


def test_neighbours_follow_the_nodes_step_by_step() -> None:
    panel = _buoys()
    found = point.neighbours(panel, 3)
    for step in range(panel.sizes["time"]):
        lat, lon = panel.lat.values[step], panel.lon.values[step]
        away = haversine_km(lat[:, None], lon[:, None], lat, lon)
        np.fill_diagonal(away, np.nan)
        expected = np.sort(away, axis=1)[:, :3]
        np.testing.assert_allclose(found.distance.values[step], expected, atol=1e-6)
        assert ((found.neighbour.values[step] < 0) == np.isnan(expected)).all()
        assert len(point.index_at(panel, panel.time.values[step])) == np.isfinite(lat).sum()
    assert (point.neighbours(panel.isel(node=[0]), 2).neighbour == -1).all()


@pytest.mark.parametrize("ending", ["parquet", "csv", "nc"])
def test_written_and_read_is_the_same(tmp_path: Path, ending: str) -> None:
    panel = check_kind(_buoys())
    file = tmp_path / f"sea.{ending}"
    if ending == "nc":
        point.write(panel, file)
        again = point.read(file, domain="sea", known_time="known_time")
        assert again.sst.attrs == panel.sst.attrs
    else:
        table = point.to_table(panel)
        table.to_parquet(file) if ending == "parquet" else table.to_csv(file, index=False)
        again = point.read(file, domain="sea", units={"sst": "degC"})
    for name in ("sst", "lat", "lon", "known_time", "time", "node"):
        np.testing.assert_array_equal(again[name].values, panel[name].values)
    assert again.attrs["kind"] == "point" and plot.plot_point(again, "sst", "2020-01-03").axes


def test_a_grid_only_when_asked_with_its_support() -> None:
    panel = _buoys(6, 300)
    cells = GridCells(tuple(np.arange(-90.0, 91, 30)), tuple(np.arange(-180.0, 181, 60)))
    grid = point.on_grid(panel, cells, patience="24h")
    deadline = panel.time.values + np.timedelta64(48, "h")
    in_time = panel.known_time.values <= deadline[:, None]
    cell = cells.cell_of(panel.lat.values.ravel(), panel.lon.values.ravel()).reshape(panel.lat.shape)
    for step in (0, 5):
        for one in (3, 20):
            inside = in_time[step] & (cell[step] == one) & np.isfinite(panel.sst.values[step])
            row, column = divmod(one, cells.shape[1])
            assert float(grid.sst_support[step, row, column]) == inside.sum()
            np.testing.assert_allclose(grid.sst[step, row, column], panel.sst.values[step][inside].mean())
    seen = np.isfinite(panel.sst.values)
    assert float(grid.sst_support.sum()) == (in_time & seen).sum() and grid.attrs["late"] == (~in_time & seen).sum() > 0
    np.testing.assert_array_equal(grid.known_time.values, deadline)
    assert check_kind(raster.to_panel(grid)).sizes["node"] == len(cells)


def test_what_is_no_moving_point_is_refused(tmp_path: Path) -> None:
    panel = _buoys()
    with pytest.raises(PanelError, match="no position"):
        point.check(panel.assign_coords(lat=panel.lat.where(panel.node != "b03")))
    with pytest.raises(PanelError, match="does not move"):
        point.check(panel.assign_coords(lat=("node", panel.lat.values[0]), lon=("node", panel.lon.values[0])))
    with pytest.raises(PanelError, match="kind is 'sensor'"):
        point.check(panel.assign_attrs(kind="sensor"))
    with pytest.raises(PanelError, match="two rows at one stamp"):
        point.of_table(pd.concat([point.to_table(panel)] * 2), domain="sea")
    (tmp_path / "sea.csv").write_text("when,node,lat,lon,x\n2020-01-01,a,0,0,1\n", encoding="utf-8")
    with pytest.raises(ReadError, match="no column 'time'"):
        point.read(tmp_path / "sea.csv", domain="sea")
    assert point.read(tmp_path / "sea.csv", domain="sea", time="when", step="1D").x.item() == 1.0
