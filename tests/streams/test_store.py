"""The store against a plain-Python model of its rules, and what it refuses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terracast.streams.bitemporal import InMemoryHistory, known_after
from terracast.streams.errors import PanelError, StoreError
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")
START = np.datetime64("2020-01-01T00:30", "ns")
LAST = START + 1000 * HOUR


def panel_of(values: dict[str, np.ndarray], hours: list[int], nodes: list[str], known: np.ndarray | None = None,
             **attrs: object) -> xr.Dataset:
    time = START + np.array(hours) * HOUR
    panel = xr.Dataset({name: (("time", "node"), np.asarray(array), {"units": "u", "long_name": name})
                        for name, array in values.items()}, {"time": time, "node": nodes},
                       {"domain": "air", "kind": "sensor", "step": "1h", **attrs})
    if known is None:
        return known_after(panel, pd.Timedelta("1h"))
    return panel.assign_coords(known_time=(("time", "node"), known))


def one(hours: list[int], values: list[float], known_hour: int | None = None, node: str = "a",
        name: str = "x") -> xr.Dataset:
    known = None if known_hour is None else np.full((len(hours), 1), START + known_hour * HOUR)
    return panel_of({name: np.array(values, "f4")[:, None]}, hours, [node], known)


def counts(answer: object) -> tuple[int, int, int, int, int]:
    return (answer.new, answer.late, answer.duplicate, answer.revised, sum(answer.rejected.values()))


def put(store: Store, *panels: xr.Dataset) -> list[tuple[int, int, int, int, int]]:
    with store.transaction("put") as step:
        return [counts(step.ingest("air", panel)) for panel in panels]


def test_a_step_sees_what_it_wrote_where_it_had_looked_before(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with store.transaction("first") as step:
        assert step.clock("air") is None and not step.has_state("loop") and step.state_part("loop", "at") is None
        step.ingest("air", one([0, 1], [1.0, 2.0]))
        step.set_state("loop", {"at": 1})
        assert step.clock("air") is not None and step.has_state("loop") and step.state_part("loop", "at") == 1
        before = step.as_known_at("air", LAST).sizes["time"]
        step.ingest("air", one([2], [3.0]))
        step.set_state("loop", {"at": 2})
        assert (before, step.as_known_at("air", LAST).sizes["time"], step.state_part("loop", "at")) == (2, 3, 2)
    assert store.read().has_state("loop") and not store.read().has_state("other")


class Model:
    """The rules of ingest, cell by cell in plain Python."""

    def __init__(self) -> None:
        self.first: dict[tuple[int, str], tuple[int, dict[str, float]]] = {}
        self.changes: list[tuple[int, str, str, float, int]] = []

    def value_at(self, hour: int, node: str, name: str, known: int) -> float | None:
        value = self.first[hour, node][1].get(name)
        for change in sorted(self.changes, key=lambda change: change[4]):
            if change[:3] == (hour, node, name) and change[4] <= known:
                value = change[3]
        return value

    def ingest(self, reports: dict[tuple[int, str], tuple[int, dict[str, float]]]) -> tuple[int, ...]:
        answer = [0, 0, 0, 0, 0]
        last = max((hour for hour, _ in self.first), default=None)
        for (hour, node), (known, values) in reports.items():
            if (hour, node) not in self.first:
                self.first[hour, node] = (known, dict(values))
                answer[1 if last is not None and hour <= last else 0] += 1
                continue
            first_known, first = self.first[hour, node]
            differs = {name: value for name, value in values.items()
                       if self.value_at(hour, node, name, known) != value
                       and (hour, node, name, value, known) not in self.changes}
            if known > first_known:
                self.changes += [(hour, node, name, value, known) for name, value in differs.items()]
                answer[3 if differs else 2] += 1
            elif any(name in first for name in differs):
                answer[4] += 1
            else:
                first.update(differs)
                answer[3 if differs else 2] += 1
        return tuple(answer)

    def recorded(self, nodes: list[str], names: list[str]) -> InMemoryHistory:
        hours = sorted({hour for hour, _ in self.first})
        data = {name: np.full((len(hours), len(nodes)), np.nan, "f4") for name in names}
        known = np.full((len(hours), len(nodes)), np.datetime64("NaT", "ns"))
        for (hour, node), (known_hour, values) in self.first.items():
            place = hours.index(hour), nodes.index(node)
            known[place] = START + known_hour * HOUR
            for name, value in values.items():
                data[name][place] = value
        changes = pd.DataFrame([(START + hour * HOUR, node, name, value, START + known_hour * HOUR)
                                for hour, node, name, value, known_hour in self.changes],
                               columns=["time", "node", "variable", "value", "known_time"])
        return InMemoryHistory({"air": panel_of(data, hours, nodes, known)}, {"air": changes})


reports = st.dictionaries(
    st.tuples(st.integers(0, 9), st.sampled_from("abc")),
    st.tuples(st.integers(0, 5), st.dictionaries(st.sampled_from("xy"), st.sampled_from([1.0, 2.0, 0.1]),
                                                 min_size=1)),
    min_size=1, max_size=8)


def panel_from(batch: dict[tuple[int, str], tuple[int, dict[str, float]]]) -> xr.Dataset:
    hours, nodes = sorted({hour for hour, _ in batch}), sorted({node for _, node in batch})
    names = sorted({name for _, values in batch.values() for name in values})
    data = {name: np.full((len(hours), len(nodes)), np.nan, "f4") for name in names}
    known = np.full((len(hours), len(nodes)), np.datetime64("NaT", "ns"))
    for (hour, node), (delay, values) in batch.items():
        known[hours.index(hour), nodes.index(node)] = START + (hour + delay) * HOUR
        for name, value in values.items():
            data[name][hours.index(hour), nodes.index(node)] = value
    return panel_of(data, hours, nodes, known)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches=st.lists(reports, min_size=1, max_size=4), per_step=st.integers(1, 2))
def test_as_known_at_equals_the_in_memory_history(batches, per_step, tmp_path_factory):
    store, model = Store.open(tmp_path_factory.mktemp("store")), Model()
    for begin in range(0, len(batches), per_step):
        with store.transaction("batch") as step:
            for batch in batches[begin:begin + per_step]:
                answer = step.ingest("air", panel_from(batch))
                wanted = model.ingest({place: (place[0] + delay, {n: float(np.float32(v)) for n, v in said.items()})
                                       for place, (delay, said) in batch.items()})
                assert counts(answer) == wanted
    view = store.read()
    all_known = view.as_known_at("air", LAST)
    reference = model.recorded(all_known.node.values.tolist(), list(all_known.data_vars))
    loaded = view.history()
    for now in START + np.arange(1, 15, 4) * HOUR:
        for since in (None, START + 4 * HOUR):
            wanted = reference.as_known_at("air", now, since)
            xr.testing.assert_identical(view.as_known_at("air", now, since), wanted)
            xr.testing.assert_identical(loaded.as_known_at("air", now, since), wanted)
            xr.testing.assert_identical(view.history(since).as_known_at("air", now, since), wanted)


def test_counts_and_first_values(tmp_path):
    store = Store.open(tmp_path)
    assert put(store, one([3, 4], [1, 2])) == [(2, 0, 0, 0, 0)]
    assert put(store, one([3, 4], [1, 2])) == [(0, 0, 2, 0, 0)]
    assert put(store, one([4, 5], [2, 3])) == [(1, 0, 1, 0, 0)]
    assert put(store, one([0], [7], 9), one([2], [8], 9)) == [(0, 1, 0, 0, 0), (0, 1, 0, 0, 0)]  # before the first
    assert put(store, one([4], [20], 10)) == [(0, 0, 0, 1, 0)]
    assert put(store, one([4], [20], 10), one([4], [20], 12)) == [(0, 0, 1, 0, 0)] * 2
    assert put(store, one([4], [99])) == [(0, 0, 0, 0, 1)]  # as early as the first report: contradicts it
    view = store.read()
    assert view.as_known_at("air", START + 9 * HOUR).x.values.ravel()[[0, 2, 3, 4, 5]].tolist() == [7, 8, 1, 2, 3]
    assert view.as_known_at("air", START + 10 * HOUR).x.values.ravel()[4] == 20
    assert view.history().recorded("air").panel.x.sel(time=START + 4 * HOUR).item() == 2  # never overwritten


def test_many_chunks_keep_every_value(tmp_path):
    """Backwards, in the middle, and across chunk borders: 500 hours in nine batches equal one panel."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3))
    whole = panel_of({"x": values}, list(range(500)), ["a", "b", "c"])
    store = Store.open(tmp_path)
    for block in np.array_split(np.arange(500), 9)[::-1]:
        put(store, whole.isel(time=block[1::2]), whole.isel(time=block[::2]))
    held = store.read().as_known_at("air", LAST)
    assert np.array_equal(held.x.values, values) and held.x.dtype == np.float64
    assert put(store, whole) == [(0, 0, 1500, 0, 0)]


def test_network_grows_without_cutting_names(tmp_path):
    store = Store.open(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        put(store, one([0, 1], [1, 2]))
        put(store, one([1, 2], [3, 4], node="a station with a much longer näme / 7"))
        put(store, one([3], [5], name="PM2.5/NO"))
    held = store.read().as_known_at("air", LAST)
    assert held.node.values.tolist() == ["a", "a station with a much longer näme / 7"]
    np.testing.assert_array_equal(held.x.values, [[1, np.nan], [2, 3], [np.nan, 4], [np.nan, np.nan]])
    np.testing.assert_array_equal(held["PM2.5/NO"].values[:, 0], [np.nan, np.nan, np.nan, 5])


def test_another_file_of_the_same_hours_fills_in(tmp_path):
    store = Store.open(tmp_path)
    assert put(store, one([0, 1], [1, 2]), one([0, 1], [3, 4], name="y")) == [(2, 0, 0, 0, 0), (0, 0, 0, 2, 0)]
    held = store.read().as_known_at("air", START + 1 * HOUR)
    assert held.y.values.ravel().tolist() == [3]


def test_refused_panels_leave_no_trace(tmp_path):
    store = Store.open(tmp_path)
    put(store, one([0, 1], [1, 2]))
    before = store.read().snapshot
    fahrenheit = one([2], [5])
    fahrenheit.x.attrs["units"] = "degF"
    with pytest.raises(PanelError, match=r"x comes in 'degF'.*stored 'u'"):
        put(store, fahrenheit)
    with pytest.raises(PanelError, match=r"step is '30min'.*stored step '1h'"):
        put(store, one([2], [5]).assign_attrs(step="30min"))
    with pytest.raises(PanelError, match=r"kind is 'event'.*stored kind 'sensor'"):
        put(store, one([2], [5]).assign_attrs(kind="event"))
    with pytest.raises(PanelError, match="beyond"):
        put(store, panel_of({"x": np.array([[1e300]])}, [2], ["a"]))
    with pytest.raises(PanelError, match="no known_time"):
        put(store, one([2], [5]).drop_vars("known_time"))
    assert put(store, one([2], [5]).assign_attrs(step="60min")) == [(1, 0, 0, 0, 0)]
    assert store.snapshots()[1].id == before


def test_rejected_rows_say_why(tmp_path):
    store = Store.open(tmp_path)
    late = one([0, 1, 2], [1, 2, 3])
    late = late.assign_coords(time=late.time.values + np.array([0, 0, 7], "m8[m]"))
    with store.transaction("rows") as step:
        answer = step.ingest("air", known_after(late, pd.Timedelta("1h")))
        never = np.full((2, 1), "NaT", "M8[ns]")
        unknown = step.ingest("air", panel_of({"x": [[1.0], [np.nan]]}, [5, 6], ["a"], never))
    assert answer.new == 2 and answer.rejected == {"off the domain's clock": 1}
    assert unknown.rejected == {"no known time": 1} and unknown.new == 0
    assert store.read().as_known_at("air", LAST).sizes["time"] == 2


def test_positions_stay_and_move(tmp_path):
    store = Store.open(tmp_path)
    fixed = one([0], [1]).assign_coords(lat=("node", [10.0]), lon=("node", [20.0]))
    buoy = one([0, 1], [1, 2]).assign_attrs(domain="sea", kind="point").assign_coords(
        lat=(("time", "node"), [[1.0], [1.5]]), lon=(("time", "node"), [[2.0], [2.5]]))
    with store.transaction("positions") as step:
        step.ingest("air", fixed)
        other = step.ingest("air", one([1], [1]).assign_coords(lat=("node", [11.0]), lon=("node", [20.0])))
        step.ingest("air", one([1], [1], node="b"))
        step.ingest("sea", buoy.isel(time=[1]))
        step.ingest("sea", buoy)
        with pytest.raises(PanelError, match="positions come on"):
            step.ingest("air", buoy.assign_attrs(domain="air", kind="sensor"))
    assert other.notes == ("another position was given for a: the stored one is kept",)
    view = store.read()
    np.testing.assert_array_equal(view.as_known_at("air", LAST).lat.values, [10.0, np.nan])
    np.testing.assert_array_equal(view.as_known_at("sea", LAST).lat.values, [[1.0], [1.5]])


def test_transaction_is_a_history_and_all_or_nothing(tmp_path):
    store = Store.open(tmp_path)
    start = store.read().snapshot
    with pytest.raises(ZeroDivisionError), store.transaction("fails") as step:
        step.ingest("air", one([0], [1]))
        step.set_cursor("s", {"at": 1})
        assert step.domains == ("air",) and step.cursor("s") == {"at": 1}
        assert step.as_known_at("air", LAST).x.values.item() == 1
        raise ZeroDivisionError
    assert store.read().domains == () and store.read().snapshot == start
    with store.transaction("nothing"):
        pass
    assert store.read().snapshot == start
    with store.transaction("works") as step:
        step.ingest("air", one([0], [1]))
    assert step.snapshot == store.read().snapshot != start
    with store.transaction("again") as step:
        step.ingest("air", one([0], [1]))
    assert step.snapshot == store.snapshots()[0].id and store.snapshots()[0].message == "works"
    with pytest.raises(StoreError, match="the transaction has ended"):
        step.ingest("air", one([1], [1]))
    assert store.read(start).domains == ()
    assert np.diff([snapshot.time for snapshot in store.snapshots()]).max() <= np.timedelta64(0)


def test_errors_in_words(tmp_path):
    store = Store.open(tmp_path / "new" / "folder")
    with pytest.raises(StoreError, match="no snapshot 'NOPE'"):
        store.read("NOPE")
    with pytest.raises(StoreError, match="no snapshot 'ZECHNKREP0F1RSTCMT00'"):
        store.read("ZECHNKREP0F1RSTCMT00")
    with pytest.raises(PanelError, match="no domain 'air'"):
        store.read().as_known_at("air", START)
    with pytest.raises(StoreError, match="'gs' is not supported"):
        Store.open("gs://bucket/x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be made"):
        Store.open(tmp_path / "file")
    assert store.read().state("loop") is None and store.read().ledger("scores/air") is None


def test_xarray_opens_the_store_without_us(tmp_path):
    store = Store.open(tmp_path)
    put(store, panel_of({"x": np.arange(6.0).reshape(3, 2)}, [0, 1, 3], ["a", "b"]))
    import icechunk

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(Path(tmp_path) / "data")))
    opened = xr.open_zarr(repository.readonly_session("main").store, group="observations/air", consolidated=False)
    assert opened.x.values.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert (opened.known_time.values[:, 0] == opened.time.values + HOUR).all()
    assert opened.time.values[0] == START and opened.node.values.tolist() == ["a", "b"]
