"""How much changed: is the 90 % interval one of 90 %?"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.monitoring.diagnosis.effect import Effect, effect_since
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.diagnosis.units import DataUnits

HOURS = 24 * 45
ONSET = 24 * 32
TIMES = np.datetime64("2024-01-01", "ns") + np.arange(HOURS) * np.timedelta64(1, "h")


def counts(seed: int, share: float, memory: float) -> np.ndarray:
    """Hourly values (time, 3) with a day, a week and noise that remembers; from ``ONSET`` on ``share`` of them."""
    draws = np.random.default_rng(seed)
    noise = draws.normal(size=(HOURS, 3))
    for row in range(1, HOURS):
        noise[row] += memory * noise[row - 1]
    noise *= 8 / noise.std()
    hour = np.arange(HOURS)
    level = 100 + 40 * np.sin(hour * np.pi / 12) + 10 * (hour // 24 % 7 < 5)
    values = level[:, None] + noise
    values[ONSET:] *= share
    return np.maximum(values, 0.0)


def found(seed: int, share: float, memory: float) -> Effect:
    effect = effect_since(TIMES[ONSET], TIMES, counts(seed, share, memory))
    assert effect is not None and effect.percent is not None
    return effect


@pytest.mark.parametrize("memory", [0.0, 0.9])
@pytest.mark.parametrize("share", [0.6, 1.0, 1.3])
def test_the_interval_holds_the_planted_change_as_often_as_it_says(share: float, memory: float) -> None:
    effects = [found(seed, share, memory) for seed in range(200)]
    planted = 100 * (share - 1)
    held = np.mean([one.percent[1] <= planted <= one.percent[2] for one in effects if one.percent])
    print(f"share {share}, memory {memory}: the 90 % interval holds it in {held:.1%}")
    assert held >= 0.87


def test_nothing_is_clear_where_nothing_changed() -> None:
    assert np.mean([found(seed, 1.0, 0.5).is_clear for seed in range(200)]) <= 0.16


def test_steps_of_a_month_have_no_four_weeks_before() -> None:
    months = np.datetime64("2010-01-01", "ns") + np.arange(100) * np.timedelta64(30, "D")
    assert effect_since(months[80], months, np.arange(100.0)[:, None]) is None


def test_degrees_have_no_percentage() -> None:
    effect = effect_since(TIMES[ONSET], TIMES, counts(0, 1.0, 0.0) - 120)
    assert effect is not None and effect.percent is None


@pytest.mark.parametrize(("change_type", "direction", "share", "said"), [
    ("scale", "wider", 1.6, ("level", "up")), ("scale", "narrower", 0.6, ("level", "down")),
    ("seasonality", "none", 0.6, ("level", "down")), ("scale", "wider", 0.6, ("scale", "wider")),
    ("scale", "wider", 1.0, ("scale", "wider")), ("relation", "none", 0.6, ("relation", "none"))])
def test_a_factor_on_all_values_is_told_as_a_level(change_type: str, direction: str, share: float,
                                                   said: tuple[str, str]) -> None:
    known = xr.DataArray(counts(3, share, 0.5), {"time": TIMES, "node": ["a", "b", "c"]}, ("time", "node"))
    clue = Evidence(TIMES[-1], TIMES[ONSET], ("a", "b", "c"), change_type, direction, 2.0)
    one = DataUnits(np.ones(3)).of(clue, np.ones(3), ("a", "b", "c"), lambda since: known.sel(time=slice(since, None)))
    assert (one.change_type, one.direction) == said
    if said[0] == "level":
        assert one.effect is not None and one.effect.percent is not None
        assert one.effect.percent[0] == pytest.approx(100 * (share - 1), abs=5)
