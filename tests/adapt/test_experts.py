"""The experts: no peeking, exact restart, and data as bad as it comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts, ExpertsError
from terracast.streams.storage.tree import pack, unpack

RECIPE = ExpertConfig(season=6, seasons=3, refit=3)


def _stream(rows: int, nodes: int = 2, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    wave = np.sin(np.arange(rows)[:, None] * 2 * np.pi / 6 + np.arange(nodes))
    return np.asarray(wave * (1 + np.arange(nodes)) + 0.1 * draws.normal(size=(rows, nodes)))


def _said(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    experts = Experts.begin(values[:start], 0, 4, RECIPE)
    said = []
    for row in values[start:stop]:
        said.append(experts.points())
        experts.observe(row)
    return np.stack(said)


def test_poison_after_t_leaves_every_point_up_to_t() -> None:
    clean = _stream(200)
    for at in (130, 151):
        poisoned = clean.copy()
        poisoned[at:] = 1e12
        np.testing.assert_array_equal(_said(clean, 120, 180)[: at - 119], _said(poisoned, 120, 180)[: at - 119])


def test_a_pair_is_learned_when_its_last_label_has_come() -> None:
    values = _stream(120)
    whole, cut = (Experts.begin(values[:rows], 0, 4, RECIPE) for rows in (120, 119))
    sums, fewer = (next(iter(one.ridges._moments.values())) for one in (whole, cut))
    assert (sums.experience > fewer.experience).all()  # 120 is a multiple of refit: three more pairs than at 117
    changed = values.copy()
    changed[116:] += 5.0  # labels of the newest pairs: origin 115 wants rows 116 … 119
    again = Experts.begin(changed, 0, 4, RECIPE)
    assert not np.array_equal(next(iter(again.ridges._moments.values())).cross, sums.cross)


def test_restart_goes_on_to_the_bit(same_trees: Callable[[object, object], None]) -> None:
    values = _stream(160)
    values[100:110, 0] = np.nan
    one = Experts.begin(values[:120], 0, 4, RECIPE)
    twin = Experts.restore(one.state())
    for row in values[120:]:
        np.testing.assert_array_equal(one.points(), twin.points())
        one.observe(row)
        twin.observe(row)
    same_trees(one.state(), twin.state())


def test_beats_the_naives_on_what_a_line_can_learn() -> None:
    draws = np.random.default_rng(3)
    values = np.zeros((600, 1))
    for row in range(1, 600):
        values[row] = 0.8 * values[row - 1] + draws.normal()
    experts = Experts.begin(values[:300], 0, 2, ExpertConfig(season=1, seasons=4, refit=1))
    errors = []
    for origin in range(300, 598):
        errors.append((experts.points()[:, 0, 0] - values[origin]) ** 2)
        experts.observe(values[origin])
    means = dict(zip(experts.names, np.mean(errors, axis=0), strict=True))
    assert means["ridge-lags-1-0.1"] < min(means["last-value"], means["profile"])
    assert means["ridge-window-1-0.1"] < 1.25  # 1 is the noise


@pytest.mark.parametrize("trouble", ["dead", "constant", "empty", "spike", "stuck"])
def test_bad_data_gives_finite_points_and_spares_the_neighbour(trouble: str) -> None:
    values, calm = _stream(260), _stream(260)
    if trouble == "dead":
        values[100:200, 0] = np.nan
    elif trouble == "constant":
        values[:, 0] = 3.0
    elif trouble == "empty":
        values[:, 0] = np.nan
    elif trouble == "spike":
        values[150, 0] = 1e9
    else:
        values[120:180, 0] = values[120, 0]
    said = _said(values, 90, 250)
    assert np.isfinite(said).all()
    if trouble == "constant":
        np.testing.assert_allclose(said[:, :, :, 0], 3.0, atol=1e-6)
    if trouble == "dead":
        back = np.abs(said[-30:, 1, 0, 0] - values[220:250, 0]).mean()
        assert back < 0.5  # a node that is back is forecast again
    apart = np.abs(said[:, 1, 0, 1] - calm[90:250, 1])
    assert np.median(apart) < 0.6


def test_history_shorter_than_everything() -> None:
    recipe = ExpertConfig.usual(season=24, horizon=4, rows=5, nodes=1)
    assert np.isfinite(Experts.begin(np.arange(5.0)[:, None], 0, 4, recipe).points()).all()


def test_wrong_rows_are_told() -> None:
    experts = Experts.begin(_stream(60), 0, 4, RECIPE)
    with pytest.raises(ExpertsError, match="a row of"):
        experts.observe(np.zeros(3))
    with pytest.raises(ExpertsError, match="beyond the newest"):
        experts.points(np.arange(2, 6))
    with pytest.raises(ExpertsError, match="season 0"):
        Experts.begin(_stream(60), 0, 4, ExpertConfig(season=0))


def test_a_state_is_a_checkpoint_that_stands_and_what_came_since() -> None:
    draws = np.random.default_rng(3)
    values = np.sin(np.arange(24 * 40) * np.pi / 12)[:, None] + 0.3 * draws.normal(size=(24 * 40, 3))
    beside = draws.normal(size=(len(values), 2, 3))
    values[draws.random(values.shape) < 0.05] = np.nan
    recipe = ExpertConfig.usual(24, 6, 600, 3, slack=6, covariates=True)
    experts = Experts.begin(values[:600], 0, 6, recipe, beside[:600])
    checkpoints, restored = [], Experts.restore(unpack(pack(experts.state())))
    for number in range(600, len(values)):
        late = values[number - 8:number].copy()
        late[3, number % 3] = 0.5  # a gap may be filled late; what was known stays
        for one in (experts, restored):
            one.correct(late)
            one.observe(values[number], beside[number] if number % 5 else None)
        if number % 17 == 0:
            state = pack(experts.state())
            checkpoints.append(pack(experts.state()["checkpoint"]))
            restored = Experts.restore(unpack(state))
            assert pack(restored.state()) == state
        assert np.array_equal(experts.points(np.arange(3, 9)), restored.points(np.arange(3, 9)))
    assert 1 < len(set(checkpoints)) <= 3, "one checkpoint stands for ten days of hours"
