"""How sure: the guarantee of the e-detector and of e-BH by simulation, and what is left of it when days depend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.monitoring.e_detector import EDetector, Sureness, e_benjamini_hochberg, in_words


def waits(memory: float, limit: float, streams: int = 300, blocks: int = 600) -> float:
    """Blocks a stream waits for a false alarm on average, with days of an autoregression of this ``memory``."""
    draws = np.random.default_rng(5)
    noise = draws.normal(size=(400 + blocks, streams))
    for row in range(1, len(noise)):
        noise[row] = memory * noise[row - 1] + (1 - memory**2) ** 0.5 * noise[row]
    detector, alarms = EDetector.fit(np.abs(noise[:400])), 0
    for row in np.abs(noise[400:]):
        loud = detector.update(row) >= limit
        alarms += int(loud.sum())
        detector.restart(loud)
    return streams * blocks / max(alarms, 1)


def test_a_false_alarm_is_as_rare_as_promised_where_the_assumption_holds():
    assert waits(0.0, 100.0) >= 100.0
    assert waits(0.0, 1000.0) >= 1000.0


def test_what_remains_when_days_depend_on_each_other():
    # The promise is kept for weak dependence and broken for strong: why thresholds are calibrated on the stream.
    assert waits(0.3, 100.0) >= 100.0
    assert waits(0.9, 100.0) < waits(0.3, 100.0)


def test_each_bet_is_fair():
    detector = EDetector.fit(np.arange(99.0)[:, None])
    values = [detector.p_values(np.array([size]))[0] for size in np.arange(100.0)]
    assert min(values) == pytest.approx(1 / 100) and max(values) == 1.0
    assert np.mean([0.4 * p**-0.6 for p in values]) <= 1.0
    assert np.isnan(detector.p_values(np.array([np.nan]))[0])


def test_state_is_exact_and_silence_changes_nothing():
    draws = np.random.default_rng(6)
    whole = EDetector.fit(np.abs(draws.normal(size=(60, 4))))
    parted = EDetector.restore(whole.state())
    for row in np.abs(draws.normal(size=(30, 4))):
        row[draws.random(4) < 0.3] = np.nan
        before = whole.values.copy()
        now = whole.update(row)
        assert (now[np.isnan(row)] == before[np.isnan(row)]).all()
        assert parted.update(row).tobytes() == now.tobytes()
        parted = EDetector.restore(parted.state())


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.01, 0.5))
@settings(max_examples=60, deadline=None)
def test_e_bh_is_the_largest_set_that_bears_itself(values, rate):
    chosen = e_benjamini_hochberg(np.array(values), rate)
    count, ordered = int(chosen.sum()), sorted(values, reverse=True)
    fits = [k for k in range(1, len(values) + 1) if ordered[k - 1] * k * rate >= len(values)]
    assert count == max(fits, default=0)
    assert not count or min(np.array(values)[chosen]) >= max(np.array(values)[~chosen], default=0.0)


def test_e_bh_keeps_the_false_share_whatever_depends_on_what():
    draws = np.random.default_rng(7)
    shares = []
    for _ in range(400):
        common = draws.normal()
        z = 0.8 * common + 0.6 * draws.normal(size=50)
        z[:10] += 4
        e = np.exp(2.0 * z - 2.0)  # likelihood ratio of a shift by 2: mean 1 where nothing changed
        chosen = e_benjamini_hochberg(e, 0.1)
        shares.append(chosen[10:].sum() / max(chosen.sum(), 1))
    assert np.mean(shares) <= 0.1


def test_sureness_tells_change_from_none_and_survives():
    draws = np.random.default_rng(8)
    sure = Sureness.fit(draws.normal(size=(200, 30)), np.repeat([0, 1, 2], 10))
    calm = draws.normal(size=(70, 30))
    calm[30, 4] = np.nan
    loud = calm.copy()
    loud[60:, 3] -= 2.5
    values = sure.values(loud)
    assert (np.delete(values, 3) == np.delete(sure.values(calm), 3)).all()
    assert values[3] > 1000 and np.median(values) < 100
    assert Sureness.restore(sure.state()).values(loud, np.array([3])).tobytes() == values[3:4].tobytes()
    assert "no more than chance" in in_words(5.0) and "once in 50 blocks" in in_words(500.0, 10)
