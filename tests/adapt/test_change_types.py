"""What changed and where, on simulated networks: each sort is recovered in a stated share, and so is a region."""

import numpy as np
import pytest

from terracast.adapt.monitoring.diagnosis.change_types import change_type_of
from terracast.adapt.monitoring.diagnosis.explanations import Node, best
from terracast.adapt.monitoring.diagnosis.localisation import linked, localise

DAYS, SINCE = 60, 50


def followed(seed, follows=0.9, memory=0.7):
    """Hourly local and expected residuals (hour,) of a node that follows its neighbours, both with a memory."""
    shocks = np.random.default_rng(seed).normal(size=(24 * DAYS, 2)) * np.sqrt(1 - memory**2)
    for row in range(1, len(shocks)):
        shocks[row] += memory * shocks[row - 1]
    return 0.5 * shocks[:, 0], follows * shocks[:, 1]


def blocks(local, expected, daily=True):
    """Moments (day, 5) and cycle (day, 2), as the views make them."""
    local, expected = local.reshape(DAYS, 24), expected.reshape(DAYS, 24)
    parts = (local, expected, local * expected, expected**2, local**2)
    angle = 2 * np.pi * np.arange(24) / 24
    cycle = np.stack([2 * (local * wave).mean(axis=1) for wave in (np.cos(angle), np.sin(angle))], axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1), cycle if daily else np.full((DAYS, 2), np.nan)


def changed(name, local, expected):
    """The local residual with a change of that name since the day ``SINCE``."""
    hours, after = np.arange(24 * DAYS), np.arange(24 * DAYS) >= 24 * SINCE
    day = (hours - 24 * SINCE) / 24
    return local + after * {
        "level": 0.6 + 0 * local, "trend": np.clip(day / 9, 0, 1), "scale": 0.6 * (local + expected),
        "relation": -1.2 * expected, "seasonality": 0.7 * np.cos(2 * np.pi * (hours - 15) / 24),
        # A constant step where the spread of the night is a third of the day's.
        "level of uneven hours": 0.8 / (0.75 - 0.45 * np.cos(2 * np.pi * hours / 24))}[name]


@pytest.mark.parametrize(("name", "least"), [("level", 0.85), ("trend", 0.5), ("scale", 0.85), ("relation", 0.85),
                                             ("seasonality", 0.85), ("level of uneven hours", 0.7)])
def test_each_sort_is_recovered(name, least):
    said = []
    for seed in range(20):
        local, expected = followed(seed)
        said.append(change_type_of(*blocks(changed(name, local, expected), expected))[0].name)
    assert np.mean([one == name.split()[0] for one in said]) >= least, said


@pytest.mark.parametrize("name", ["level", "trend", "seasonality"])
def test_a_node_without_neighbours_is_told_by_its_own_residual(name):
    right = 0
    for seed in range(20):
        local, _ = followed(seed)
        right += change_type_of(*blocks(changed(name, local, 0 * local), 0 * local))[0].name == name
    assert right >= (10 if name == "trend" else 17)  # a rise of nine days in noise that lasts for hours


def test_blocks_of_one_step_have_no_variance_within():
    draws = np.random.default_rng(0)
    local, expected = draws.normal(size=60) * 0.2, 1.5 + draws.normal(size=60) * 0.3  # a river in flood
    local[50:] += 1.0
    moments = np.stack([local, expected, local * expected, expected**2, local**2], axis=1)
    assert Node.of(moments, np.full((60, 2), np.nan)).single
    found = best(moments, np.full((60, 2), np.nan))
    assert found.name in ("level", "trend") and abs(found.start - 50) <= 5  # not a gain, though the expected is high


def test_too_few_blocks_and_gaps():
    moments = np.full((60, 5), np.nan)
    assert change_type_of(moments, moments[:, :2])[1] == 1
    local, expected = followed(1)
    made, cycle = blocks(changed("level", local, expected), expected)
    made[[20, 40, 55]] = np.nan
    change_type, age = change_type_of(made, cycle)
    assert change_type.name == "level" and change_type.direction == "up" and abs(age - 10) <= 2


def chain(nodes):
    """Weights along a river: each node is expected to do what the ones above and below it do."""
    return 0.6 * np.eye(nodes, k=1) + 0.35 * np.eye(nodes, k=-1)


def test_regions_of_a_chain():
    """Two neighbours along a river whose weights are only known to within a tenth, in autocorrelated noise."""
    draws, found = np.random.default_rng(0), []
    for _ in range(40):
        first, weights = int(draws.integers(1, 17)), chain(20)
        amounts = np.zeros(20)
        amounts[[first, first + 1]] = 3.0
        true = weights * (1 + 0.2 * draws.normal(size=weights.shape))
        moved = (np.eye(20) - true) @ amounts + 0.05 * draws.normal(size=20)
        named = set(localise(moved, weights, np.full(20, 0.3), np.abs(moved) > 0.4))
        found.append(len(named & {first, first + 1}) / len(named | {first, first + 1}))
    assert np.median(found) == 1.0 and np.mean(found) > 0.8


def test_echoes_are_left_out_only_beside_what_they_echo():
    weights = np.zeros((6, 6))
    weights[:3, :3] = weights[3:, 3:] = chain(3) / 2
    amounts = np.array([3.0, 0.6, 0.0, 0.0, 0.6, 0.0])
    found = localise((np.eye(6) - weights) @ amounts, weights, np.full(6, 0.1), np.full(6, True))
    assert set(found) == {0, 4}
    assert sorted(map(sorted, linked([0, 1, 4], weights))) == [[0, 1], [4]]
