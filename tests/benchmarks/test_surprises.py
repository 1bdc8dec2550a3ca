"""Alarms in one series: found where something happens, few where nothing does, and never from what comes later."""

import json

import numpy as np
import pandas as pd
import pytest

from terracast.benchmarks.drift.labelled import answer
from terracast.benchmarks.drift.surprises import LENGTHS, improbability, nearest, series_alarms, surprises

ROWS, PROBATION, AT = 3000, 500, 2010
TIMES = np.datetime64("2024-01-01", "ns") + np.arange(ROWS) * np.timedelta64(5, "m")


def stationary(sort: str, seed: int) -> np.ndarray:
    """One series (time,): white noise, an autoregression, or a daily cycle with noise."""
    noise = np.random.default_rng(seed).normal(size=ROWS)
    if sort == "cycle":
        return 3 * np.sin(np.arange(ROWS) * 2 * np.pi / 288) + 0.5 * noise
    values, memory = noise.copy(), 0.8 if sort == "autoregression" else 0.0
    for row in range(1, ROWS):
        values[row] += memory * values[row - 1]
    return values


def changed(values: np.ndarray, sort: str) -> np.ndarray:
    """With a jump, a spike or a larger spread at row ``AT``."""
    values = values.copy()
    if sort == "jump":
        values[AT:] += 6
    elif sort == "spike":
        values[AT] += 10
    else:
        values[AT:] *= 3
    return values


@pytest.mark.parametrize("sort", ["white", "autoregression", "cycle"])
def test_few_alarms_where_nothing_happens(sort):
    counts = [len(series_alarms(stationary(sort, seed), TIMES, PROBATION)) for seed in range(6)]
    assert sum(counts) <= 6 * (ROWS - PROBATION) / 500


@pytest.mark.parametrize("background", ["white", "cycle"])
@pytest.mark.parametrize(("sort", "within"), [("jump", 5), ("spike", 1), ("spread", 100)])
def test_what_happens_is_found(background, sort, within):
    found = 0
    for seed in range(6):
        alarms = series_alarms(changed(stationary(background, seed), sort), TIMES, PROBATION)
        found += any(AT <= alarm < AT + within for alarm in alarms)
    assert found >= 5  # an alarm just before may silence one


def test_a_stretch_that_never_was_is_found_though_its_values_were():
    cycle = stationary("cycle", 0)
    turned = cycle.copy()
    turned[AT:AT + 100] = cycle[AT - 72:AT + 28][::-1]
    usual, strange = (surprises(one, TIMES, PROBATION)[AT:AT + 100].max() for one in (cycle, turned))
    assert strange > usual


def test_what_comes_later_changes_nothing():
    values = stationary("autoregression", 3)
    later = values.copy()
    later[AT + 1:] = 50 * np.random.default_rng(1).normal(size=ROWS - AT - 1)
    told, other = surprises(values, TIMES, PROBATION), surprises(later, TIMES, PROBATION)
    assert (told[:AT + 1] == other[:AT + 1]).all() and (told[AT + 1:] != other[AT + 1:]).any()
    assert (told[:AT + 1] == surprises(values[:AT + 1], TIMES[:AT + 1], PROBATION)).all()
    alarms, cut = (series_alarms(values[:end], TIMES[:end], PROBATION) for end in (ROWS, AT + 1))
    assert alarms[alarms <= AT].tolist() == cut.tolist()


@pytest.mark.parametrize("length", LENGTHS)
def test_the_nearest_stretch_by_hand(length):
    values = np.random.default_rng(0).normal(size=60)
    stretches = np.lib.stride_tricks.sliding_window_view(values, length)
    for row in range(2 * length - 1, 60):
        now, past = stretches[row - length + 1], stretches[:row - 2 * length + 2]
        assert nearest(values, length)[row] == pytest.approx(np.sqrt(((past - now) ** 2).mean(axis=1).min()))
    assert (nearest(values, length)[:2 * length - 1] == 0).all()


def test_improbability_is_a_tail_probability():
    pareto = np.random.default_rng(0).pareto(2.0, size=20_000) + 1
    told = improbability(pareto, 10_000)[10_000:]
    for chance in (0.5, 0.1, 0.01, 0.001):
        assert (told > -np.log(chance)).mean() == pytest.approx(chance, rel=0.5)
    far = improbability(np.append(pareto, 1000.0), 10_000)[-1]
    assert far == pytest.approx(2 * np.log(1000), rel=0.2)


def test_flat_references_and_the_halves_of_the_files(tmp_path):
    frame = pd.DataFrame({"timestamp": TIMES.astype("datetime64[s]").astype(str), "value": 1.0})
    frame.to_csv(tmp_path / "flat.csv", index=False)
    frame["value"] = changed(stationary("white", 0), "jump")
    frame.to_csv(tmp_path / "jump.csv", index=False)
    windows = {"jump.csv": [[str(TIMES[AT - 5]), str(TIMES[AT + 200])]], "flat.csv": []}
    (tmp_path / "labels.json").write_text(json.dumps(windows))
    told = answer(tmp_path, tmp_path / "labels.json", "command")
    ours = told["rows"][0]
    assert ours["nab_score"] == ours["nab_score_held_out"] > 50 and ours["nab_score_seen"] is None
    assert "held out" in told["protocol"]["nab_halves"]
