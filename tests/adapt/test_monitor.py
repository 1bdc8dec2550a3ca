"""The monitor: the promise on false alarms, what it finds and where, outages, and state."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.monitoring.detection.alarm_budget import allocate
from terracast.adapt.monitoring.detection.alarm_threshold import count_episodes
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import Monitor, MonitorError
from terracast.adapt.monitoring.statistics.node_statistics import KINDS, OF_NODES, NodeStatistics
from terracast.benchmarks.drift.bulk_replay import bulk_replay
from terracast.stats.block_bootstrap import circular_block_rows

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
NAMES = tuple("abcdef")


def network(seed, days, nodes=6, memory=0.8):
    """Residuals of a network: a common autocorrelated part and each node's own; hourly."""
    draws = np.random.default_rng(seed)
    shocks = draws.normal(size=(24 * days, nodes + 1)) * np.sqrt(1 - memory**2)
    for row in range(1, len(shocks)):
        shocks[row] += memory * shocks[row - 1]
    residuals = 0.8 * shocks[:, :1] + 0.6 * shocks[:, 1:]
    return np.datetime64("2019-01-01", "ns") + np.arange(len(residuals)) * HOUR, residuals


@pytest.fixture(scope="module")
def fitted():
    times, residuals = network(0, 200)
    return Monitor.fit(residuals, times, 1.0, seed=3, nodes=NAMES).state(), times[-1] + HOUR


def later(start, seed, days):
    times, residuals = network(seed, days)
    return start + (times - times[0]), residuals


def test_false_alarms_keep_the_promise(fitted):
    state, start = fitted
    months = episodes = 0.0
    for seed in (11, 12, 13):
        monitor, days = Monitor.restore(state), 365
        times, residuals = later(start, seed, days)
        found = monitor.observe(times, residuals)
        alarms = np.zeros(days + 1, bool)
        for one in found:
            alarms[int((one.time - start) / DAY)] = True
        episodes += count_episodes(alarms, 7)
        months += days / 30.5
    assert episodes / months <= 1.3  # promised 1; a Poisson count of 36 is rarely above 46


@pytest.mark.parametrize(("change", "change_type", "direction"), [
    (lambda x: x + 1.2, "level", "up"), (lambda x: x - 1.2, "level", "down"), (lambda x: x * 2.2, "scale", "wider")])
def test_finds_what_changed_where_and_since_when(fitted, change, change_type, direction):
    state, start = fitted
    monitor = Monitor.restore(state)
    times, residuals = later(start, 21, 60)
    onset = 30 * 24
    assert not any(one.change_type != "health" and one.time > times[onset - 72] for one in
                   Monitor.restore(state).observe(times[:onset], residuals[:onset]))
    residuals[onset:, 2] = change(residuals[onset:, 2])
    episodes, opened = Episodes(14 * DAY, name="air-PM25"), None
    for row in range(0, len(times), 6):
        found = monitor.observe(times[row:row + 6], residuals[row:row + 6])
        for episode in episodes.fold(times[row + 5], [one for one in found if one.time >= times[onset]]):
            opened = opened or episode
    assert opened is not None and opened.opened <= times[onset] + 14 * DAY
    (episode,) = episodes.active()
    assert "c" in opened.nodes and episode.change_type == change_type  # one wild day may look like a step
    assert abs(opened.since - times[onset]) <= 6 * DAY
    clue = max((one for one in _all(state, times, residuals, onset) if one.nodes == ("c",)), key=lambda e: e.strength)
    assert clue.change_type == change_type and clue.direction == direction


def _all(state, times, residuals, onset):
    return [one for one in Monitor.restore(state).observe(times, residuals) if one.time >= times[onset]]


def test_a_change_common_to_all_is_seen(fitted):
    state, start = fitted
    times, residuals = later(start, 22, 40)
    residuals[20 * 24:] += 1.5
    found = _all(state, times, residuals, 20 * 24)
    assert any(one.nodes == NAMES and one.change_type == "level" for one in found)


@pytest.mark.parametrize("hidden", ["nan rows", "no rows"])
def test_an_outage_is_a_data_ticket_and_no_drift(fitted, hidden):
    state, start = fitted
    times, residuals = later(start, 24, 30)
    calm = [one for one in Monitor.restore(state).observe(times, residuals) if one.change_type != "health"]
    out = slice(10 * 24, 14 * 24)
    keep = np.ones(len(times), bool)
    if hidden == "nan rows":
        residuals[out] = np.nan
    else:
        keep[out] = False
    found = Monitor.restore(state).observe(times[keep], residuals[keep])
    assert len(found) <= len(calm)
    reported = np.isfinite(residuals[keep])
    reports = ReportWatch.fit(NAMES, HOUR, np.ones((24 * 90, len(NAMES)), bool), 24)
    (ticket,) = reports.update(times[keep], reported)
    assert (ticket.change_type, ticket.ticket, ticket.nodes) == ("health", "outage", NAMES)
    assert ticket.since == times[10 * 24] - HOUR


def test_one_silent_sensor_is_named(fitted):
    _, start = fitted
    times, residuals = later(start, 25, 20)
    residuals[5 * 24:, 4] = np.nan
    reports = ReportWatch.fit(NAMES, HOUR, np.ones((24 * 90, len(NAMES)), bool), 24)
    assert [one.nodes for one in reports.update(times, np.isfinite(residuals))] == [("e",)]
    again = ReportWatch.restore(reports.state())
    assert again.update(times, np.isfinite(residuals)) == [] and again.silence.nodes.tolist() == [0, 0, 0, 0, 360, 0]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6))
@settings(max_examples=10, deadline=None)
def test_how_rows_are_cut_and_restarts_change_nothing(fitted, cuts):
    state, start = fitted
    times, residuals = later(start, 26, 25)
    residuals[300:, 1] += 2
    whole = Monitor.restore(state)
    expected, found, row = whole.observe(times, residuals), [], 0
    parted = Monitor.restore(state)
    for cut in [*cuts, len(times)]:
        found += parted.observe(times[row:row + cut], residuals[row:row + cut])
        row = min(row + cut, len(times))
        parted = Monitor.restore(parted.state())
    assert tuple(found) == expected and expected
    assert whole.history.streams.tobytes() == parted.history.streams.tobytes()


def test_a_replay_says_what_the_loop_would(fitted):
    state, start = fitted
    times, residuals = later(start, 26, 60)
    residuals[300:, 1] += 2
    residuals[700:, :] -= 1.5
    residuals[400:460, 3] = np.nan
    said = bulk_replay(Monitor.restore(state), times, residuals)
    assert said == tuple(one for one in Monitor.restore(state).observe(times, residuals) if one.change_type != "health")
    assert said and max(one.e_value for one in said) > 1e4


def test_rows_count_once(fitted):
    state, start = fitted
    times, residuals = later(start, 27, 10)
    one, other = Monitor.restore(state), Monitor.restore(state)
    one.observe(times, residuals)
    for row in range(0, len(times), 24):
        other.observe(times[:row + 24], residuals[:row + 24])
    for part in ("streams", "moments"):
        assert getattr(one.history, part).tobytes() == getattr(other.history, part).tobytes()


def test_fit_is_repeatable_and_says_what_it_needs(fitted):
    frozen = Monitor.restore(fitted[0]).calibration
    times, residuals = network(0, 200)
    assert Monitor.fit(residuals, times, 1.0, seed=3, nodes=NAMES).calibration.threshold == frozen.threshold
    stricter = Monitor.fit(residuals, times, 0.25, seed=3)
    limits = stricter.calibration.threshold * stricter.calibration.scan.limits
    known = np.isfinite(limits)
    assert (limits > frozen.threshold * frozen.scan.limits)[known].mean() > 0.9
    with pytest.raises(MonitorError, match="longer reference"):
        Monitor.fit(residuals[:20], times[:20], block=DAY, seed=0)
    with pytest.raises(MonitorError, match="one row a time"):
        Monitor.fit(residuals, times[:5], seed=0)


def test_restart_forgets_but_keeps_the_scale(fitted):
    monitor = Monitor.restore(fitted[0])
    threshold = monitor.calibration.threshold
    monitor.restart()
    assert monitor.calibration.threshold == threshold
    times, residuals = later(fitted[1], 28, 9)
    assert monitor.observe(times, residuals + 4) == ()  # too few blocks to compare with anything


def test_other_clocks():
    draws = np.random.default_rng(30)
    for step, rows in ((np.timedelta64(1, "D"), 400), (np.timedelta64(5, "m"), 1500)):
        times = np.datetime64("2020-01-01", "ns") + np.arange(rows) * step
        monitor = Monitor.fit(draws.normal(size=(rows, 1)), times, seed=0)
        values = draws.normal(size=(rows, 1)) + 5
        assert any(one.change_type == "level" for one in monitor.observe(times[-1] + (times - times[0]) + step, values))


def test_parts_by_hand():
    assert count_episodes(np.ones(28, bool), 7) == 4  # a siren that never stops is not one false alarm
    rows = np.arange(10.0)[:, None]
    drawn = rows[circular_block_rows(len(rows), 20, 5, np.random.default_rng(1)), 0]
    assert len(drawn) == 20 and set(np.diff(drawn[:5]) % 10) == {1}
    views = NodeStatistics.fit(network(1, 30)[1])
    holed = np.array([[1.0, np.nan, 1.0, 1.0, 1.0, 1.0]])
    own, local, _, common = views.of(holed)
    assert np.isnan(own[0, 1]) and np.isnan(local[0, 1]) and np.isfinite(common[0, 0])
    alone = NodeStatistics.fit(np.array([[0.0], [1.0], [-1.0], [0.5]]))
    z = alone.reference.standardise(np.array([[1.0], [3.0], [2.0], [np.nan]]))[:3, 0]
    made = alone.blocks(np.array([[1.0], [3.0], [2.0], [np.nan]]), np.zeros(4, int), np.arange(4), 4, False)
    streams = dict(zip(KINDS, made.streams[0], strict=True))
    assert streams["own level"] == pytest.approx(z.mean()) and np.isnan(streams["local level"])
    assert streams["own scale"] == pytest.approx(np.log(np.abs(z - z.mean()).mean() + 0.05))
    half = alone.blocks(np.array([[1.0]]), np.zeros(1, int), np.zeros(1, int), 4, False)
    assert np.isnan(half.streams).all()


def test_kinds_without_evidence_leave_their_share_of_the_promise_to_the_others():
    draws = np.random.default_rng(0)
    for nodes, daily in ((1, False), (1, True), (6, False), (6, True)):
        views = NodeStatistics.fit(draws.normal(size=(24 * 30, nodes)), (np.arange(720) // 24, np.arange(720) % 24, 24))
        blocks = views.blocks(draws.normal(size=(24 * 30, nodes)), np.arange(720) // 24, np.arange(720) % 24, 24, daily)
        kinds, _ = views.kinds
        rates = allocate(0.5, blocks.streams, kinds)
        assert (rates.sum(axis=1) @ np.bincount(kinds)) == pytest.approx(0.5)
        shared = {KINDS[kind] for kind in np.flatnonzero(rates.sum(axis=1))}
        assert ("own level" in shared) == (nodes == 1) and ("local level" in shared) == (nodes > 1)
        assert ("cycle sine" in shared) == daily


def test_a_sensor_that_was_set_aside_says_nothing_of_its_neighbours():
    times, residuals = network(2, 150)
    cut = 24 * 120
    monitor = Monitor.fit(residuals[:cut], times[:cut], 1.0, seed=0, values=residuals[:cut])
    aside = residuals[cut:].copy()
    aside[:, 0] = np.nan
    assert not [one for one in monitor.observe(times[cut:], aside) if len(one.nodes) < 6]


def test_a_node_that_never_differs_from_its_forecast_is_no_part_of_what_all_show() -> None:
    draws = np.random.default_rng(3)
    times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 110) * np.timedelta64(1, "h")
    residuals = draws.normal(size=(len(times), 4))
    residuals[:, 3] = 0.0  # a district without a case, forecast as such
    residuals[24 * 95:, :3] += 2.0
    monitor = Monitor.fit(residuals[:24 * 80], times[:24 * 80], nodes=("a", "b", "c", "quiet"), seed=1)
    found = monitor.observe(times[24 * 80:], residuals[24 * 80:])
    assert found and all("quiet" not in one.nodes for one in found)


def test_dead_nodes_leave_their_share_to_the_living() -> None:
    """A network whose sensors are mostly dead is as quick as its living part alone."""
    draws, kinds = np.random.default_rng(0), np.repeat(np.arange(len(KINDS)), [4 if kind in OF_NODES else 1
                                                                                for kind in KINDS])
    streams = draws.normal(size=(60, len(kinds)))
    dead = np.where((np.arange(len(kinds)) % 4 > 0) & (kinds < len(OF_NODES)), np.nan, streams)
    whole, few = allocate(1.0, streams, kinds), allocate(1.0, dead, kinds)
    for at in range(len(KINDS)):
        count = int(np.isfinite(dead[:, kinds == at]).any(axis=0).sum())
        assert few[at].sum() * count == pytest.approx(whole[at].sum() * int((kinds == at).sum()))
