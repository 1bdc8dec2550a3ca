"""The noises have the covariances that they claim, in time and in space."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.stfm.prior.clock import DAY, WEEK, YEAR, WorldClock
from terracast.stfm.prior.gaussian import matern, periodic, sampled
from terracast.stfm.prior.noise import ornstein, shots, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import bump, sunshine

LAGS = np.arange(65, dtype=float)


@pytest.mark.parametrize("kernel", [
    matern(LAGS, 5.0, 0), matern(LAGS, 8.0, 1), matern(LAGS, 8.0, 2), matern(LAGS, 6.0, 3),
    matern(LAGS, 12.0, 2) * periodic(LAGS, 8.0, 0.8), matern(LAGS, 10.0, 0) * np.cos(2 * np.pi * LAGS / 7)])
def test_a_gaussian_sample_has_its_kernel(kernel: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    many = np.concatenate([sampled(rng, kernel, np.eye(100)) for _ in range(60)], 1)  # nodes that know no other
    found = np.array([(many[0] * many[lag]).mean() for lag in range(40)])
    assert np.abs(found - kernel[:40]).max() < 0.06
    assert abs(many[30].var() - 1) < 0.06


def test_nodes_are_as_alike_as_their_mixing_says() -> None:
    places = Places(np.array([[0.0, 0.0], [3.0, 0.0], [9.0, 0.0]]), 50.0, 8.0)
    mixing = places.mixing(np.random.default_rng(0), reach=3.0, own=0.2)
    expected = mixing @ mixing.T
    assert np.allclose(np.diag(expected), 1)
    assert np.isclose(expected[0, 1], 0.8 * np.exp(-1))
    values = white(np.random.default_rng(1), 20_000, mixing)
    assert np.abs(np.cov(values.T) - expected).max() < 0.04
    steady = ornstein(np.random.default_rng(2), 40_000, mixing, 10.0)
    assert np.abs(np.cov(steady.T) - expected).max() < 0.12


def test_a_delay_moves_a_wave_from_node_to_node() -> None:
    one = sampled(np.random.default_rng(0), matern(np.arange(257.0), 9.0, 1), np.ones((2, 1)) @ np.ones((1, 1)) @
                  np.array([[1.0, 0.0]]), np.array([0.0, 4.0]))
    assert np.allclose(one[:-4, 0], one[4:, 1], atol=1e-9)


def test_ornstein_forgets_at_its_rate() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([ornstein(rng, 100, np.eye(100), 7.0) for _ in range(40)], 1)
    for lag in (1, 7, 21):
        assert abs((values[50] * values[50 + lag]).mean() - np.exp(-lag / 7)) < 0.06


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_wandering_has_its_spectrum(exponent: float) -> None:
    values = wandering(np.random.default_rng(0), 2048, np.eye(200), exponent)
    window = np.hanning(2048)[:, None]
    power = (np.abs(np.fft.rfft(values * window, axis=0)) ** 2).mean(1)
    band = slice(8, 400)
    slope = np.polyfit(np.log(np.arange(len(power))[band]), np.log(power[band]), 1)[0]
    assert abs(slope + exponent) < 0.1


def test_shots_die_away_geometrically() -> None:
    values = shots(np.random.default_rng(4), 4000, 1, 0.002, 5.0, joint=1.0)[:, 0]
    falling = (values[1:] < values[:-1]) & (values[:-1] > 1e-6)
    assert np.allclose(values[1:][falling] / values[:-1][falling], np.exp(-1 / 5))


def test_the_clock_tells_day_week_and_year() -> None:
    clock = WorldClock(start=float(np.datetime64("2024-03-04T06:00", "s").astype(int)), step=3600.0,
                       steps=48)  # a Monday
    assert clock.weekday[0] == 0 and clock.weekday[18] == 1
    assert np.isclose(clock.day[0], 0.25) and np.isclose(clock.week[0], 0.25 / 7)
    days = (clock.stamps[0] - np.datetime64("2024-01-01")) / np.timedelta64(1, "D")
    assert abs(clock.year[0] * 365.2425 - days) < 1.5
    assert clock.has(DAY) and not WorldClock(0.0, WEEK, 9).has(WEEK) and WorldClock(0.0, WEEK, 9).has(YEAR)
    assert WorldClock(clock.start, 3600.0, 1, zone=-7.0).weekday[0] == 6


def test_the_sun_stands_highest_at_noon_and_never_below_night() -> None:
    day = np.arange(240) / 240
    high = sunshine(day, np.full(240, 0.47), 50.0)  # solstice: sine of 90 - 50 + 23.44 degrees
    assert np.isclose(high.max(), np.sin(np.radians(63.44)), atol=2e-3) and day[high.argmax()] == 0.5
    assert high.min() == 0 and bump(np.array([0.9]), 0.1, 0.1)[0] == pytest.approx(np.exp(-2))
