"""Volatility: which hours of a node are calm, and what a level gains from weighing them."""

import numpy as np

from terracast.adapt.monitoring.statistics.node_statistics import NodeStatistics
from terracast.adapt.monitoring.statistics.volatility import WIDEST, Volatility

DAYS, NODES = 120, 6


def uneven(seed: int, days: int = DAYS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A network whose nodes stray from each other four times as far by day, and more in rich air; block and step."""
    draws = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    common = draws.normal(size=(len(hours), 1))
    rough = np.where(hours % 24 < 12, 0.15, 0.6)[:, None] * np.exp(0.3 * common)
    return common + rough * draws.normal(size=(len(hours), NODES)), hours // 24, hours % 24


def test_hours_and_levels_are_told_apart_and_gaps_do_no_harm():
    residuals, _, steps = uneven(0)
    local, expected = residuals - residuals.mean(axis=1, keepdims=True), residuals.mean(axis=1, keepdims=True)
    expected = np.repeat(expected, NODES, axis=1)
    local[::7, 0] = np.nan
    local[:, 5] = np.nan
    found = Volatility.fit(local, expected, steps, 24)
    level = np.zeros((24, NODES))
    by_hour = found.of(level, np.arange(24))[:, 1]
    assert 3.0 < by_hour[15:21].mean() / by_hour[3:9].mean() < 5.0
    rich, poor = (found.of(level + sign, np.arange(24))[:, 0] for sign in (1.0, -1.0))
    assert 1.4 < (rich / poor).mean() < 2.2  # exp(.3) each way
    assert np.array_equal(found.of(level, np.arange(24))[:, 5], np.ones(24))  # nothing is known: every hour alike
    assert found.of(level + 99.0, np.arange(24)).max() <= np.exp(WIDEST)
    again = Volatility.restore(found.state())
    assert np.array_equal(again.of(level, np.arange(24)), found.of(level, np.arange(24)))


def test_all_hours_of_the_day_come_up_where_rows_are_thinned_out():
    residuals, _, steps = uneven(1, days=1200)
    local = residuals - residuals.mean(axis=1, keepdims=True)
    by_hour = Volatility.fit(local, np.zeros(local.shape), steps, 24).of(np.zeros((24, NODES)), np.arange(24))[:, 0]
    assert by_hour[15:21].min() > 2.0 * by_hour[3:9].max()


def test_a_small_shift_stands_out_more_where_calm_hours_count_for_more():
    residuals, block, steps = uneven(2)
    shifted = residuals.copy()
    shifted[:, 2] += 0.1
    views = NodeStatistics.fit(residuals, (block, steps, 24))
    even = NodeStatistics.fit(residuals)  # nothing is known of hours

    def power(of: NodeStatistics) -> float:
        before, after = (of.blocks(each, block, steps, 24, True).streams[:, 2 * NODES + 2]
                         for each in (residuals, shifted))
        return float((after.mean() - before.mean()) / before.std())

    assert power(views) > 1.5 * power(even)
