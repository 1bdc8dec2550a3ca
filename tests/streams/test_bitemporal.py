"""As known at t, against a cell-by-cell model: reports, revisions and moving positions, nothing from later."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from terracast.streams.bitemporal import InMemoryHistory

START = np.datetime64("2020-01-01", "ns")
HOUR = np.timedelta64(1, "h")
ROWS, NODES = 6, 3
revisions = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, NODES - 1), st.sampled_from("xy"),
                               st.integers(0, 99), st.integers(0, 12)), max_size=12)


def recorded(delays: np.ndarray, gaps: np.ndarray, changes: list[tuple[int, int, str, int, int]]) -> InMemoryHistory:
    import xarray as xr

    rows = np.delete(np.arange(ROWS), 2) if gaps[0, 0] else np.arange(ROWS)  # sometimes a row is not held
    known = (START + np.arange(ROWS) * HOUR)[:, None] + delays * HOUR
    known[gaps] = np.datetime64("NaT")
    value = np.where(gaps, np.nan, np.arange(ROWS * NODES).reshape(ROWS, NODES).astype(float))
    panel = xr.Dataset({name: (("time", "node"), value + offset, {"units": "1", "long_name": name})
                        for name, offset in (("x", 0), ("y", 100))},
                       {"time": START + np.arange(ROWS) * HOUR, "node": list("abc"),
                        "known_time": (("time", "node"), known),
                        "lat": (("time", "node"), value), "lon": (("time", "node"), -value)},
                       {"domain": "sea", "kind": "point", "step": "1h"}).isel(time=rows)
    table = pd.DataFrame([(START + row * HOUR, "abc"[node], name, float(new), START + hour * HOUR)
                          for row, node, name, new, hour in changes],
                         columns=["time", "node", "variable", "value", "known_time"])
    return InMemoryHistory({"sea": panel}, {"sea": table})


@settings(max_examples=60, deadline=None)
@given(delays=arrays.arrays(int, (ROWS, NODES), elements=st.integers(0, 5)),
       gaps=arrays.arrays(bool, (ROWS, NODES)), changes=revisions, hour=st.integers(-1, 12), since=st.integers(0, 4))
def test_every_cell_is_as_it_was_known(delays, gaps, changes, hour, since):
    history, now = recorded(delays, gaps, changes), START + hour * HOUR
    panel = history.as_known_at("sea", now, START + since * HOUR)
    held = history.recorded("sea").panel.time.values
    for at, stamp in enumerate(panel.time.values):
        row = int((stamp - START) / HOUR)
        for node in range(NODES):
            there = stamp in held and not gaps[row, node] and row + delays[row, node] <= hour
            place = (panel.lat.values[at, node], panel.lon.values[at, node])
            number = float(row * NODES + node)
            np.testing.assert_array_equal(place, (number, -number) if there else (np.nan, np.nan))
            for name, offset in (("x", 0), ("y", 100)):
                wanted = number + offset if there else np.nan
                due = [(known, order, new) for order, (r, n, v, new, known) in enumerate(changes)
                       if (r, n, v) == (row, node, name) and known <= hour and stamp in held]
                if due:
                    wanted = max(due)[2]  # the latest known; of equals the later entry
                np.testing.assert_array_equal(panel[name].values[at, node], wanted)
    reported = [row for row in range(since, ROWS) if START + row * HOUR in held
                and (~gaps[row] & (row + delays[row] <= hour)).any()]
    assert panel.sizes["time"] == (max(reported) - first_held(held, since) + 1 if reported else 0)


def first_held(held: np.ndarray, since: int) -> int:
    return int((held[held >= START + since * HOUR][0] - START) / HOUR)
