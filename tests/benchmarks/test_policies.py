"""The bench of policies: the table of streams is in order, nobody peeks, and rows have the form that was agreed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.policies.bench import Losses, PolicyBench, PolicyBenchError, summary
from terracast.benchmarks.policies.live import LiveStream
from terracast.benchmarks.policies.peers import PEERS
from terracast.benchmarks.policies.served import served_by
from terracast.benchmarks.policies.streams import STREAMS, Stream
from terracast.stfm.best_season import BestSeason
from terracast.stfm.forecaster import QUANTILES, Request

KEYS = {"data", "target", "half", "base", "policy", "mae", "crps", "mae_to_naive", "mae_to_frozen", "coverage80",
        "coverage80_worst_month", "worst_node_ratio", "cpu_seconds"}
STREAM = Stream("street.nc", "flow", "2024-02-20", "2024-03-01", "decides", nodes=2)


def street(folder: Path, spoilt_from: str | None = None) -> Path:
    """Two counters, quiet on Sundays, and the rain beside them."""
    times = pd.date_range("2024-01-01", "2024-03-01", freq="h", inclusive="left")
    draws = np.random.default_rng(1)
    day = 10 + 5 * np.sin(times.hour.to_numpy() / 24 * 2 * np.pi)
    flow = (day * np.where(times.day_of_week == 6, 0.3, 1.0))[:, None] * [1.0, 3.0]
    flow = flow * np.exp(0.1 * draws.normal(size=flow.shape))
    rain = np.abs(draws.normal(size=flow.shape))
    if spoilt_from is not None:
        flow[times >= spoilt_from], rain[times >= spoilt_from] = -1e6, 1e6
    panel = xr.Dataset({"flow": (("time", "node"), flow, {"units": "1/h"}),
                        "rain": (("time", "node"), rain, {"units": "mm"})}, {"time": times, "node": ["a", "b"]})
    path = folder / "street.nc"
    panel.to_netcdf(path)
    return path


def test_streams_are_fixed_and_a_dataset_stands_in_one_half():
    halves = {}
    for stream in STREAMS:
        assert halves.setdefault(stream.data, stream.half) == stream.half
        assert np.datetime64(stream.start) < np.datetime64(stream.stop)
    assert set(halves.values()) == {"decides", "confirms"}
    assert len({(one.data, one.target) for one in STREAMS}) == len(STREAMS)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    street(folder)
    streams = (STREAM, Stream("nowhere.nc", "x", "2020-01-01", "2021-01-01", "confirms"))
    return PolicyBench(folder, streams=streams).answer("terracast bench policies")


def test_rows_have_the_agreed_form(answer):
    rows = answer["rows"]
    assert all(set(row) >= KEYS for row in rows)
    assert [row["policy"] for row in rows if row.get("default")] == ["mixture"]
    assert {row["policy"] for row in rows if not row["base"]} == set(PEERS)
    assert answer["summary"]["not_found"] == ["nowhere.nc: x"]
    frozen = next(row for row in rows if row["policy"] == "frozen")
    assert frozen["mae_to_frozen"] == pytest.approx(1.0)


def test_the_seasonal_naive_takes_the_week_where_it_is_better(answer):
    mae = {row["policy"]: row["mae"] for row in answer["rows"]}
    assert mae["seasonal-naive"] < mae["seasonal-naive-usual"]


def test_nothing_reads_what_came_later(tmp_path):
    (tmp_path / "spoilt").mkdir()
    clean = LiveStream.of(STREAM, street(tmp_path))
    spoilt = LiveStream.of(STREAM, street(tmp_path / "spoilt", "2024-02-26"))
    before = clean.panel["time"].values[clean.issues] < np.datetime64("2024-02-26")
    assert before.any()
    for policy in ("loop", "mixture"):
        one, other = (served_by(live, policy, live.forecasts_of("shipped")).quantiles for live in (clean, spoilt))
        assert np.array_equal(one[before], other[before])
    for peer in PEERS.values():
        assert np.array_equal(peer(clean)[before], peer(spoilt)[before])


def test_a_folder_without_any_of_the_files_is_refused(tmp_path):
    with pytest.raises(PolicyBenchError, match="no file"):
        PolicyBench(tmp_path).answer("terracast bench policies")


def test_losses_by_node_and_month():
    quantiles = np.tile(np.linspace(0, 1, len(QUANTILES)), (40, 1, 1, 1))
    labels = np.full((40, 1, 1), 0.5)
    labels[20:] = 9.0
    losses = Losses.of(quantiles, labels)
    assert losses.by_node().tolist() == [pytest.approx(4.25)]
    assert losses.worst_month(np.repeat([0, 1], 20)) == 0.0
    assert losses.worst_month(np.arange(40)) is None


def test_the_summary_names_where_a_peer_is_better():
    usual = {"half": "decides", "data": "a", "target": "x", "mae_to_naive": 1.0, "mae_to_frozen": 1.0,
             "crps_to_naive": 1.0, "crps_to_frozen": 1.0, "worst_node_ratio": 1.0, "coverage80_worst_month": None}
    rows = [usual | {"policy": "mixture", "mae": 2.0, "default": True}, usual | {"policy": "ridge", "mae": 1.0}]
    assert summary(rows)["decides"]["behind"] == {"a: x": "2.000 of ridge"}


def test_a_year_is_chosen_only_where_it_was_better():
    days = pd.date_range("2018-01-01", periods=1200, freq="D")
    wave = np.sin(np.arange(1200) / 364 * 2 * np.pi)[:, None]
    known = xr.DataArray(wave, {"time": days, "node": ["river"]}, ("time", "node"))
    request = Request("x", days[-1].to_datetime64(), 30, np.timedelta64(1, "D"))
    assert BestSeason.chosen(known, request).by_node["river"] == pd.Timedelta("364D")
    assert BestSeason.chosen(known[-400:], request).by_node["river"] == pd.Timedelta("7D")
