"""Sensors: read, check, back again, graphs, and networks that grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import graph, plot, sensor
from terracast.streams.kinds.check import check_kind

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")


def _network(steps: int = 6, nodes: tuple[str, ...] = ("b", "a"), start: str = "2020-01-01") -> xr.Dataset:
    values = np.arange(steps * len(nodes), dtype="float32").reshape(steps, -1)
    values[1, 0] = np.nan
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": "K", "long_name": "x of it"})},
                       {"time": pd.date_range(start, periods=steps, freq="h"), "node": list(nodes),
                        "lat": ("node", np.linspace(0, 1, len(nodes))), "lon": ("node", np.full(len(nodes), 3.0))},
                       {"domain": "air", "kind": "sensor", "step": "1h"})
    return sensor.check(panel.assign_coords(known_time=panel.time + np.timedelta64(90, "m")))


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_written_and_read_is_the_same(tmp_path: Path, ending: str) -> None:
    panel = _network()
    sensor.write(panel, tmp_path / f"air.{ending}")
    wanted = {"known_time": "known_time"} if ending == "nc" else {}
    again = sensor.read(tmp_path / f"air.{ending}", domain="air", **wanted)
    xr.testing.assert_equal(again.drop_vars("known_time"), panel.drop_vars("known_time"))
    assert (again.known_time.broadcast_like(again.x) == panel.known_time.broadcast_like(panel.x)).all()
    assert again.x.dtype == panel.x.dtype and again.x.attrs == panel.x.attrs


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"\.nc or \.zarr"):
        sensor.write(_network(), tmp_path / "air.xlsx")
    with pytest.raises(ReadError):
        sensor.read(tmp_path / "nothing.zarr", domain="air")


def test_active_is_what_was_known_then() -> None:
    panel = _network(8)
    late = np.repeat(panel.known_time.values[:, None], 2, axis=1)
    late[3] = np.datetime64("2020-01-01T06:30", "ns")  # the report of 03:00 comes at 06:30
    late[4:, 0] = np.datetime64("NaT", "ns")  # node b is never heard again
    panel = panel.assign_coords(known_time=(("time", "node"), late))
    mask = sensor.active(panel, pd.Timedelta("3h"))
    for at, stamp in enumerate(panel.time.values):
        for node in range(2):
            heard = [i for i in range(8) if late[i, node] <= stamp and np.isfinite(panel.x.values[i, node])
                     and panel.time.values[i] >= stamp - np.timedelta64(3, "h")]
            assert bool(mask[at, node]) == bool(heard)


def test_a_network_grows_and_its_past_stays() -> None:
    old, new = _network(4), _network(3, ("a", "b", "c"), "2020-01-01T04:00")
    whole = sensor.grown(old, new)
    assert whole.node.values.tolist() == ["b", "a", "c"] and whole.sizes["time"] == 7
    np.testing.assert_array_equal(whole.x.sel(node=["b", "a"]).values[:4], old.x.values)
    np.testing.assert_array_equal(whole.x.sel(node=["a", "b", "c"]).values[4:], new.x.values)
    assert whole.x.sel(node="c").isnull()[:4].all() and np.isnat(whole.known_time.sel(node="c").values[:4]).all()
    assert float(whole.lat.sel(node="c")) == 1.0 and whole.x.attrs == old.x.attrs
    assert not sensor.active(whole, pd.Timedelta("2h")).sel(node="c")[:5].any()
    with pytest.raises(PanelError, match="goes back in time"):
        sensor.grown(whole, new)


def test_graph_from_distance_is_brute_force() -> None:
    random = np.random.default_rng(1)
    lat, lon = random.uniform(-90, 90, 60), random.uniform(-180, 180, 60)
    panel = xr.Dataset(coords={"node": [f"n{i}" for i in range(60)], "lat": ("node", lat), "lon": ("node", lon)})
    away = haversine_km(lat[:, None], lon[:, None], lat, lon)
    np.fill_diagonal(away, np.inf)
    near = graph.radius_graph(panel, 2000.0).matrix().toarray()
    np.testing.assert_allclose(near, np.where(away <= 2000, away, 0.0))
    found = graph.nearest_graph(panel, 3)
    for node in range(60):
        assert set(found.source[found.target == node]) == set(np.argsort(away[:, node])[:3])


def test_graph_to_dataset_and_file_and_back(tmp_path: Path) -> None:
    one = graph.graph_of(["a", "b", "a"], ["b", "c", "c"], np.array([1.5, 2.0, 0.1]), ["c", "a", "b", "alone"], "km")
    again = graph.Graph.from_dataset(one.to_dataset())
    assert again.nodes == one.nodes and again.meaning == "km"
    np.testing.assert_array_equal(again.matrix().toarray(), one.matrix().toarray())
    one.write(tmp_path / "edges.csv")
    read = graph.read_graph(tmp_path / "edges.csv", one.nodes)
    np.testing.assert_array_equal(read.matrix().toarray(), one.matrix().toarray())
    with pytest.raises(PanelError, match="'c' of an edge"):
        graph.read_graph(tmp_path / "edges.csv", ["a", "b"])
    with pytest.raises(PanelError, match="do not fit"):
        graph.Graph(("a",), np.array([0]), np.array([1]), np.ones(1))


@needs_data
def test_graphs_of_real_networks() -> None:
    los = sensor.read(DATA / "los_loop" / "los_loop.nc", domain="traffic")
    roads = graph.read_graph(DATA / "los_loop" / "los_adj.csv", los.node.values)
    with xr.open_dataset(DATA / "los_loop" / "los_loop.nc") as file:
        np.testing.assert_allclose(roads.matrix().toarray(), file["adjacency"].values, rtol=1e-6)
    japan = sensor.read(DATA / "japan_influenza" / "japan_influenza.nc", domain="flu")
    borders = graph.read_graph(DATA / "japan_influenza" / "japan-adj.txt", japan.node.values)
    with xr.open_dataset(DATA / "japan_influenza" / "japan_influenza.nc") as file:
        np.testing.assert_array_equal(borders.matrix().toarray(), file["adjacency"].values)
    river = graph.read_graph(DATA / "danube_west" / "flow_edges.csv")
    assert len(river) == 19 and len(river.nodes) == 20
    counties = graph.read_graph(DATA / "hungary_chickenpox" / "hungary_county_edges.csv")
    assert len(counties.nodes) == 20 and (counties.matrix().toarray() == counties.matrix().toarray().T).all()
    with pytest.raises(ReadError, match="207 x 207"):
        graph.read_graph(DATA / "los_loop" / "los_adj.csv")
    assert len(plot.plot_sensor(los, "speed", roads).axes) == 3


@needs_data
def test_muenster_grows_from_7_to_23() -> None:
    path = DATA / "muenster_bicycle_counters" / "muenster_bicycle.nc"
    panel = check_kind(sensor.read(path, domain="bikes"))
    with xr.open_dataset(path) as file:
        first = file["first_observation"].values.astype("datetime64[D]")
    life = sensor.lifetimes(panel)
    gap = life["first_seen"].to_numpy().astype("datetime64[D]") - first
    assert np.median(gap) == np.timedelta64(0, "D") and (gap >= np.timedelta64(0, "D")).all()
    mask = sensor.active(panel, pd.Timedelta("60D"))
    number = mask.sum("node")
    assert int(number.sel(time="2019-01-02T00:00")) == 7 and int(number.max()) == 23
    born = mask.values.argmax(axis=0)
    assert (panel.time.values[born] >= life["first_seen"].to_numpy() + np.timedelta64(1, "h")).all()
