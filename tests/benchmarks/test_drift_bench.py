"""The drift bench: planting, counting, labels' marks by hand, and the whole of it on a small file."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.benchmarks.drift.backgrounds import background_of
from terracast.benchmarks.drift.bench import DriftBench, count, overlap
from terracast.benchmarks.drift.known import answer as of_known
from terracast.benchmarks.drift.labelled import answer, cover, f1_score, nab_score
from terracast.benchmarks.drift.methods import BenchAlarm, jensen_shannon, kolmogorov_smirnov
from terracast.benchmarks.drift.planted import Plant, PlantError, plants
from terracast.benchmarks.drift.replays import ReplayBench, StationaryWorld

HOUR = np.timedelta64(1, "h")
BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Forty-five weeks of five nodes that share most of what they do."""
    draws = np.random.default_rng(0)
    hours = 24 * 7 * 45
    shared = draws.normal(size=(hours, 1))
    for row in range(1, hours):
        shared[row] += 0.9 * shared[row - 1]
    values = 20 + shared + 0.7 * draws.normal(size=(hours, 5)) + 2 * np.sin(np.arange(hours) * np.pi / 12)[:, None]
    times = np.datetime64("2020-01-01", "ns") + np.arange(hours) * HOUR
    path = tmp_path_factory.mktemp("drift") / "small.nc"
    xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
               {"time": times, "node": list("abcde")}).to_netcdf(path)
    return path


def test_plants_do_what_they_say():
    values, expected = np.arange(12.0).reshape(6, 2), np.zeros((6, 2))
    deviation = np.array([1.0, 10.0])
    said = {change_type: Plant(change_type, (1,), 0.5).into(values, expected, expected + 1, deviation)
            for change_type in ("shift", "variance", "spread", "freeze", "ramp", "phase")}
    assert all((one[:, 0] == values[:, 0]).all() for one in said.values())
    assert (said["shift"][:, 1] - values[:, 1]).tolist() == [5.0] * 6
    assert (said["ramp"][:, 1] - values[:, 1]).round(3).tolist() == [0, 1.667, 3.333, 5, 5, 5]
    assert (said["freeze"][:, 1] == values[0, 1]).all() and (said["phase"][:, 1] == values[:, 1] + 1).all()
    assert said["variance"][:, 1] == pytest.approx(1.75**0.5 * values[:, 1])
    with pytest.raises(PlantError, match="no change type"):
        Plant("wobble", (0,)).into(values, expected, expected, deviation)
    order = np.argsort((np.arange(20)[:, None] - np.arange(20)) ** 2, axis=1, kind="stable")
    assert plants(("region",), order, np.array([0]), 1.0)[0].nodes == (0, 1)


def test_the_bench_on_a_small_file(small):
    bench = DriftBench((small,), ("shift", "freeze", "all"), 3.0, 1,
                       ("terracast", "terracast-adwin", "terracast-tests.adapt.own_detector:Chart", "river-adwin",
                        "js-weekly", "ks-weekly", "weekly", "never"))
    told = bench.answer(bench.backgrounds(), "command")
    rows = {row["method"]: row for row in json.loads(json.dumps(told))["rows"]}
    ours = rows["terracast"]
    assert rows["never"]["detection"] == rows["never"]["false_alarms"] == 0
    assert rows["weekly"]["detection"] == 1.0 and rows["weekly"]["false_alarms"] == 30  # six weeks of five nodes
    assert ours["detection_shift"] == 1.0 and ours["detection_freeze"] == 1.0
    assert rows["terracast-adwin"]["detection_shift"] == 1.0 and rows["terracast-adwin"]["detection_freeze"] == 1.0
    assert rows["terracast-tests.adapt.own_detector:Chart"]["detection_shift"] > 0.5
    assert ours["sort_by_sort"]["freeze"] == 1.0 and ours["chance"] <= 0.4
    assert told["summary"]["small_detection"] == ours["detection"]
    (segment,) = background_of(small).segments(1)
    alarms = [BenchAlarm(10, frozenset({1})), BenchAlarm(20, frozenset({1, 2})), BenchAlarm(20, frozenset({4})),
              BenchAlarm(400, frozenset({1})), BenchAlarm(401, frozenset(range(5)))]
    assert count(alarms, segment) == 4
    assert overlap(alarms, Plant("region", (1, 2, 3)), segment) == pytest.approx(1 / 3)
    two = [BenchAlarm(20, frozenset({1, 2}), "level", 1.2), BenchAlarm(30, frozenset({4}), "level", 1.5),
           BenchAlarm(30, frozenset({3}), "stuck", 9.0)]
    assert overlap(two, Plant("region", (1, 2, 3)), segment) == pytest.approx(2 / 3)


def test_marks_of_the_labelled_benchmarks_by_hand():
    assert nab_score([10, 12], [(10, 20)]) == pytest.approx(1.0)  # only the first one counts
    last, first = (2 / (1 + np.exp(5 * place)) - 1 for place in (-1 / 11, -1.0))
    assert nab_score([20], [(10, 20)]) == pytest.approx(last / first)
    assert nab_score([21], [(10, 20)]) == pytest.approx(-1 + 0.11 * (2 / (1 + np.exp(0.5)) - 1))
    assert nab_score([300], [(10, 20)]) == pytest.approx(-1.11)
    assert f1_score([[10, 20]], [11, 40]) == pytest.approx(2 / 3)
    assert f1_score([[10], [10, 30]], [10]) == pytest.approx(2 / (1 / 1 + 1 / ((1 + 2 / 3) / 2)))
    assert cover([[25], [75]], [25], 100) == pytest.approx((1 + (75 * 50 / 100 + 25 * 25 / 75) / 100) / 2)


def test_labelled_files(tmp_path):
    draws = np.random.default_rng(0)
    raw = np.repeat([0.0, 4.0], 60) + draws.normal(size=120)
    (tmp_path / "jump.json").write_text(json.dumps({"n_obs": 120, "series": [{"raw": [*raw[:-1].tolist(), None]}]}))
    (tmp_path / "labels.json").write_text(json.dumps({"jump": {"1": [60], "2": [61]}}))
    rows = {row["method"]: row for row in answer(tmp_path, tmp_path / "labels.json", "command")["rows"]}
    assert rows["terracast"]["f1"] == 1.0 and rows["terracast"]["cover"] > 0.95 > rows["never"]["cover"]


def test_chunk_tests_know_their_own():
    draws = np.random.default_rng(1)
    chunks = list(draws.normal(size=(25, 168)))
    for make in (jensen_shannon, kolmogorov_smirnov):
        flagged = make(chunks)
        assert not flagged(draws.normal(size=168)) and flagged(draws.normal(size=168) + 2)


def test_replays_keep_the_form():
    told = ReplayBench(3, 1, 120, 60, (StationaryWorld("gaps", gaps=0.002, freedom=5.0),), (4.0, 30.0),
                       ("scan", "page-hinkley")).answer("command")
    assert [row["stated_per_month"] for row in told["rows"]] == [4.0, 30.0] * 2
    assert [row["method"] for row in told["rows"]] == ["terracast"] * 2 + ["terracast-page-hinkley"] * 2
    assert "page-hinkley_ratio_at_30_a_month" in told["summary"]
    assert all(0 <= row["false_alarm_ratio"] < 3 for row in told["rows"])


@pytest.mark.slow
@pytest.mark.skipif(not BEIJING.exists(), reason="the shared Beijing data are not here")
def test_the_re_wired_stations_are_a_data_ticket():
    told = of_known(BEIJING / "beijing_air_quality.nc", BEIJING / "truth.json", "command")
    (row,) = [row for row in told["rows"] if row["event"] == "stations' weather re-wired"]
    assert row["sort"] == "wiring" and row["told"] == "2015-03-01"
    assert {"parade emission controls", "APEC emission controls"} <= {row["event"] for row in told["rows"]}
