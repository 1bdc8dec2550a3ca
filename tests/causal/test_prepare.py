"""Preparing: seasons leave, gaps stay gaps, nothing is looked up ahead of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.causal.graph.graph import Series
from terracast.causal.preprocessing.prepare import Preparation, PrepareError, prepare

RNG = np.random.default_rng(7)


def panel(values: dict[str, np.ndarray], domain: str, step: str = "1h", start: str = "2020-01-01") -> xr.Dataset:
    rows, nodes = next(iter(values.values())).shape
    return xr.Dataset(
        {name: (("time", "node"), table, {"units": "1", "long_name": f"the {name}"})
         for name, table in values.items()},
        {"time": pd.date_range(start, periods=rows, freq=step), "node": [f"n{one}" for one in range(nodes)]},
        {"domain": domain, "kind": "sensor", "step": step})


def test_season_trend_and_seasonal_spread_leave() -> None:
    hours = np.arange(24 * 300)
    daily = np.sin(2 * np.pi * hours / 24)
    noise = RNG.normal(size=len(hours))
    raw = 5 * daily + (1.5 + daily) * noise + 3 * np.sin(2 * np.pi * hours / 8766) + hours / 2000
    done = prepare({"air": panel({"o3": raw[:, None]}, "air")}, how=Preparation(transforms={"air.o3": "none"}))
    out = done.values[:, 0]
    slots = hours % 24
    means = np.array([out[slots == slot].mean() for slot in range(24)])
    spreads = np.array([out[slots == slot].std() for slot in range(24)])
    assert np.abs(means).max() < 0.02
    assert np.abs(spreads - 1).max() < 3 / np.sqrt(2 * 300)  # no more than chance: 300 values a slot
    assert np.corrcoef(out, noise)[0, 1] > 0.93
    assert abs(np.polyfit(hours / len(hours), out, 1)[0]) < 0.1
    assert "weekday" in done.notes[0] and done.labels["air.o3"] == "the o3"


def test_a_short_history_does_not_lose_its_values_to_the_season() -> None:
    rows = 7 * 288  # one week of five-minute steps: an own slot per step of the week would take everything
    done = prepare({"traffic": panel({"speed": RNG.normal(size=(rows, 3))}, "traffic", "5min")})
    assert done.values.std() == pytest.approx(1.0)
    assert len(np.unique(done.values)) > rows // 2


def test_a_node_gap_does_not_move_the_region() -> None:
    signal = RNG.normal(size=(24 * 60, 1))
    nodes = signal + np.array([0.0, 50.0, 100.0]) + 0.1 * RNG.normal(size=(24 * 60, 3))
    gappy = nodes.copy()
    gappy[200:600, 2] = np.nan
    gappy[700:710] = np.nan
    full = prepare({"air": panel({"x": nodes}, "air")}).values[:, 0]
    holed = prepare({"air": panel({"x": gappy}, "air")}).values[:, 0]
    seen = np.isfinite(holed)
    assert (~seen).sum() == 10 and not seen[700:710].any()
    assert np.corrcoef(full[seen], holed[seen])[0, 1] > 0.99


def test_copies_of_a_node_count_once() -> None:
    one, two = RNG.normal(size=(2, 24 * 40, 1))
    twice = prepare({"a": panel({"x": np.hstack([one, two, two, two])}, "a")})
    once = prepare({"a": panel({"x": np.hstack([one, two])}, "a")})
    np.testing.assert_allclose(twice.values, once.values)
    assert "2 distinct nodes of 4" in twice.notes[0]


def test_constant_missing_and_duplicate_series_are_named() -> None:
    good = RNG.normal(size=(24 * 30, 2))
    done = prepare({"a": panel({"good": good, "copy": good, "flat": np.full_like(good, 3.0),
                                "empty": np.full_like(good, np.nan)}, "a")})
    assert done.series == (Series("a", "good"), Series("a", "copy"))
    assert {(one.series.variable, one.reason) for one in done.dropped} == {
        ("flat", "constant at 3"), ("empty", "never observed")}
    assert done.duplicates == ((Series("a", "good"), Series("a", "copy")),)


def test_transforms_follow_the_values_or_the_user() -> None:
    rain = np.where(RNG.random((24 * 40, 1)) < 0.8, 0.0, RNG.exponential(size=(24 * 40, 1)))
    dust = RNG.lognormal(3, 1, size=(24 * 40, 1))
    heat = RNG.normal(size=(24 * 40, 1))
    notes = "\n".join(prepare({"w": panel({"rain": rain, "dust": dust, "heat": heat}, "w")}).notes)
    assert "w.rain: mean of 1 nodes, transform ranks" in notes
    assert "transform log1p" in notes and "w.heat: mean of 1 nodes, transform none" in notes
    forced = prepare({"w": panel({"heat": heat}, "w")}, how=Preparation(transforms={"w.heat": "ranks"}))
    assert "transform ranks" in forced.notes[0]
    with pytest.raises(PrepareError, match="cube"):
        prepare({"w": panel({"heat": heat}, "w")}, how=Preparation(transforms={"w.heat": "cube"}))


def test_a_daily_domain_on_an_hourly_clock_never_looks_ahead() -> None:
    days, rows = 60, 60 * 24
    hourly = panel({"x": RNG.normal(size=(rows, 1))}, "fine")
    daily = panel({"y": np.arange(days, dtype=float)[:, None] + RNG.normal(size=(days, 1))}, "slow", "1D")
    plain = Preparation(remove_season=False, transforms={"slow.y": "none"})
    done = prepare({"fine": hourly, "slow": daily}, how=plain)
    column, raw = done.column(Series("slow", "y")), daily["y"].values[:, 0]
    assert done.step == "1h" and len(done.time) == rows
    assert np.isnan(column[:24]).all()  # the first day is known only when it is over
    held = np.repeat(raw[:-1], 24)
    assert np.corrcoef(column[24:], held)[0, 1] == pytest.approx(1.0)
    assert any("from the end of its step" in note for note in done.notes)


@settings(max_examples=15, deadline=None)
@given(st.integers(30, 55), st.floats(-1e6, 1e6))
def test_what_comes_later_cannot_change_what_was_prepared(cut_day: int, poison: float) -> None:
    rng = np.random.default_rng(3)
    hourly, daily = rng.normal(size=(60 * 24, 2)), rng.normal(size=(60, 1))
    bad_hourly, bad_daily = hourly.copy(), daily.copy()
    bad_hourly[cut_day * 24:], bad_daily[cut_day:] = poison, poison
    now = np.datetime64("2020-01-01", "ns") + np.timedelta64(cut_day, "D")

    def known(table: np.ndarray, name: str, domain: str, step: str) -> xr.Dataset:
        whole = panel({name: table}, domain, step)
        return whole.isel(time=whole["time"].values < now)

    clean = prepare({"a": known(hourly, "x", "a", "1h"), "b": known(daily, "y", "b", "1D")})
    later = prepare({"a": known(bad_hourly, "x", "a", "1h"), "b": known(bad_daily, "y", "b", "1D")})
    assert clean.values.tobytes() == later.values.tobytes()


def test_a_finer_domain_is_averaged_onto_a_coarser_clock() -> None:
    quarter = RNG.normal(size=(4 * 200, 1))
    done = prepare({"a": panel({"x": quarter}, "a", "15min")},
                   how=Preparation(step="1h", remove_season=False, transforms={"a.x": "none"}))
    means = quarter.reshape(200, 4).mean(axis=1)
    np.testing.assert_allclose(done.values[:, 0], (means - means.mean()) / means.std(), atol=1e-12)


@pytest.mark.parametrize(("panels", "words"), [
    ({}, "no panel"),
    ({"a": panel({"x": RNG.normal(size=(100, 1))}, "a"),
      "b": panel({"y": RNG.normal(size=(100, 1))}, "b", start="2022-01-01")}, "share 0 steps"),
    ({"a": panel({"x": RNG.normal(size=(100, 1))}, "a", "20min"),
      "b": panel({"y": RNG.normal(size=(100, 1))}, "b", "50min")}, "do not nest"),
])
def test_errors_are_one_line(panels: dict[str, xr.Dataset], words: str) -> None:
    with pytest.raises(PrepareError, match=words) as caught:
        prepare(panels)
    assert "\n" not in str(caught.value)


def test_unknown_variables_name_the_known_ones() -> None:
    with pytest.raises(PrepareError, match=r"no variable 'z' \(a\): expected one of x"):
        prepare({"a": panel({"x": RNG.normal(size=(100, 1))}, "a")}, variables={"a": ["z"]})
