"""What is watched: jumps that all nodes make at once, swings, and levels on rough days."""

import numpy as np
import pytest
from scipy.signal import lfilter

from terracast.adapt.monitoring.statistics.node_statistics import KINDS, OF_NODES, NodeStatistics

NODES, DAYS = 8, 120


def made(seed, days=DAYS):
    """Hourly residuals of a network, half common, with the block and the step of each hour."""
    shocks = np.random.default_rng(seed).normal(size=(24 * days, NODES + 1)) * np.sqrt(1 - 0.8**2)
    shocks = lfilter([1.0], [1.0, -0.8], shocks, axis=0)
    hours = np.arange(24 * days)
    return 0.8 * shocks[:, :1] + 0.6 * shocks[:, 1:], hours // 24, hours % 24


@pytest.fixture(scope="module")
def views():
    residuals, block, steps = made(0)
    return NodeStatistics.fit(residuals, (block, steps, 24))


def stream(views, residuals, block, steps, kind, node=0):
    found = views.blocks(residuals, block, steps, 24, True).streams
    many = len(OF_NODES)
    at = KINDS.index(kind)
    return found[:, NODES * at + node if at < many else NODES * many + at - many]


def test_a_step_of_all_nodes_in_one_hour_is_a_jump_and_a_front_that_arrives_by_and_by_is_none(views):
    residuals, block, steps = made(1)
    usual = np.abs(stream(views, residuals, block, steps, "common jump"))
    at_once, passing = residuals.copy(), residuals.copy()
    at_once[24 * 60:] -= 2.0  # at the border of two blocks
    for node in range(NODES):
        passing[24 * 60 + 2 * node:, node] -= 2.0
    jump = stream(views, at_once, block, steps, "common jump")
    assert jump[60] < -usual.max() and int(np.argmax(np.abs(jump))) == 60
    front = np.abs(stream(views, passing, block, steps, "common jump"))
    assert front[60] <= usual.max()
    few = NodeStatistics.fit(residuals[:, :2])
    assert np.isnan(few.blocks(residuals[:, :2], block, steps, 24, True).streams[:, -1]).all()


def test_swings_are_told_better_by_three_estimates_than_by_one(views):
    residuals, block, steps = made(2)
    wider = residuals.copy()
    wider[:, 3] *= 1.3

    def power(kind):
        before, after = (stream(views, each, block, steps, kind, 3) for each in (residuals, wider))
        return (after.mean() - before.mean()) / before.std()

    assert power("swing") > power("own scale")


def test_a_rough_day_of_most_nodes_moves_no_level(views):
    residuals, block, steps = made(3)
    rough = residuals.copy()
    rough[24 * 60:24 * 61] *= 3.0
    calm, wild = (np.abs(views.blocks(each, block, steps, 24, True).streams[:, 2 * NODES:3 * NODES])
                  for each in (residuals, rough))
    assert wild[60].mean() < 1.5 * calm[60].mean() and np.array_equal(wild[:60], calm[:60])
    again = NodeStatistics.restore(views.state()).blocks(rough, block, steps, 24, True)
    assert again.streams.tobytes() == views.blocks(rough, block, steps, 24, True).streams.tobytes()
