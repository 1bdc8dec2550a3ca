"""What reaches us of the city: delays, late reports, gaps and revisions, in the shares asked for."""

import numpy as np
import pytest

from terracast.streams.bitemporal import REVISION_COLUMNS
from terracast.streams.city import PlantedFault, Reporting, simulate_city

HOUR = np.timedelta64(1, "h")
PERFECT = Reporting(late_share=0, gap_share=0, revised_share={})


def test_perfect_reports_are_whole_and_punctual():
    delays = {"weather": 2, "traffic": 1, "air": 5}
    city = simulate_city(days=10, drifts=(), reporting=Reporting(delays, 0, 0, {}))
    for domain, panel in city.panels.items():
        assert (panel.known_time.values == panel.time.values[:, None] + delays[domain] * HOUR).all()
        assert all(panel[name].notnull().all() for name in panel)
        assert city.revisions[domain].empty
        assert tuple(city.revisions[domain].columns) == REVISION_COLUMNS


@pytest.mark.parametrize("late, gap, revised", [(0.02, 0.015, 0.01), (0.1, 0.06, 0.03)])
def test_shares_are_those_asked_for(late, gap, revised):
    asked = Reporting(late_share=late, gap_share=gap, revised_share={"air": revised})
    city = simulate_city(seed=5, drifts=(), reporting=asked)
    for domain, panel in city.panels.items():
        wait = panel.known_time.values - panel.time.values[:, None]
        came = ~np.isnat(wait)
        assert (wait[came] >= HOUR).all()
        assert np.mean(wait[came] > HOUR) == pytest.approx(late, rel=0.2)
        assert wait[came].max() <= 97 * HOUR
        for name in panel:
            assert float(panel[name].isnull().mean()) == pytest.approx(gap, rel=0.2)
        # NaT exactly where no value of the report came.
        silent = np.all([panel[name].isnull().values for name in panel], axis=0)
        assert (silent == ~came).all()
        expected = revised * panel.sizes["time"] * panel.sizes["node"] * 2 if domain == "air" else 0
        assert len(city.revisions[domain]) == pytest.approx(expected, rel=0.1)


def test_late_reports_come_alone_and_in_queues():
    city = simulate_city(seed=5, drifts=())
    known, stamps = city.panels["traffic"].known_time.values, city.panels["traffic"].time.values[:, None]
    late = known > stamps + HOUR
    together = late[1:] & late[:-1] & (known[1:] == known[:-1])
    assert 0.3 < together.sum() / late.sum() < 0.7


def test_gaps_are_single_values_and_blocks():
    panel = simulate_city(seed=5, drifts=()).panels["weather"]
    lone = panel.rain.isnull() & panel.temperature.notnull()
    silent = np.isnat(panel.known_time.values)
    assert 0.3 < float(lone.sum()) / silent.sum() < 3
    inside = silent[1:-1] & silent[:-2] & silent[2:]
    assert inside.sum() > 0.4 * silent.sum()


def test_revisions_restore_the_world_and_come_after_the_report():
    asked = Reporting(late_share=0.05, gap_share=0, revised_share={"air": 0.02})
    city = simulate_city(seed=2, days=60, drifts=(), reporting=asked)
    perfect = simulate_city(seed=2, days=60, drifts=(), reporting=PERFECT)
    first, right, ledger = city.panels["air"], perfect.panels["air"], city.revisions["air"]
    assert tuple(ledger.columns) == REVISION_COLUMNS
    assert not ledger.duplicated(["time", "node", "variable"]).any()
    for row in ledger.itertuples():
        cell = {"time": row.time, "node": row.node}
        assert row.known_time > first.known_time.sel(cell).values
        assert row.value == float(right[row.variable].sel(cell))
        assert 0.04 < abs(np.log(float(first[row.variable].sel(cell)) / row.value)) < 0.41
    last = np.datetime64("2024-01-01")
    for name in ("no2", "pm25"):
        assert (city.history().as_known_at("air", last)[name].values == right[name].values).all()


FROM, UNTIL = np.datetime64("2023-01-08"), np.datetime64("2023-01-12")


def faulty_and_calm(fault_type, size=1.0, nodes=("air-03", "air-05"), reporting=PERFECT):
    fault = PlantedFault(fault_type, "air", "no2", nodes, FROM, UNTIL, size)
    city = simulate_city(days=20, drifts=(fault,), reporting=reporting)
    calm = simulate_city(days=20, drifts=(), reporting=reporting)
    assert [(one.fault_type, one.nodes) for one in city.faults] == [(fault_type, nodes)]
    assert city.drifts == ()
    return city, calm


@pytest.mark.parametrize("fault_type, size", [("outage", 1.0), ("stuck", 1.0), ("unit", 0.523), ("clock", 3.0),
                                        ("clock", -2.0)])
def test_faults_touch_only_the_reports_they_name(fault_type, size):
    city, calm = faulty_and_calm(fault_type, size, reporting=Reporting())
    touched = city.panels["air"].no2.copy(data=np.zeros(city.panels["air"].no2.shape))
    touched.loc[{"time": slice(FROM, UNTIL - HOUR), "node": ["air-03", "air-05"]}] = 1
    for domain, panel in city.panels.items():
        for name in panel:
            same = np.isclose(panel[name], calm.panels[domain][name], rtol=0, atol=0, equal_nan=True)
            assert same[touched.values == 0].all() if (domain, name) == ("air", "no2") else same.all()


def test_outage_reports_nothing_and_a_silent_station_has_no_known_time():
    city, _ = faulty_and_calm("outage")
    window = {"time": slice(FROM, UNTIL - HOUR), "node": ["air-03", "air-05"]}
    assert city.panels["air"].no2.sel(window).isnull().all()
    assert city.panels["air"].known_time.sel(window).notnull().all()
    both = tuple(PlantedFault("outage", "air", name, ("air-03", "air-05"), FROM, UNTIL)
                 for name in ("no2", "pm25"))
    assert simulate_city(days=20, drifts=both).panels["air"].known_time.sel(window).isnull().all()


def test_stuck_repeats_the_last_good_value():
    city, calm = faulty_and_calm("stuck")
    for node in ("air-03", "air-05"):
        told = city.panels["air"].no2.sel(node=node, time=slice(FROM, UNTIL - HOUR))
        assert (told == calm.panels["air"].no2.sel(node=node, time=FROM - HOUR)).all()


def test_wrong_unit_multiplies():
    city, calm = faulty_and_calm("unit", 0.523)
    window = {"time": slice(FROM, UNTIL - HOUR), "node": ["air-03", "air-05"]}
    right = calm.panels["air"].no2.sel(window)
    np.testing.assert_array_equal(city.panels["air"].no2.sel(window), right * 0.523)


@pytest.mark.parametrize("hours", [3, -2])
def test_wrong_clock_moves_values_and_never_tells_the_future(hours):
    city, calm = faulty_and_calm("clock", hours)
    told = city.panels["air"].sel(node="air-03", time=slice(FROM, UNTIL - HOUR))
    np.testing.assert_array_equal(told.no2, calm.panels["air"].no2.shift(time=hours).sel(
        node="air-03", time=told.time))
    measured = told.time.values - hours * HOUR
    assert (told.known_time.values >= measured + HOUR).all()
