"""The paired e-process, and the watch over drivers by it: its guarantee by simulation, its power, its words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.causal.graph.graph import Driver, Series
from terracast.drivers.driver_watch import DriverWatch
from terracast.drivers.paired_e_process import PairedEProcess, PairedError, block_length

pytestmark = pytest.mark.integration

RAIN, WIND, DUST, FLOW = (Series("weather", "rain"), Series("weather", "wind"), Series("air", "dust"),
                          Series("traffic", "flow"))


def driver(series: Series, strength: float, used: bool = True) -> Driver:
    return Driver(series, FLOW, 2, strength, used, "known in time" if used else "published too late")


def remembering(random: np.random.Generator, noise: np.ndarray, memory: float) -> np.ndarray:
    """Noise (rows, trials) with memory."""
    out = np.zeros_like(noise)
    for row in range(1, len(noise)):
        out[row] = memory * out[row - 1] + noise[row]
    return out


NOISES = {"normal": lambda random, shape: random.normal(size=shape),
          "heavy": lambda random, shape: random.standard_t(3, size=shape),
          "losses of B are skewed": lambda random, shape: 1 - random.exponential(size=shape)}


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("noise", list(NOISES))
def test_equal_forecasts_are_hardly_ever_told_apart(noise: str, memory: float, late: bool) -> None:
    """At 5 %, over 200 trials of 1,200 issue times, looked at after every block: at most 5 % and chance (3 sd)."""
    random = np.random.default_rng(5)
    differences = remembering(random, NOISES[noise](random, (1200, 200)), memory)
    wrong = 0
    for trial in differences.T:
        evidence = PairedEProcess(block_length(trial, overlap=3), late=late)
        evidence.update(10 + trial, np.full(1200, 10.0))
        wrong += evidence.proven(0.05)
    assert wrong <= 10 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_a_gain_of_a_third_of_the_noise_is_found() -> None:
    random = np.random.default_rng(6)
    found = 0
    for _ in range(50):
        evidence = PairedEProcess(6, late=False)
        noise = random.normal(size=800)
        evidence.update(10 + noise, np.full(800, 9.7))
        found += evidence.proven(0.01)
    assert found == 50


@given(st.lists(st.floats(-5, 5), min_size=30, max_size=80), st.integers(1, 79), st.booleans())
def test_feeding_it_in_parts_and_restarting_changes_nothing(values: list[float], cut: int, late: bool) -> None:
    gains = np.array(values)
    whole, part = PairedEProcess(3, late=late), PairedEProcess(3, late=late)
    whole.update(gains + 9, np.full(len(gains), 9.0))
    part.update(gains[:cut] + 9, np.full(len(gains[:cut]), 9.0))
    part = PairedEProcess.restore(part.state())
    part.update(gains[cut:] + 9, np.full(len(gains[cut:]), 9.0))
    assert (part.e_value, part.peak, part.blocks) == (whole.e_value, whole.peak, whole.blocks)


def test_blocks_grow_with_memory_and_hold_the_horizon() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(4000, 1))
    lengths = [block_length(remembering(random, noise, memory)[:, 0], overlap=2) for memory in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 4 and 7 <= lengths[1] <= 12 and 40 <= lengths[2] <= 75
    assert block_length(np.zeros(100), overlap=7) == 7
    with pytest.raises(PairedError, match="block 0"):
        PairedEProcess(0)
    with pytest.raises(PairedError, match=r"shapes \(2,\) and \(3,\)"):
        PairedEProcess(1).update(np.ones(2), np.ones(3))


def test_a_driver_that_begins_to_hurt_is_dropped_and_a_good_one_is_not() -> None:
    random = np.random.default_rng(9)
    times = np.datetime64("2024-01-01", "ns") + np.arange(3000) * np.timedelta64(1, "h")
    served = 1 + 0.2 * random.normal(size=3000)
    without_rain = served + 0.05 + 0.1 * random.normal(size=3000)
    without_rain[2000:] -= 0.2  # the gauge breaks: without it forecasts are better from then on
    without_wind = served + 0.02 + 0.1 * random.normal(size=3000)
    drivers = [driver(RAIN, -0.4), driver(WIND, 0.3)]
    watch, dropped = DriverWatch(drivers, block=12), []
    for day in range(0, 3000, 24):
        rows = slice(day, day + 24)
        shadows = {one: losses[rows] for one, losses in ((RAIN, without_rain), (WIND, without_wind))
                   if one in watch.watched}
        dropped += watch.update(times[rows], served[rows], shadows)
        watch = DriverWatch.restore(watch.state())
    assert [one.series for one in dropped] == [RAIN] and watch.watched == (WIND,)
    assert times[2000] < dropped[0].time < times[2700]
    judged = watch.judged(drivers)
    assert [one.used for one in judged] == [False, True] and "lately forecasts with it lose more" in judged[0].reason
    with pytest.raises(PairedError, match=r"a shadow without air.dust"):
        watch.update(times[:1], served[:1], {DUST: served[:1]})


def test_useful_drivers_are_rarely_dropped() -> None:
    random = np.random.default_rng(2)
    times = np.datetime64("2024-01-01", "ns") + np.arange(1500) * np.timedelta64(1, "h")
    wrong = 0
    for _ in range(40):
        watch = DriverWatch([driver(RAIN, -0.4)], block=12)
        noise = remembering(random, random.normal(size=(1500, 1)), 0.5)[:, 0]
        watch.update(times, np.full(1500, 5.0), {RAIN: 5.0 + noise})
        wrong += bool(watch.dropped)
    assert wrong <= 5
