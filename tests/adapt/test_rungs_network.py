"""Rungs 3 to 5: adapters, contexts and their meta-learning, on small networks and panels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from terracast.adapt.rungs.adapter import DOWN, UP, Adapter, AdapterError, corrected, look, tell
from terracast.adapt.rungs.adapter_rung import AdapterRung
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, gradient, train_adapter
from terracast.adapt.rungs.cavia import ContextBatch, Directions, learned, merged, step
from terracast.adapt.rungs.cavia_rung import ContextRung
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.meta_context import ContextPlan, meta_learn_context
from terracast.adapt.rungs.meta_context import outer_gradient as context_gradient
from terracast.adapt.rungs.meta_init import load_start, plan_of, save_start
from terracast.adapt.rungs.rung import Rung, attempt
from terracast.adapt.rungs.tasks import Task
from terracast.adapt.rungs.training_windows import training_windows
from terracast.stfm.base.model import Base
from terracast.stfm.serialization import load, save
from tests.adapt.small_networks import HOUR, network, panel, random_adapter, request, small_task

pytestmark = pytest.mark.integration


def test_a_merged_adapter_says_what_the_functional_one_says(tmp_path: Path) -> None:
    made = network()
    adapter = random_adapter(made)
    batch = small_task().query.batch
    with torch.no_grad():
        weights = adapter.weights(made)
        wanted = tell(made, weights, look(made, weights, batch), batch).quantiles
        served = adapter.merged(Base(made))
        torch.testing.assert_close(served.network(batch).quantiles, wanted)
        bare = Adapter.zero(made).merged(Base(made))
        assert torch.equal(bare.network(batch).quantiles, made(batch).quantiles)
    again = load(save(served, tmp_path / "adapted"))  # an adapted base is saved like any base
    assert isinstance(again, Base) and torch.equal(again.network(batch).quantiles, served.network(batch).quantiles)


def test_low_rank_corrections_are_of_low_rank_and_of_half_strength_when_asked() -> None:
    made = network()
    adapter = random_adapter(made)
    name = "time.0.wide.weight"
    change = adapter.weights(made)[name] - dict(made.named_parameters())[name]
    assert torch.linalg.matrix_rank(change.detach(), atol=1e-5) == 4
    torch.testing.assert_close(change, adapter.values[name + UP] @ adapter.values[name + DOWN])
    half = adapter.weights(made, 0.5)[name] - dict(made.named_parameters())[name]
    torch.testing.assert_close(half, change / 2)
    with pytest.raises(AdapterError):
        corrected({}, adapter.values)


def test_adapter_state_survives_to_the_bit() -> None:
    adapter = random_adapter(network())
    again = Adapter.restore(adapter.state())
    assert all(torch.equal(value, again.values[name]) for name, value in adapter.values.items())


def test_gradient_of_torch_func_is_that_of_autograd() -> None:
    made = network()
    adapter = random_adapter(made)
    taught = TrainingBatch(made, [small_task().query], adapter, heads=False)
    found, value = gradient(taught, adapter, ["time.0.mix.weight|up", "trust.bias|plus"])
    held = {name: one.clone().requires_grad_() for name, one in adapter.values.items()}
    taught.loss(held, 0).backward()
    for name, slope in found.items():
        torch.testing.assert_close(slope, held[name].grad, rtol=1e-4, atol=1e-7)
    assert value == pytest.approx(taught.mean(adapter.values), rel=1e-5)


@pytest.mark.parametrize("heads", [True, False])
def test_a_course_lowers_the_loss_it_learns_from_and_leaves_the_network_alone(heads: bool) -> None:
    made = network()
    before = {name: value.clone() for name, value in made.named_parameters()}
    start = Adapter.zero(made)
    taught = TrainingBatch(made, [small_task().query], start, heads)
    steps = list(train_adapter(taught, start, AdapterEffort(3e-3, 0.0, heads), [0] * 15))
    assert taught.mean(steps[-1].values) < 0.98 * taught.mean(start.values)
    assert all(torch.equal(value, before[name]) for name, value in made.named_parameters())
    if heads:  # the body's correction is untouched: the cached states stay true
        assert torch.equal(steps[-1].values["time.0.mix.weight|up"], start.values["time.0.mix.weight|up"])


def test_the_pull_keeps_an_adapter_near_its_start() -> None:
    made = network()
    start = Adapter.zero(made)
    taught = TrainingBatch(made, [small_task().query], start, True)

    def away(pull: float) -> float:
        last = list(train_adapter(taught, start, AdapterEffort(1e-2, pull), [0] * 30))[-1]
        return sum(float(((last.values[name] - value) ** 2).sum()) for name, value in start.values.items()
                   if not name.endswith(DOWN))

    assert away(10.0) < 0.5 * away(0.0)


def test_the_gradient_through_the_steps_is_that_of_finite_differences() -> None:
    made, one = network().double(), _doubled(small_task())
    directions = Directions({name: value.double() for name, value in Directions.random(16, count=3).values.items()})
    found, _ = context_gradient(made, one, directions, steps=2)
    support, query = ContextBatch(made, one.support), ContextBatch(made, [one.query])

    def later(values: dict[str, torch.Tensor]) -> float:
        context, losses = torch.zeros(3, dtype=torch.float64), []
        for _ in range(2):
            context = step(support, values, context)
            losses.append(float(query.loss(values, context).detach()))
        bare = query.loss(values, torch.zeros(3, dtype=torch.float64)).detach()
        return float(np.mean(losses)) / float(bare)

    for name in ("add", "rate"):
        way = torch.randn(directions.values[name].shape, generator=torch.Generator().manual_seed(2)).double()
        up, down = ({**directions.values, name: directions.values[name] + sign * 1e-4 * way} for sign in (1, -1))
        slope = (later(up) - later(down)) / 2e-4
        assert float((found[name] * way).sum()) == pytest.approx(slope, rel=2e-2, abs=1e-7)


def _doubled(one: Task) -> Task:
    def doubled(training_window):  # type: ignore[no-untyped-def]
        batch = replace(training_window.batch,
                        **{name: value.double() for name, value in vars(training_window.batch).items()
                           if value.is_floating_point()})
        return replace(training_window, batch=batch, truth=training_window.truth.double())
    return Task(tuple(doubled(training_window) for training_window in one.support), doubled(one.query))


def test_a_merged_context_says_what_the_moved_states_say() -> None:
    made, one = network(), small_task().query
    directions = Directions.random(16, count=4)
    context = torch.tensor([0.5, -1.0, 0.2, 0.0])
    from terracast.adapt.rungs.cavia import forecast_in_context
    with torch.no_grad():
        wanted = forecast_in_context(made, made.look(one.batch), one, directions.values, context).quantiles
        served = merged(Base(made), directions, context).network(one.batch).quantiles
        torch.testing.assert_close(served, wanted, rtol=1e-4, atol=1e-5)
        nothing = merged(Base(made), directions, torch.zeros(4)).network(one.batch).quantiles
        assert torch.equal(nothing, made(one.batch).quantiles)


def test_meta_learned_directions_beat_random_ones_where_worlds_differ_along_one() -> None:
    """Worlds whose truth is the base's forecast moved along one hidden direction: that is what has to be found."""
    made = network()
    hidden = Directions.random(16, count=1, seed=9)

    def make(seed: int, number: int) -> Task:
        chance = np.random.default_rng([seed, number])
        one = tasks[number % 3]
        context = torch.tensor([float(chance.choice([-2.0, 2.0]))])

        def moved(training_window):  # type: ignore[no-untyped-def]
            from terracast.adapt.rungs.cavia import forecast_in_context
            with torch.no_grad():
                answer = forecast_in_context(made, made.look(training_window.batch), training_window, hidden.values,
                                             context)
            return replace(training_window, truth=answer.quantiles[..., 5],
                           counts=torch.zeros_like(training_window.counts))
        return Task(tuple(moved(training_window) for training_window in one.support), moved(one.query))

    tasks = [small_task(number) for number in range(3)]
    plan = ContextPlan(60, steps=3, rate=3e-2, together=2, count=2)
    trained = meta_learn_context(made, plan, make=make)
    fresh = Directions.random(16, count=2, seed=plan.seed)

    def reached(directions: Directions) -> float:
        ratios = []
        for number in range(1000, 1006):
            one = make(0, number)
            support, query = ContextBatch(made, one.support), ContextBatch(made, [one.query])
            contexts = learned(support, directions, 3)
            with torch.no_grad():
                first, last = (float(query.loss(directions.values, contexts[place])) for place in (0, -1))
            ratios.append(last / first)
        return float(np.mean(ratios))

    assert 1 - reached(trained) > 5 * abs(1 - reached(fresh)) and reached(trained) < 0.98


def test_a_start_is_bound_to_its_base(tmp_path: Path) -> None:
    base, values = Base(network()), Directions.random(16).values
    path = save_start(values, base, {"seed": 1, "tasks": 3}, tmp_path / "start.safetensors")
    assert all(torch.equal(value, values[name]) for name, value in load_start(base, path).items())
    assert plan_of(path) == {"seed": 1, "tasks": 3}
    for other, where in ((Base(network(1)), path), (base, tmp_path / "nowhere")):
        with pytest.raises(AdapterError):
            load_start(other, where)


def test_lessons_hold_nothing_back_that_matured_later() -> None:
    known = panel()
    taught = training_windows(known, request(known))
    held = taught.pairs.held.min()
    late = int((held - taught.scene.first) // HOUR)
    poisoned = known.copy(deep=True)
    poisoned["pm25"].values[late + 1:] += 1e6  # changes what is examined, but nothing that is learned
    again = training_windows(poisoned, request(known))
    for one, other in zip(taught.labelled + taught.masked, again.labelled + again.masked, strict=True):
        assert torch.equal(one.truth.nan_to_num(), other.truth.nan_to_num())
        assert torch.equal(one.batch.readings, other.batch.readings)
    assert any(not torch.equal(one.truth, other.truth) for one, other in zip(taught.held, again.held, strict=True))


RUNGS = [AdapterRung(AdapterEffort(1e-3), steps=6), AdapterRung(AdapterEffort(1e-3, heads=False), steps=2, masked=0.0),
         ContextRung(Directions.random(16, seed=0), steps=2), FineTune(window=None, steps=4, judges=True)]


@pytest.mark.parametrize("rung", RUNGS, ids=["heads", "whole", "context", "continue"])
def test_what_is_known_after_now_is_never_read(rung: Rung) -> None:
    clean, base = panel(), Base(network())
    poisoned = clean.copy(deep=True)
    poisoned["pm25"].values[-30:] = 1e9
    first, second = (rung.adapt(base, one, request(clean, -31)) for one in (clean, poisoned))
    assert first.receipt == second.receipt
    for name, value in first.forecaster.weights().items():  # type: ignore[attr-defined]
        np.testing.assert_array_equal(value, second.forecaster.weights()[name])  # type: ignore[attr-defined]


@pytest.mark.parametrize("rung", RUNGS, ids=["heads", "whole", "context", "continue"])
def test_without_weights_to_change_service_goes_on(rung: Rung) -> None:
    from terracast.stfm.seasonal_naive import SeasonalNaive
    adapted = attempt(rung, SeasonalNaive(), panel(), request(panel()))
    assert not adapted.kept and adapted.receipt.why.startswith("dropped: ")
    assert isinstance(adapted.forecaster, SeasonalNaive)


@pytest.mark.parametrize("rung", RUNGS, ids=["heads", "whole", "context", "continue"])
@pytest.mark.parametrize("bad", ["constant", "dead", "no labels of late", "huge"])
def test_bad_input_leaves_a_forecaster_that_forecasts(rung: Rung, bad: str) -> None:
    known, base = panel(days=12), Base(network())
    values = known["pm25"].values
    if bad == "constant":
        values[100:] = 7.0
    elif bad == "dead":
        values[:240, 1] = np.nan  # dead for long, and back
    elif bad == "no labels of late":
        values[-120:] = np.nan
    else:
        values[150:155, 0] = 1e9
    adapted = attempt(rung, base, known, request(known))
    assert adapted.kept or adapted.receipt.why.startswith("dropped: ")
    assert np.isfinite(adapted.forecaster.forecast(known, request(known))["pm25"].values).all()


def test_an_exploding_course_is_dropped() -> None:
    base = Base(network())
    adapted = attempt(AdapterRung(AdapterEffort(1e6, 0.0), steps=20), base, panel(), request(panel()))
    assert not adapted.kept and adapted.forecaster is base and "dropped" in adapted.receipt.why


def test_masked_patches_teach_before_any_label_has_come() -> None:
    known = panel(days=2)
    asked = request(known, horizon=96)  # no label of any issue time has come whole
    base = Base(network())
    adapted = attempt(AdapterRung(AdapterEffort(1e-3), steps=20, unlabelled=True), base, known, asked)
    assert adapted.kept and np.isnan(adapted.receipt.loss_before) and "masked" in adapted.receipt.why
    with_context = attempt(ContextRung(Directions.random(16), steps=2, unlabelled=True), base, known, asked)
    assert not attempt(AdapterRung(AdapterEffort(1e-3)), base, known, asked).kept  # off by default
    assert with_context.kept and "masked" in with_context.receipt.why
