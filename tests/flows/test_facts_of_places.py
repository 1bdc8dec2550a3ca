"""Facts of places (height, type of road, a name) are kept with the nodes, by the verbs a person types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.ingest import ingest
from terracast.flows.init import write_settings
from terracast.flows.look import look
from terracast.flows.workspace import Workspace
from terracast.streams.errors import ReadError
from terracast.streams.sources import Arrival, Terms, arranged, reports_of_rows

pytestmark = pytest.mark.integration
HEIGHTS = {"A": 12.0, "B": 340.5}
ROADS = {"A": "motorway", "B": "side street"}


def table(first: str, steps: int, nodes: str = "AB", **facts: dict[str, object]) -> pd.DataFrame:
    rows = [{"time": f"{stamp.isoformat()}Z", "station": node, **{name: held[node] for name, held in facts.items()},
             "no2": float(hour + ord(node))} for hour, stamp in enumerate(pd.date_range(first, periods=steps, freq="h"))
            for node in nodes]
    return pd.DataFrame(rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    table("2024-01-01", 200, road=ROADS, height=HEIGHTS).to_csv(tmp_path / "in/1.csv", index=False)
    write_settings("air", tmp_path / "in", tmp_path)
    return tmp_path


def known(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Heights and roads as the loop sees them."""
    panel = Workspace.open(folder / "terracast.toml").store.read().as_known_at("air", np.datetime64("2100-01-01"))
    nodes = panel["node"].values.tolist()
    return (dict(zip(nodes, panel["height"].values.tolist(), strict=True)),
            dict(zip(nodes, panel["road"].values.tolist(), strict=True)))


def test_they_are_in_the_panel_that_the_loop_reads(workspace: Path) -> None:
    assert ingest(str(workspace / "terracast.toml"))["refused"] is None
    assert known(workspace) == (HEIGHTS, ROADS)


def test_a_later_file_without_them_changes_nothing_and_new_nodes_know_none(workspace: Path) -> None:
    ingest(str(workspace / "terracast.toml"))
    table("2024-01-09T08:00", 30, "ABC").to_csv(workspace / "in/2.csv", index=False)
    answer = ingest(str(workspace / "terracast.toml"))
    assert answer["refused"] is None
    heights, roads = known(workspace)
    assert np.isnan(heights.pop("C")) and roads.pop("C") == ""
    assert (heights, roads) == (HEIGHTS, ROADS)


def test_a_fact_that_is_no_column_is_told_where_it_is_typed(workspace: Path) -> None:
    with pytest.raises(ReadError, match="no column 'hight'"):
        look(workspace / "in/1.csv", {"facts": ["hight"]})


def test_facts_of_an_array_file(tmp_path: Path) -> None:
    panel = xr.Dataset({"no2": (("time", "node"), np.ones((200, 2)), {"units": "ug m-3", "long_name": "NO2"})},
                       {"time": pd.date_range("2024-01-01", periods=200, freq="h"), "node": ["A", "B"]},
                       {"domain": "air", "kind": "sensor", "step": "1h"})
    panel.assign(height=("node", list(HEIGHTS.values())), road=("node", list(ROADS.values()))).to_netcdf(
        tmp_path / "air.nc")
    write_settings("air", tmp_path / "air.nc", tmp_path)
    assert ingest(str(tmp_path / "terracast.toml"))["refused"] is None
    assert known(tmp_path) == (HEIGHTS, ROADS)


def test_facts_of_live_rows(tmp_path: Path) -> None:
    terms = Terms("air", pd.Timedelta("1h"), reading={"facts": ("road", "height"), "decimal": ","})
    rows = [{"time": f"2024-01-01T0{hour}:00Z", "node": node, "no2": hour, "road": ROADS[node],
             "height": str(HEIGHTS[node]).replace(".", ",")} for hour in range(3) for node in "AB"]
    reports, faults = reports_of_rows([Arrival(row, np.datetime64("2025-01-01"), "row") for row in rows], terms)
    (panel,) = arranged(reports, terms).panels
    assert not faults and list(panel.data_vars) == ["no2"]
    assert panel["height"].values.tolist() == list(HEIGHTS.values()) and panel["road"].values.tolist() == list(
        ROADS.values())


def test_a_changed_fact_is_told_and_the_stored_one_kept(workspace: Path) -> None:
    ingest(str(workspace / "terracast.toml"))
    table("2024-01-09T08:00", 30, "ABC", road={**ROADS, "B": "footpath", "C": "square"},
          height={**HEIGHTS, "C": 3}).to_csv(workspace / "in/2.csv", index=False)
    (answer,) = ingest(str(workspace / "terracast.toml"))["files"]
    assert answer["notes"] == ("another road was given for B (footpath, not side street): the stored one is kept",)
    heights, roads = known(workspace)
    assert heights == {**HEIGHTS, "C": 3.0} and roads == {**ROADS, "C": "square"}
