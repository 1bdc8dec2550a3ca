"""What keeps rungs from forgetting: old lessons, regimes that return, and the adversary that makes domains alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from terracast.adapt.promotion.catalog import ALIKE, steps_of
from terracast.adapt.rungs.adapter import Adapter, AdapterError, look
from terracast.adapt.rungs.adapter_rung import AdapterRung
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, train_adapter
from terracast.adapt.rungs.dann import DomainAdversary
from terracast.adapt.rungs.regime_memory import RegimeMemory, Units, signature
from terracast.adapt.rungs.rung import attempt
from terracast.adapt.rungs.training_windows import training_windows
from terracast.stfm.base.model import Base
from tests.adapt.small_networks import HOUR, network, panel, random_adapter, request, small_task


def test_replay_holds_back_forgetting() -> None:
    made, first, second = network(), small_task(0).query, small_task(1).query
    start = Adapter.zero(made)
    taught = TrainingBatch(made, [second], start, True)
    old = TrainingBatch(made, [first], start, True)
    plain = list(train_adapter(taught, start, AdapterEffort(1e-2, 0.0), [0] * 20))[-1]
    kept = list(train_adapter(taught, start, AdapterEffort(1e-2, 0.0), [0] * 20,
                              lambda values: old.loss(values, 0)))[-1]
    assert old.mean(kept.values) < old.mean(plain.values)


def test_a_regime_that_returns_is_offered_again_and_memory_is_bounded() -> None:
    low, high = panel(), panel(lift=15.0)
    units = Units.of(xr.concat([low, high.assign_coords(time=high["time"] + np.timedelta64(9, "D"))], "time"), "pm25")
    signs = [signature(one, request(one), units) for one in (low, high)]
    regimes = RegimeMemory(most=2, base="1", units=units)
    regimes.remember("2", signs[0], np.datetime64("2024-01-09", "ns"))
    regimes.remember("3", signs[1], np.datetime64("2024-03-01", "ns"))
    again = signature(panel(seed=5), request(panel(seed=5)), units)
    assert regimes.recall(again) == ["2", "1"]  # the other regime lies too far away
    assert regimes.recall(again, serving="2") == ["1"]
    restored = RegimeMemory.restore(regimes.state())
    assert restored.recall(again) == ["2", "1"] and restored.recall(signs[1]) == ["3", "1"]
    regimes.remember("4", signs[0] + 9, np.datetime64("2024-05-01", "ns"))
    regimes.remember("4", signs[0], np.datetime64("2024-05-02", "ns"))
    assert [one.version for one in regimes.held] == ["3", "4"] and regimes.recall(again) == ["1"]


def test_signatures_do_not_read_after_now() -> None:
    known = panel()
    units = Units.of(known, "pm25")
    poisoned = known.copy(deep=True)
    poisoned["pm25"].values[-10:] = 1e9
    first, second = (signature(one, request(known, -11), units) for one in (known, poisoned))
    np.testing.assert_array_equal(first, second)


def test_the_adversary_turns_gradients_around_and_learns_to_tell() -> None:
    made, known = network(), panel()
    lessons = training_windows(known, request(known)).labelled
    adversary = DomainAdversary(made, lessons, strength=0.0)
    values = {name: value.clone().requires_grad_() for name, value in random_adapter(made).values.items()}
    losses = []
    for _ in range(60):
        found = adversary(values)
        found.backward()
        losses.append(float(found.detach()))
    assert np.mean(losses[-5:]) < 0.7 * losses[0] and adversary.accuracy > 0.7
    assert all(value.grad is None or not value.grad.any() for value in values.values())  # strength 0: body untouched

    def slope(strength: float) -> torch.Tensor:
        one = DomainAdversary(made, lessons, strength=strength)
        held = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
        one(held).backward()
        return held["time.0.mix.weight|up"].grad

    torch.testing.assert_close(slope(2.0), -2.0 * slope(-1.0))
    with pytest.raises(AdapterError):
        DomainAdversary(made, [])


@pytest.mark.integration
def test_an_adapter_rung_with_the_adversary_brings_the_states_of_nodes_together() -> None:
    made, known = network(), panel()
    asked = request(known)
    taught = training_windows(known, asked, masked=False)

    def tuned(alike: float) -> Adapter:
        rung = AdapterRung(AdapterEffort(3e-3, 0.0, heads=False), steps=20, masked=0.0, alike=alike)
        return rung.tuned(Base(made), Adapter.zero(made), replace(taught, held=[]), steps=20).adapter

    def apart(adapter: Adapter) -> float:
        with torch.no_grad():
            weights = adapter.weights(made)
            states = torch.cat([look(made, weights, one.batch).mean(2) for one in taught.labelled])
        return float((states[:, 0] - states[:, 1]).mean(0).norm())

    plain, alike, again = tuned(0.0), tuned(ALIKE), tuned(ALIKE)
    assert apart(alike) < 0.8 * apart(plain)
    assert all(torch.equal(value, again.values[name]) for name, value in alike.values.items())
    adapted = attempt(AdapterRung(AdapterEffort(1e-2, heads=False), steps=4, masked=0.0, alike=ALIKE), Base(made),
                      known,
                      asked)
    assert adapted.receipt.parameters > 0 and "steps from" in adapted.receipt.why
    assert [step.rung for step in steps_of(("adapter-alike",), 6 * HOUR, base=True)] == ["adapter-alike"]
