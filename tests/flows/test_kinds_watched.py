"""Events, movers and rasters as sources: from init to what the store holds, and what comes later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.init import write_settings
from terracast.flows.reporting.map import draw_map, prepared_nodes
from terracast.flows.settings import SourceContext, read_settings
from terracast.streams.errors import TerracastError
from terracast.streams.schema.file_schema import look_into
from terracast.streams.sources import IngestAnswer, drain
from terracast.streams.store import Store

EVER = np.datetime64("2261-01-01", "ns")


def _fires(path: Path, days: int = 300, a_day: int = 40, seed: int = 0) -> pd.DataFrame:
    """Incidents of another city, with names of its own; reports come hours later."""
    random = np.random.default_rng(seed)
    many = days * a_day
    time = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.sort(random.integers(0, days * 86400, many)), "s")
    hours = random.integers(0, 30, many) * random.choice([1, 8], many, p=[0.95, 0.05])
    reported = time + pd.to_timedelta(hours, "h")
    table = pd.DataFrame({"Einsatzbeginn": time.strftime("%d.%m.%Y %H:%M:%S"),
                          "gemeldet": reported.strftime("%d.%m.%Y %H:%M:%S"),
                          "Geo_Breite": random.normal(52.5, 0.05, many).round(5),
                          "Geo_Laenge": random.normal(13.4, 0.08, many).round(5),
                          "Stichwort": random.choice(["Brand", "Hilfe", "Unfall"], many)})
    table.to_csv(path, sep=";", decimal=",", index=False, encoding="latin-1")
    return table


def _ingested(folder: Path, now: str) -> tuple[Store, tuple[IngestAnswer, ...]]:
    settings = read_settings(folder / "terracast.toml")
    context = SourceContext(settings.folder, folder / "inbox", lambda: np.datetime64(now, "ns"))
    store = Store.open(folder / "store")
    return store, drain([one.build(context) for one in settings.sources], store)


def test_incidents_of_another_city(tmp_path: Path) -> None:
    table = _fires(tmp_path / "einsaetze.csv")
    write_settings("fires", tmp_path / "einsaetze.csv", tmp_path)
    text = (tmp_path / "terracast.toml").read_text(encoding="utf-8")
    for line in ('kind = "event"', 'time = "Einsatzbeginn"', 'known_time = "gemeldet"', 'model = "counts"',
                 'target = "events"', 'event_type = "Stichwort"'):
        assert line in text
    store, answers = _ingested(tmp_path, "2022-03-01")
    assert not any(one.refused for one in answers) and sum(one.revised for one in answers) > 0
    panel = store.read().as_known_at("fires", EVER)
    assert panel.attrs["kind"] == "event" and float(panel["events"].sum()) == len(table)
    assert bool((panel["events"] == 0).any()) and not bool(panel["events"].isnull().any())
    early = store.read().as_known_at("fires", np.datetime64("2021-06-01", "ns"))
    reported = pd.to_datetime(table["gemeldet"], dayfirst=True)
    assert float(early["events"].sum()) <= (reported <= "2021-06-01").sum()
    assert _ingested(tmp_path, "2022-03-01")[1] == ()  # nothing is new


def test_types_of_events_that_are_counted_together_are_told(tmp_path: Path) -> None:
    _fires(tmp_path / "einsaetze.csv")
    (doubt,) = [one for one in look_into(tmp_path / "einsaetze.csv", "fires").doubts if "together" in one.what]
    assert doubt.option == "--event-type Stichwort" and "3 types" in doubt.what
    apart = look_into(tmp_path / "einsaetze.csv", "fires", {"event_type": "Stichwort"})
    assert {"events", "Brand", "Hilfe", "Unfall"} <= set(apart.sources[0].panel.data_vars)
    assert not any("together" in one.what for one in apart.doubts)


def test_events_that_come_later_join_and_the_cells_stay(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    table = _fires(tmp_path / "all.csv")
    month = pd.to_datetime(table["Einsatzbeginn"], dayfirst=True).dt.to_period("M")
    parts = [part for _, part in table.groupby(month)]
    for number, part in enumerate(parts[:-1]):
        part.to_csv(folder / f"{number}.csv", index=False)
    write_settings("fires", folder, tmp_path)
    config = tmp_path / "terracast.toml"
    config.write_text("".join(line for line in config.read_text(encoding="utf-8").splitlines(keepends=True)
                              if not line.startswith("cell")), encoding="utf-8")
    store, _ = _ingested(tmp_path, "2022-03-01")
    before = store.read().as_known_at("fires", EVER)
    parts[-1].to_csv(folder / "last.csv", index=False)
    store, answers = _ingested(tmp_path, "2022-03-01")
    after = store.read().as_known_at("fires", EVER)
    assert sum(one.new for one in answers) > 0 and set(before.node.values) <= set(after.node.values)
    assert after.attrs["cell"] == before.attrs["cell"] and float(after["events"].sum()) == len(table)


def test_buses_and_a_raster_with_a_land_mask(tmp_path: Path) -> None:
    steps = np.arange(400)
    rows = [pd.DataFrame({"bus_id": f"b{bus}", "ts": 1_700_000_000 + 60 * steps,
                          "y": 48.1 + 0.02 * np.sin(steps / 20 + bus), "x": 11.5 + 0.02 * np.cos(steps / 20 + bus)})
            for bus in range(4)]
    pd.concat(rows).to_parquet(tmp_path / "buses.parquet")
    (tmp_path / "bus").mkdir()
    write_settings("buses", tmp_path / "buses.parquet", tmp_path / "bus")
    store, answers = _ingested(tmp_path / "bus", "2024-01-01")
    panel = store.read().as_known_at("buses", EVER)
    assert not any(one.refused for one in answers) and set(panel.data_vars) == {"movers", "speed"}
    assert panel["movers"].sum("node").max() >= 4 and panel.attrs["kind"] == "trajectory"

    values = np.random.default_rng(0).normal(280, 1, (450, 4, 5)).astype("float32")
    values[:, :, :2] = np.nan
    xr.Dataset({"tas": (("time", "lat", "lon"), values, {"units": "K", "standard_name": "air_temperature"})},
               {"time": xr.date_range("2000-01-01", periods=450, freq="D", calendar="360_day", use_cftime=True),
                "lat": np.arange(4.0), "lon": np.arange(5.0)}).to_netcdf(tmp_path / "tas.nc")
    (tmp_path / "grid").mkdir()
    write_settings("climate", tmp_path / "tas.nc", tmp_path / "grid")
    store, answers = _ingested(tmp_path / "grid", "2024-01-01")
    panel = store.read().as_known_at("climate", EVER)
    assert sum(one.new for one in answers) == 450 * 12 and panel.sizes["node"] == 12
    assert panel.attrs["cell"] == "1,1" and panel.attrs["kind"] == "raster"


def test_what_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    xr.Dataset({"z": (("month", "lat", "lon"), np.ones((2, 3, 3)))},
               {"month": [1, 7], "lat": np.arange(3.0), "lon": np.arange(3.0)}).to_netcdf(tmp_path / "two.nc")
    with pytest.raises(TerracastError, match=r"no time axis among month .*100 steps or more"):
        write_settings("two", tmp_path / "two.nc", tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(TerracastError, match="no column is a time"):
        write_settings("x", tmp_path / "x.csv", tmp_path, reading={"kind": "event"})


def test_cells_are_drawn_as_cells() -> None:
    nodes = prepared_nodes(pd.DataFrame({"node": ["a", "b"], "lat": [0.5, 0.5], "lon": [0.5, 1.5], "error": [1.0, 2.0],
                                         "reference_error": [1.0, 1.0], "state": ["calm", "episode"]}))
    drawing = draw_map(nodes, "cell", (1.0, 1.0)).drawing
    assert drawing.count("<rect") == 2 and "<circle" not in drawing and ">b</text>" in drawing
    assert "<rect" not in draw_map(nodes).drawing
