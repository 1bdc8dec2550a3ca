"""Real data: weather drives air quality in Beijing, never the other way round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr

from terracast.causal.discover import discover
from terracast.causal.graph.graph import Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Prepared, prepare
from terracast.drivers.direct_causes import choose_drivers

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="shared/data/beijing_air_quality is not here")
AIR, WEATHER = ["PM25", "NO2", "O3"], ["TEMP", "PRES", "DEWP", "RAIN", "WSPM"]


def beijing(first: str, last: str, air: list[str], weather: list[str]) -> Prepared:
    with xr.open_dataset(FOLDER / "beijing_air_quality.nc") as data:
        part = data.sel(time=slice(first, last)).load()
    return prepare({"weather": part[weather].assign_attrs(domain="weather", kind="sensor", step="1h"),
                    "air": part[air].assign_attrs(domain="air", kind="sensor", step="1h")})


def forbidden_pairs() -> set[tuple[str, str]]:
    truth = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))
    return {(edge["cause"], edge["effect"]) for edge in truth["forbidden_edges"]}


def test_a_quarter_of_a_year_obeys_physics() -> None:
    data = beijing("2013-11-01", "2014-02-28", ["PM25", "O3"], ["TEMP", "DEWP", "WSPM"])
    free = discover(data, max_lag=4)
    held = discover(data, max_lag=4, knowledge=Knowledge.parse("air.* never causes weather.*"))
    broken = [[link for link in graph.links if (link.cause.variable, link.effect.variable) in forbidden_pairs()
               and link.oriented] for graph in (free, held)]
    assert len(broken[0]) <= 2 and not broken[1]
    towards_air = [link for link in held.links if link.cause.domain == "weather" and link.effect.domain == "air"]
    assert len(towards_air) >= 3
    assert any(link.cause.variable == "WSPM" and link.strength < 0 for link in held.into(Series("air", "PM25")))
    drivers = choose_drivers(held, Series("air", "PM25"), published={"weather": 0, "air": 0}, horizon=24)
    assert any(one.used for one in drivers) and all(one.reason for one in drivers)


@pytest.mark.slow
def test_a_whole_year_with_half_a_day_of_lags() -> None:
    data = beijing("2014-01-01", "2014-12-31", AIR, WEATHER)
    graph = discover(data, max_lag=12, knowledge=Knowledge.parse("air.* never causes weather.*"))
    pairs = {(link.cause.variable, link.effect.variable) for link in graph.links}
    assert not pairs & forbidden_pairs()
    assert {("WSPM", "NO2"), ("WSPM", "O3"), ("TEMP", "O3")} <= pairs
