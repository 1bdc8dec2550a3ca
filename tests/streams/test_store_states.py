"""States come back exact to the bit; ledgers only grow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from terracast.streams.errors import StoreError
from terracast.streams.storage.arrays import plain_name, safe_name
from terracast.streams.storage.tree import pack, unpack
from terracast.streams.store import Store

numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
dtypes = st.one_of(arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes(),
                   arrays.boolean_dtypes(), arrays.datetime64_dtypes(), arrays.timedelta64_dtypes(),
                   arrays.unicode_string_dtypes(max_len=5), arrays.complex_number_dtypes())
tensors = arrays.arrays(dtypes, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
trees = st.recursive(numbers | tensors, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
                     | st.dictionaries(st.text(max_size=4) | st.just("~array"), inner, max_size=3), max_leaves=12)


def same(one: object, other: object) -> bool:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes() or (one != one and other != other)
    return one == other


@settings(max_examples=150, deadline=None)
@given(tree=st.dictionaries(st.text(max_size=4), trees, max_size=4))
def test_tree_comes_back_exact(tree):
    assert same(unpack(pack(tree)), tree)


def test_tree_refuses_what_it_cannot_keep():
    with pytest.raises(StoreError, match=r"a set cannot be kept \(state.loop.seen\[1\]\)"):
        pack({"loop": {"seen": [1, {2}]}})
    with pytest.raises(StoreError, match="type object"):
        pack({"names": np.array(["a", None], dtype=object)})
    with pytest.raises(StoreError, match="a key of type int"):
        pack({"a": {1: 2}})


def test_states_and_cursors_in_the_store(tmp_path):
    store = Store.open(tmp_path)
    tree = {"mean": np.array([np.nan, np.inf, -0.0]), "mask": np.zeros((2, 0), bool), "since": np.datetime64("NaT"),
            "names": np.array(["ä", "bcd"]), "bits": np.arange(5, dtype=np.uint8), "n": 3, "limit": float("inf")}
    with store.transaction("state") as step:
        step.set_state("loop/air", tree)
        step.set_state("loop", {})
        step.set_cursor("https://a.b/c?d=%20", {"etag": "x", "rows": 2})
    kept = store.read()
    assert same(kept.state("loop/air"), tree) and kept.state("loop") == {}
    assert kept.cursor("https://a.b/c?d=%20") == {"etag": "x", "rows": 2}
    kept.state("loop/air")["mean"][0] = 1  # fresh and writable
    with store.transaction("the same again") as step:
        step.set_state("loop/air", tree)
    assert store.read().snapshot == kept.snapshot
    with store.transaction("another") as step:
        step.set_state("loop/air", {"n": 4})
    assert store.read().state("loop/air") == {"n": 4} and same(store.read(kept.snapshot).state("loop/air"), tree)


def forecast(hour: int, nodes: list[str], value: float) -> xr.Dataset:
    issue = np.datetime64("2020-01-01", "ns") + np.timedelta64(hour, "h")
    leads = np.array([1, 2], "m8[h]").astype("m8[ns]")
    return xr.Dataset(
        {"pm25": (("issue_time", "lead", "node"), np.full((1, 2, len(nodes)), value, "f4"), {"units": "ug m-3"}),
         "alarm": (("issue_time", "node"), np.ones((1, len(nodes)), bool)),
         "model": ("issue_time", [f"version {hour}"]), "episode": ("issue_time", [hour])},
        {"issue_time": [issue], "lead": leads, "node": nodes, "lat": ("node", np.arange(len(nodes), dtype=float)),
         "valid_time": (("issue_time", "lead"), (issue + leads)[None])}, {"domain": "air"})


def test_ledger_grows_by_entries_and_nodes(tmp_path):
    store = Store.open(tmp_path)
    for hour in range(30):
        with store.transaction(f"hour {hour}") as step:
            step.append("forecasts/air", forecast(hour, ["a", "b"] if hour < 20 else ["a longer name", "b"], hour),
                        along="issue_time")
    view = store.read()
    whole = view.ledger("forecasts/air")
    assert view.ledgers == ("forecasts/air",)
    expected = xr.concat([forecast(hour, ["a", "b"], hour) for hour in range(20)], "issue_time", data_vars="minimal",
                         coords="minimal", compat="override")
    first = whole.isel(issue_time=slice(20), node=[0, 1])
    for name in ("pm25", "alarm", "model", "episode", "valid_time", "lead", "lat"):
        np.testing.assert_array_equal(first[name].values, expected[name].values)
        assert first[name].attrs == expected[name].attrs and first[name].dims == expected[name].dims
    assert whole.node.values.tolist() == ["a", "b", "a longer name"] and whole.attrs == {"domain": "air"}
    assert np.isnan(whole.pm25.values[25, :, 0]).all() and (whole.pm25.values[25, :, 1:] == 25).all()
    assert whole.alarm.values[25].tolist() == [False, True, True]
    assert whole["valid_time"].dtype == "datetime64[ns]" and whole.lead.dtype == "timedelta64[ns]"
    late = view.ledger("forecasts/air", since=np.datetime64("2020-01-02"))
    xr.testing.assert_identical(late, whole.isel(issue_time=slice(24, None)))
    assert view.ledger("forecasts/air", since=np.datetime64("2021-01-01")).sizes["issue_time"] == 0


def test_ledger_refuses_another_schema(tmp_path):
    store = Store.open(tmp_path)
    entry = forecast(0, ["a", "b"], 1)
    with store.transaction("first") as step:
        step.append("f", entry, along="issue_time")
    kelvin = entry.copy()
    kelvin.pm25.attrs = {"units": "K"}
    changed = {
        "'alarm' is missing": entry.drop_vars("alarm"), "'new' is new": entry.assign(new=1),
        "'episode' holds text values": entry.assign(episode=("issue_time", ["x"])),
        "'pm25' comes in 'K'": kelvin, "'lead' has changed": entry.assign_coords(lead=entry.lead * 2),
        "'pm25' has dims": entry.assign(pm25=entry.pm25.transpose("lead", ...)),
    }
    for words, dataset in changed.items():
        with pytest.raises(StoreError, match=words), store.transaction("bad") as step:
            step.append("f", dataset, along="issue_time")
    with pytest.raises(StoreError, match="along 'lead'"), store.transaction("bad") as step:
        step.append("f", entry, along="lead")
    with pytest.raises(StoreError, match="'observations' is not a ledger"), store.transaction("bad") as step:
        step.append("observations/air", entry, along="issue_time")
    assert store.read().ledger("f").sizes["issue_time"] == 1


def test_ledger_of_rows_without_coordinate(tmp_path):
    store = Store.open(tmp_path)
    for number in (2, 0, 3):
        rows = pd.DataFrame({"episode": [f"e{i}" for i in range(number)], "score": np.arange(number, dtype=float)})
        entries = xr.Dataset({name: ("row", rows[name].to_numpy(dtype=object if name == "episode" else float))
                              for name in rows})
        with store.transaction("rows") as step:
            step.append("episodes/air", entries, along="row")
    held = store.read().ledger("episodes/air")
    assert held.episode.values.tolist() == ["e0", "e1", "e0", "e1", "e2"]
    with pytest.raises(StoreError, match="'row' has no coordinate"):
        store.read().ledger("episodes/air", since=3)


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
       | st.sampled_from([".", "..", "zarr.json", "__class__", "%2E", "%5F_x", "a%2Fb", "\\"]))
def test_a_name_comes_back_from_the_store(name: str) -> None:
    stored = safe_name(name)
    assert plain_name(stored) == name
    assert stored not in (".", "..", "zarr.json") and not stored.startswith("__") and not set(stored) & set("/\\")
