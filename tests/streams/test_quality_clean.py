"""Quality on clean data: a person who is sent to a sensor for nothing stops to read tickets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.streams.quality import FACTS
from terracast.benchmarks.streams.quality_clean import FILES, bench_clean, false_tickets, node_years
from terracast.streams.city import simulate_city
from terracast.streams.quality import judge, shares, tickets

pytestmark = pytest.mark.integration

BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"
# Named before they were looked at: four months in the middle, neither where ozone stood still in the summer of 2013 nor
# where carbon monoxide stopped at its limit in 2015.
CLEAN_MONTHS = ("2014-01-01", "2014-04-01", "2014-07-31")  # learned from, judged from, judged to
CHOSEN_ON, CONFIRMED_ON = range(0, 10), range(10, 20)  # seeds by which the strictness was chosen, and others


@pytest.mark.parametrize("seeds", [CHOSEN_ON, CONFIRMED_ON], ids=["chosen", "confirmed"])
def test_ten_small_files_have_at_most_a_false_ticket_a_node_and_year(seeds: range,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    answer = bench_clean(seeds.start)
    rate, rows = answer["summary"]["false_tickets_per_node_year"], answer["rows"]
    with capsys.disabled():
        print(f"\nseeds {seeds.start} to {seeds.stop - 1}: {rate:.2f} false tickets a node and year")
    assert len(rows) == len(FILES) and rate <= 1.0 and sum(row.get("clock", 0) for row in rows) <= 1
    assert not [row for row in rows if row.get("outage") or row.get("stuck")]


def test_the_city_without_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Its links are down for hours now and then, by design: those outages are true."""
    city = simulate_city(seed=11, days=160, weather_nodes=3, traffic_nodes=4, air_nodes=6, drifts=())
    told: Counter[str] = Counter()
    years = 0.0
    for panel in city.panels.values():
        told += false_tickets(panel, leave=("outage",))
        years += node_years(panel)
    with capsys.disabled():
        print(f"\nthe city: {sum(told.values()) / years:.2f} false tickets a node and year, {dict(told)}")
    assert sum(told.values()) <= years


@pytest.mark.skipif(not BEIJING.exists(), reason="no shared data beside the repository")
def test_months_of_beijing(capsys: pytest.CaptureFixture[str]) -> None:
    """Gaps, lateness and stations that share a series are facts of these data; all else would be false."""
    first, since, last = CLEAN_MONTHS
    panel = xr.load_dataset(BEIJING)[["PM25", "NO2"]].sel(time=slice(first, last))
    panel = panel.assign_attrs(domain="beijing", kind="sensor", step="1h")
    told = false_tickets(panel, since=since, leave=(*FACTS, "duplicated"))
    years = node_years(panel, since)
    with capsys.disabled():
        print(f"\nBeijing: {sum(told.values()) / years:.2f} false tickets a node and year, {dict(told)}")
    assert sum(told.values()) <= years


def small(values: np.ndarray, name: str = "pm25", units: str = "ug m-3", **attrs: str) -> xr.Dataset:
    return xr.Dataset({name: (("time", "node"), values, {"units": units, "long_name": name})},
                      {"time": pd.date_range("2024-01-01", periods=len(values), freq="h"),
                       "node": [f"S{place}" for place in range(values.shape[1])]},
                      {"domain": "d", "kind": "sensor", "step": "1h", **attrs})


def alive(rows: int, nodes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    hours = np.arange(rows)[:, None]
    return np.asarray(np.round(20 + 5 * np.sin(hours * np.pi / 12) + random.normal(0, 2, (rows, nodes)), 1))


def test_dead_sensors_are_told_up_to_the_end_and_the_good_one_is_not() -> None:
    values = alive(24 * 42, 4)
    values[:, 1], values[:, 3] = 17.0, 0.0
    values[400, 2], values[410, 2] = 985000.0, -3.0
    panel = small(values)
    told = {one.nodes[0]: one for one in tickets(judge(panel).hindsight())}
    assert set(told) == {"S1", "S2", "S3"}
    for node in ("S1", "S3"):
        assert told[node].fault_type == "stuck" and told[node].cells == len(values)
        assert "up to the newest stamp" in told[node].words
        assert (told[node].start, told[node].end) == (panel["time"].values[0], panel["time"].values[-1])
    assert (told["S2"].fault_type, told["S2"].cells) == ("range", 2)


@pytest.mark.parametrize("from_row", [24 * 3, 24 * 20, 24 * 30])
def test_a_sensor_that_dies_later_is_told_for_as_long_as_it_lasts(from_row: int) -> None:
    values = alive(24 * 150, 3)
    values[from_row:, 0], values[from_row:, 1] = 0.0, 12.3
    told = [one for one in tickets(judge(small(values)).hindsight()) if one.fault_type == "stuck"]
    assert [(one.nodes, one.cells) for one in told] == [(("S0",), len(values) - from_row),
                                                        (("S1",), len(values) - from_row)]


def test_one_value_far_off_is_told_and_ordinary_unrest_is_not() -> None:
    values = alive(24 * 60, 2)
    values[1000, 0] = 400.0
    panel = small(values, "x", "1")
    (ticket,) = tickets(judge(panel).hindsight(), panel)
    assert (ticket.fault_type, ticket.nodes, ticket.cells) == ("spike", ("S0",), 1)
    assert ticket.start == panel["time"].values[1000]


def test_a_detection_limit_and_whole_degrees_are_no_fault() -> None:
    """A season may rest at the lowest value that can be told for twice as long as any night before, and the
    warmest whole degree of a week comes again and again."""
    random = np.random.default_rng(4)
    hours = np.arange(24 * 150)[:, None]
    values = np.round(np.maximum(2.0, 6 + 12 * np.sin(hours * np.pi / 12) + random.normal(0, 1, (len(hours), 2))))
    values[24 * 100 + 10:24 * 101 + 8, 0] = 2.0
    warm = np.round(6 + 5 * np.sin(hours * np.pi / 12) + random.normal(0, 0.4, (len(hours), 2)))
    told = [*tickets(judge(small(values)).hindsight()), *tickets(judge(small(warm, "t", "degC")).hindsight())]
    assert not [one for one in told if one.fault_type in ("stuck", "saturated")]


def test_a_clock_that_is_shifted_for_good_is_told() -> None:
    """Where few stations bear witness, too, once there is a past: the evidence is overwhelming. After some weeks the
    new hour is what is usual."""
    random = np.random.default_rng(3)
    hours = np.arange(24 * 120)[:, None]
    weather = np.convolve(random.normal(size=len(hours)), np.ones(6) / 6, "same")[:, None]
    values = 20 + 8 * np.sin(hours * np.pi / 12) + 6 * weather + random.normal(0, 0.3, (len(hours), 3))
    values[24 * 80:, 0] = np.roll(values[:, 0], 3)[24 * 80:]
    told = [one for one in tickets(judge(small(values)).hindsight()) if one.fault_type == "clock"]
    assert [one.nodes for one in told] == [("S0",)] and told[0].cells >= 24 * 14


@pytest.mark.parametrize(("name", "units", "kind"), [("rain", "mm", "sensor"), ("snow_depth", "m", "sensor"),
                                                     ("incidents", "1", "event"), ("thefts", "1", "sensor")])
def test_zeros_that_are_natural_are_no_dead_sensors(name: str, units: str, kind: str) -> None:
    """Rare events, districts without any, a summer without snow."""
    values = np.random.default_rng(0).poisson([0.4, 0.05, 0.001, 0.0], (24 * 60, 4)).astype(float)
    assert not tickets(judge(small(values, name, units, kind=kind)).hindsight())


def test_gaps_at_random_are_a_share_and_a_blip_or_a_late_begin_is_no_outage() -> None:
    values = alive(24 * 60, 4)
    values[np.random.default_rng(1).random(values.shape) < 0.02] = np.nan
    values[500, :2] = np.nan
    values[: 24 * 25, 3] = np.nan
    flags = judge(small(values)).hindsight()
    assert not tickets(flags)
    (share,) = shares(flags)
    assert 0.01 < share.share < 0.03 and share.words.endswith(f"at {share.node}")


def test_an_outage_lasts_as_long_as_it_does() -> None:
    values = alive(24 * 200, 3)
    values[24 * 40:, 1] = np.nan
    (ticket,) = tickets(judge(small(values)).hindsight())
    assert (ticket.fault_type, ticket.nodes, ticket.cells) == ("outage", ("S1",), 24 * 160)
    assert "up to the newest stamp" in ticket.words
