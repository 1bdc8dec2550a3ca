"""The fault matrix: which label each planted fault gets, on the simulated city and on Beijing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.streams.quality import NONE, QualityBench, answer, confusion, false_labels, matrix, table_of
from terracast.streams.bitemporal import known_after
from terracast.streams.city import simulate_city
from terracast.streams.quality import QualitySettings, judge
from terracast.streams.quality.labels import bit

pytestmark = pytest.mark.integration

BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"


def test_matrix_on_the_city(capsys: pytest.CaptureFixture[str]) -> None:
    city = simulate_city(seed=4, days=125, drifts=(), air_nodes=8)
    bench = QualityBench(city.panels["air"], ("no2", "pm25"), every=3, seed=1)
    rows, rates = matrix(bench), false_labels(bench)
    table = confusion(rows)
    with capsys.disabled():
        print("\n" + table_of(rows))
    assert all(table.loc[fault_type, fault_type] >= 0.8 for fault_type in table.index), table.to_string()
    assert sum(rates.values()) <= 0.3
    said = answer(bench, "city", rows, rates, "terracast bench quality")
    assert list(said) == ["bench", "data", "protocol", "rows", "summary", "command"]
    assert {row["planted"] for row in said["rows"]} == set(table.index)


@pytest.mark.skipif(not BEIJING.exists(), reason="no shared data beside the repository")
def test_matrix_on_beijing(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("PM25", "TEMP", "WSPM")
    panel = xr.load_dataset(BEIJING)[list(names)].sel(time=slice("2016-05-01", "2016-09-01"))
    panel = known_after(panel.assign_attrs(domain="beijing", kind="sensor", step="1h"), pd.Timedelta("1h"))
    bench = QualityBench(panel, names, every=6, seed=1)
    rows = matrix(bench)
    table = confusion(rows)
    with capsys.disabled():
        print("\n" + table_of(rows))
    diagonal = [float(table.loc[fault_type, fault_type]) for fault_type in table.index]
    assert np.mean(diagonal) >= 0.9 and min(diagonal) >= 0.6, table.to_string()  # few of each here


def test_faults_of_the_city_are_told_from_its_drifts() -> None:
    wanted = {"outage": "outage", "stuck": "stuck", "unit": "unit", "clock": "clock"}
    drifted: list[float] = []
    city = simulate_city(seed=5, days=300, weather_nodes=5, traffic_nodes=9, air_nodes=8)
    for domain, panel in city.panels.items():
        flags = judge(panel, settings=QualitySettings(relearn="28D")).hindsight()
        for change in (*city.faults, *city.drifts):
            if change.domain != domain:
                continue
            rows = (panel["time"].values >= change.start) & (panel["time"].values < change.end)
            nodes = np.isin(panel["node"].values, change.nodes)
            mask = flags[change.variable].values[np.ix_(rows, nodes)]
            if change in city.faults:
                assert ((mask & bit(wanted[change.fault_type])) > 0).mean() >= 0.6, change
            else:
                drifted.append(float(((mask & sum(bit(label) for label in wanted if label != "outage")) > 0).mean()))
    assert np.mean(drifted) <= 0.05  # an hour in twenty of the drifts, at most, is taken for a fault
    assert NONE == "(none)"
