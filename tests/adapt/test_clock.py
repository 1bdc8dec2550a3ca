"""The clock: moments open the past only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.clock import Moment, clock
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.errors import TerracastError

HOUR = np.timedelta64(1, "h")


def recorded(values: np.ndarray, delays: np.ndarray, revisions: list[tuple[int, int, float, int]]) -> InMemoryHistory:
    """An hourly history: value (time, node), delay of each report in hours (-1: never), revisions of cells."""
    time = pd.date_range("2020-01-01", periods=len(values), freq="h").to_numpy().astype("datetime64[ns]")
    known = time[:, None] + delays * HOUR
    known = np.where(delays < 0, np.datetime64("NaT"), known)
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                       {"time": time, "node": [f"n{i}" for i in range(values.shape[1])],
                        "known_time": (("time", "node"), known)}, {"domain": "d", "kind": "sensor", "step": "1h"})
    ledger = pd.DataFrame([{"time": time[row], "node": f"n{column}", "variable": "x", "value": value,
                            "known_time": time[row] + (max(int(delays[row, column]), 0) + late) * HOUR}
                           for row, column, value, late in revisions],
                          columns=["time", "node", "variable", "value", "known_time"])
    return InMemoryHistory({"d": panel}, {"d": ledger})


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, float, int]]]:
    rows, nodes = draw(st.integers(2, 12)), draw(st.integers(1, 3))
    values = np.array(draw(st.lists(st.floats(-5, 5), min_size=rows * nodes, max_size=rows * nodes)))
    delays = np.array(draw(st.lists(st.integers(-1, 6), min_size=rows * nodes, max_size=rows * nodes)))
    cells = st.tuples(st.integers(0, rows - 1), st.integers(0, nodes - 1), st.floats(-5, 5), st.integers(1, 6))
    return values.reshape(rows, nodes), delays.reshape(rows, nodes), draw(st.lists(cells, max_size=4))


@given(histories(), st.integers(0, 15))
@settings(max_examples=150, deadline=None)
def test_poison_known_later_leaves_the_view_bit_identical(history: tuple, hour: int) -> None:  # type: ignore[type-arg]
    values, delays, revisions = history
    now = np.datetime64("2020-01-01T00", "ns") + hour * HOUR
    late = (delays < 0) | (np.arange(len(values))[:, None] + delays > hour)
    poisoned = np.where(late, 666.0, values)
    kept = [(r, c, v if r + max(int(delays[r, c]), 0) + lag <= hour else -666.0, lag) for r, c, v, lag in revisions]
    clean = Moment(now, recorded(values, delays, revisions)).known("d")
    dirty = Moment(now, recorded(poisoned, delays, kept)).known("d")
    xr.testing.assert_identical(clean, dirty)
    assert not np.isin(clean["x"].values, [666.0, -666.0]).any()


@given(histories(), st.integers(0, 15))
@settings(max_examples=100, deadline=None)
def test_view_equals_brute_force(history: tuple, hour: int) -> None:  # type: ignore[type-arg]
    values, delays, revisions = history
    view = Moment(np.datetime64("2020-01-01T00", "ns") + hour * HOUR, recorded(values, delays, revisions)).known("d")
    expected = np.where((delays >= 0) & (np.arange(len(values))[:, None] + delays <= hour), values, np.nan)
    due = [(r + max(int(delays[r, c]), 0) + lag, i) for i, (r, c, _, lag) in enumerate(revisions)]
    for instant, index in sorted(due):
        if instant <= hour and revisions[index][0] < view.sizes["time"]:
            row, column, value, _ = revisions[index]
            expected[row, column] = value
    np.testing.assert_array_equal(view["x"].values, expected[: view.sizes["time"]])
    assert np.isnan(np.where(np.arange(len(values))[:, None] >= view.sizes["time"],
                             np.where(delays >= 0, np.where(np.arange(len(values))[:, None] + delays <= hour, 1.0,
                                                            np.nan), np.nan), np.nan)).all()


def test_clock_counts_in_cadence_and_earlier_refuses_the_future() -> None:
    history = recorded(np.ones((5, 1)), np.ones((5, 1), int), [])
    moments = list(clock(history, np.datetime64("2020-01-01T00"), np.datetime64("2020-01-01T05"), 2 * HOUR))
    assert [str(moment.now)[11:13] for moment in moments] == ["00", "02", "04"]
    assert moments[2].earlier(np.datetime64("2020-01-01T02")).known("d").sizes["time"] == 2
    with pytest.raises(TerracastError, match="asked at"):
        moments[0].earlier(np.datetime64("2020-01-01T01"))
