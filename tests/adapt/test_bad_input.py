"""Bad input: stated in the result, never an exception, never an alarm storm: one episode."""

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import Monitor
from terracast.streams.quality import judge, learn
from terracast.streams.quality.known_flags import KnownFlags
from terracast.streams.quality.online import as_known

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
NAMES = tuple("abcdef")


def network(seed, days):
    draws = np.random.default_rng(seed)
    shocks = draws.normal(size=(24 * days, 7)) * 0.6
    for row in range(1, len(shocks)):
        shocks[row] += 0.8 * shocks[row - 1]
    return 0.8 * shocks[:, :1] + 0.6 * shocks[:, 1:]


@pytest.fixture(scope="module")
def fitted():
    residuals = network(0, 150)
    residuals[:, 5] = np.nan  # f is not there yet
    times = np.datetime64("2020-01-01", "ns") + np.arange(len(residuals)) * HOUR
    monitor = Monitor.fit(residuals, times, 1.0, seed=1, nodes=NAMES, values=residuals)
    faults = DataFaults(ReportWatch.fit(NAMES, HOUR, np.isfinite(residuals), 24), FlagTickets("d", "x", NAMES))
    return (monitor.state(), faults.state(), learn(panel_of(times, residuals))), times[-1] + HOUR


def panel_of(times, values):
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": times, "node": list(NAMES)}, {"domain": "d", "kind": "sensor", "step": "1h"})


def told(states, times, residuals, values=None):
    """What the monitor, the reports, the flags and the episodes say, day by day, restarted every day."""
    monitor, faults, episodes, found, ids = Monitor.restore(states[0]), states[1], Episodes(7 * DAY), [], {}
    flags = KnownFlags() if values is None else as_known(judge(panel_of(times, values), reference=states[2]), times[-1])
    for row in range(0, len(times), 24):
        part = slice(row, row + 24)
        now = times[part][-1]
        shown = np.where(flags.flagged("x", times[part], NAMES, now), np.nan, residuals[part])
        heard = DataFaults.restore(faults)
        clues = [*monitor.observe(times[part], shown), *heard.reports.update(times[part], np.isfinite(residuals[part])),
                 *heard.flagged.update(now, {"d": flags}, ())]
        found += clues
        for one in episodes.fold(now, clues):
            ids[one.id] = one.change_type
        monitor, faults = Monitor.restore(monitor.state()), heard.state()
        episodes = Episodes.restore(episodes.state())
    return found, ids


def days(state_and_start, seed=3, count=40):
    _, start = state_and_start
    residuals = network(seed, count)
    residuals[:, 5] = np.nan
    return start + np.arange(len(residuals)) * HOUR, residuals


def check(found, ids, ticket, nodes, calm):
    (clue,) = [one for one in found if one.ticket == ticket]
    assert clue.change_type == "health" and clue.nodes == nodes
    assert sum(change_type == "health" for change_type in ids.values()) == 1
    assert sum(change_type != "health" for change_type in ids.values()) <= calm + 1


@pytest.fixture(scope="module")
def calm(fitted):
    _, ids = told(fitted[0], *days(fitted))
    assert not any(change_type == "health" for change_type in ids.values())
    return len(ids)


def test_a_node_that_dies(fitted, calm):
    times, residuals = days(fitted)
    residuals[300:, 2] = np.nan
    check(*told(fitted[0], times, residuals), "silent", ("c",), calm)


def test_a_node_that_appears(fitted, calm):
    times, residuals = days(fitted)
    residuals[300:, 5] = network(9, 40)[300:, 1] + 5
    check(*told(fitted[0], times, residuals), "appeared", ("f",), calm)


def test_a_variable_that_turns_constant(fitted, calm):
    times, residuals = days(fitted)
    residuals[300:, 1] = residuals[300, 1]
    check(*told(fitted[0], times, residuals, residuals), "stuck", ("b",), calm)


def test_all_labels_late_by_a_week(fitted, calm):
    times, residuals = days(fitted)
    residuals[300:468] = np.nan
    check(*told(fitted[0], times, residuals), "outage", NAMES, calm)


def test_a_clock_that_goes_back(fitted, calm):
    times, residuals = days(fitted)
    odd = times.copy()
    odd[310:] -= 6 * HOUR  # within a day's rows, and for good
    check(*told(fitted[0], odd, residuals), "clock", NAMES, calm)


def test_an_episode_does_not_grow_older_than_its_evidence_when_the_clock_goes_back():
    at = np.datetime64("2020-03-01", "ns")
    clue = Evidence(at, at, ("a",), "level", "up", 2.0)
    episodes = Episodes(3 * DAY)
    episodes.fold(at, [clue])
    episodes.fold(at - 2 * DAY, [clue])
    (one,) = episodes.active()
    assert one.last_evidence == at and one.phase == "growing"
    states = [episodes.fold(at + day * DAY, [])[0].phase for day in (3, 6)]
    assert states == ["recovering", "closed"] and not episodes.active()


def test_evidence_during_recovery_is_the_same_episode():
    at = np.datetime64("2020-03-01", "ns")
    clue = Evidence(at, at, ("a",), "level", "up", 2.0)
    episodes = Episodes(3 * DAY)
    (first,) = episodes.fold(at, [clue])
    episodes.fold(at + 4 * DAY, [])
    (again,) = episodes.fold(at + 5 * DAY, [clue])
    assert again.id == first.id and again.phase == "growing" and again.count == 2
