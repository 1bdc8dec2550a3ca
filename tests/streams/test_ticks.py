"""The clock of a file: the step of a node, the phase of most stamps, months, local days; what jitters is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from terracast.streams.readers import read
from terracast.streams.readers.tables import SAME_STEP
from terracast.streams.sources import drain
from terracast.streams.sources.files import FilesSource
from terracast.streams.store import Store


def table(folder, rows: pd.DataFrame, name: str = "x.csv"):
    path = folder / name
    rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("start", "freq", "step", "anchor"), [
    ("2019-01-07", "7D", "7D", "2019-01-07T00:00:00"),
    ("2023-10-01 09:00", "D", "1D", "2023-10-01T09:00:00"),
    ("2023-10-01 00:30", "h", "1h", "2023-10-01T00:30:00"),
    ("2023-10-01", "10min", "10min", None),
    ("1995-01-01", "MS", "1mo", "1995-01-01T00:00:00"),
    ("1995-01-31", "ME", "1mo", "1995-01-31T00:00:00"),
    ("1995-03-31", "QE", "3mo", "1995-03-31T00:00:00"),
    ("1960-07-01", "YS-JUL", "1y", "1960-07-01T00:00:00"),
])
def test_the_clock_is_that_of_the_stamps(tmp_path, start, freq, step, anchor) -> None:
    time = pd.date_range(start, periods=60, freq=freq)
    kept = np.arange(60) % 11 != 5  # gaps are no other clock
    rows = pd.concat([pd.DataFrame({"time": time[kept], "node": node, "x": np.arange(60.0)[kept]})
                      for node in ("a", "b")])
    panel = read(table(tmp_path, rows), domain="d")
    assert panel.attrs["step"] == step and panel.attrs.get("anchor") == anchor
    assert (panel["time"].values == time[kept].to_numpy("datetime64[ns]")).all()
    store = Store.open(tmp_path / "store")
    with store.transaction("in") as step_:
        assert step_.ingest("d", panel).new == 2 * kept.sum()
    assert store.read().as_known_at("d", np.datetime64("2100-01-01")).sizes["time"] == 60


def test_sensors_that_drift_each_on_its_own_are_taken_to_their_step(tmp_path) -> None:
    draws, parts = np.random.default_rng(0), []
    for node in ("100", "101", "102"):
        time = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(602 + draws.integers(-20, 21, 1500)), unit="s")
        parts.append(pd.DataFrame({"time": time, "sensor_id": node, "pm25": draws.normal(size=1500)}))
    path = table(tmp_path, pd.concat(parts))
    store = Store.open(tmp_path / "store")
    answer, = drain([FilesSource("pm", "pm", path, {})], store)
    assert answer.new >= 0.95 * 4500 and answer.new + answer.rejected[SAME_STEP] == 4500
    assert "taken to the nearest step" in " ".join(answer.notes)
    assert store.read().as_known_at("pm", np.datetime64("2100-01-01")).attrs["step"] == "10min"


def test_a_few_seconds_are_jitter_and_half_an_hour_is_another_time(tmp_path) -> None:
    time = pd.date_range("2024-01-01", periods=200, freq="h")
    shifted = time + pd.to_timedelta(np.where(np.arange(200) % 10 == 3, 40, 0), unit="s")
    shifted = shifted[:-1].append(pd.DatetimeIndex([time[-1] + pd.Timedelta("30min")]))
    store = Store.open(tmp_path / "store")
    rows = pd.DataFrame({"time": shifted, "x": np.arange(200.0)})
    answer, = drain([FilesSource("x", "x", table(tmp_path, rows), {})], store)
    assert answer.new == 199 and answer.rejected == {"off the domain's clock": 1}
    assert answer.notes == ("20 rows lay off the clock, by up to 40 s: they were taken to the nearest step",)


def test_a_value_is_not_known_before_the_tick_it_was_taken_to(tmp_path) -> None:
    time = pd.date_range("2024-01-01", periods=50, freq="h")
    early = time - pd.to_timedelta(np.where(np.arange(50) == 7, 60, 0), unit="s")
    rows = pd.DataFrame({"time": early, "x": np.arange(50.0), "known": early + pd.Timedelta("5s")})
    panel = read(table(tmp_path, rows), domain="x", known_time="known")
    assert panel["time"].values[7] == time[7].to_datetime64() == panel["known_time"].values[7, 0]


def test_local_days_are_days_of_their_zone(tmp_path) -> None:
    days = pd.date_range("2024-02-01", "2024-12-01", freq="D")
    path = table(tmp_path, pd.DataFrame({"time": days, "x": np.arange(len(days), dtype=float)}))
    panel = read(path, domain="x", time_zone="Europe/Berlin")
    assert panel.attrs["calendar"] == "Europe/Berlin" and panel.attrs["step"] == "1D"
    store = Store.open(tmp_path / "store")
    with store.transaction("in") as step:
        assert step.ingest("x", panel).new == len(days)
    clock = store.read().clock("x")
    assert clock is not None
    even = clock.even(panel["time"].values)
    assert (even == days.to_numpy("datetime64[ns]")).all()  # the local date, summer and winter


def test_another_file_of_the_same_clock_may_jitter_otherwise(tmp_path) -> None:
    store, folder = Store.open(tmp_path / "store"), tmp_path / "in"
    folder.mkdir()
    for number, seconds in enumerate((0, 7, -3)):
        time = pd.date_range("2024-01-01", periods=48, freq="h") + pd.Timedelta(days=2 * number, seconds=seconds)
        table(folder, pd.DataFrame({"time": time, "x": np.arange(48.0)}), f"{number}.csv")
    answers = drain([FilesSource("x", "x", folder, {})], store)
    assert [answer.new for answer in answers] == [48, 48, 48] and not any(answer.rejected for answer in answers)
    panel = store.read().as_known_at("x", np.datetime64("2100-01-01"))
    assert panel.sizes["time"] == 144 and not panel.x.isnull().any()


@pytest.mark.parametrize(("arguments", "what"), [({"step": "soon"}, "step is 'soon'"), ({"anchor": "noon?"}, "anchor"),
                                                 ({"step": "36h", "calendar": "Europe/Berlin"}, "step is 36h")])
def test_a_wrong_clock_is_refused_in_one_line(tmp_path, arguments, what) -> None:
    time = pd.date_range("2024-01-01", periods=5, freq="h")
    path = table(tmp_path, pd.DataFrame({"time": time, "x": 1.0}))
    with pytest.raises(Exception, match=what):
        read(path, domain="x", **arguments)
