"""Rung 2: corrections of outputs against independent references, and the contract's promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.rungs.correction import Corrected, OutputRung, located
from terracast.adapt.rungs.output_rls import Memory, RecursiveCorrection, recursive_rung
from terracast.adapt.rungs.pairs import losses_on, matured
from terracast.adapt.rungs.rung import Adapted, Rung, RungError, attempt, judged
from terracast.stfm.forecaster import QUANTILES, Capabilities, Forecaster, Request, as_forecast
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")
NOW = np.datetime64("2024-01-20T23", "ns")


class Flat:
    """Forecasts a fixed level for every node: wrong by a constant where the world lies elsewhere."""

    capabilities = Capabilities(history=48)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        around = 10.0 + np.linspace(-1.5, 1.5, len(request.quantiles))
        return as_forecast(np.broadcast_to(around, (request.horizon, context.sizes["node"], len(around))), context,
                           request)


def panel(days: int = 22, nodes: int = 2, level: float = 12.0, seed: int = 0) -> xr.Dataset:
    draws = np.random.default_rng(seed)
    stamps = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    wave = np.sin(np.arange(len(stamps)) * 2 * np.pi / 24)[:, None]
    values = level + wave + 0.3 * draws.normal(size=(len(stamps), nodes))
    return xr.Dataset({"pm25": (("time", "node"), values, {"units": "1"})},
                      {"time": stamps, "node": [f"n{node}" for node in range(nodes)]},
                      {"domain": "air", "kind": "sensor", "step": "1h"})


def request(now: np.datetime64 = NOW, horizon: int = 6) -> Request:
    return Request("pm25", now, horizon, HOUR)


@pytest.mark.parametrize("forgetting", [1.0, 0.97])
def test_recursive_least_squares_is_the_weighted_ridge_solution(forgetting: float) -> None:
    draws = np.random.default_rng(1)
    rls = RecursiveCorrection(3, 1, HOUR, Memory(forgetting, ridge=2.0))
    rows, errors = [], []
    for issue in range(40):
        now = NOW + issue * 5 * HOUR
        median, width = draws.normal(size=(3, 1)), np.ones((3, 1))
        labels = median + draws.normal(size=(3, 1))
        rows.append(rls.features(median, width, now)[1, 0])
        errors.append((labels - median)[1, 0])
        rls.learn(median, width, labels, now)
    x, y = np.array(rows), np.array(errors)
    weight = forgetting ** np.arange(len(x) - 1, -1, -1)
    gram = (x * weight[:, None]).T @ x + 2.0 * forgetting ** len(x) * np.eye(x.shape[1])
    np.testing.assert_allclose(rls.weights[1, 0], np.linalg.solve(gram, (x * weight[:, None]).T @ y), rtol=1e-8)


def test_recursive_least_squares_does_not_wind_up_and_stays_finite() -> None:
    rls = RecursiveCorrection(1, 1, HOUR, Memory(0.9, ridge=30.0))
    for issue in range(5000):  # one hour of the day only: most directions are never excited
        rls.learn(np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), NOW + issue * 24 * HOUR)
    assert np.isfinite(rls.inverse).all() and np.abs(rls.inverse).max() <= 40 / 30.0
    assert abs(float(rls.shift(np.zeros((1, 1)), np.ones((1, 1)), NOW)[0, 0]) - 1) < 0.01


def test_nothing_learned_changes_nothing() -> None:
    median, width = np.random.default_rng(0).normal(size=(24, 3)), np.ones((24, 3))
    np.testing.assert_allclose(RecursiveCorrection(24, 3, HOUR).shift(median, width, NOW), 0.0, atol=1e-12)


def test_a_constant_error_is_corrected_behind_any_forecaster() -> None:
    adapted = attempt(recursive_rung(), Flat(), panel(), request())
    assert adapted.kept and adapted.receipt.loss_after < 0.9 * adapted.receipt.loss_before
    assert isinstance(adapted.undo, Flat) and adapted.receipt.seconds > 0
    assert isinstance(adapted.forecaster, Forecaster)


def test_what_is_known_after_now_is_never_read() -> None:
    never_reads_later(recursive_rung())


def test_bad_input_leaves_the_forecaster_and_says_why() -> None:
    stands_bad_input(recursive_rung())


def never_reads_later(rung: Rung) -> None:
    """What is known after now changes nothing that the rung does."""
    clean = panel()
    poisoned = clean.copy(deep=True)
    poisoned["pm25"].values[clean["time"].values > NOW] = 1e9
    first, second = (attempt(rung, SeasonalNaive(), one, request()) for one in (clean, poisoned))
    assert first.receipt.loss_after == second.receipt.loss_after or np.isnan(first.receipt.loss_after)
    past = clean.sel(time=slice(None, NOW))
    np.testing.assert_array_equal(first.forecaster.forecast(past, request())["pm25"].values,
                                  second.forecaster.forecast(past, request())["pm25"].values)


def stands_bad_input(rung: Rung) -> None:
    """Too few labels, a constant target and a dead node leave a forecaster that works."""
    short = panel().isel(time=slice(0, 9))  # labels that never came
    now = short["time"].values[-1]
    adapted = attempt(rung, Flat(), short, request(now))
    assert not adapted.kept and isinstance(adapted.forecaster, Flat)
    assert adapted.receipt.why.startswith("dropped: ") and adapted.receipt.as_json()["loss_after"] is None
    constant = panel()
    constant["pm25"].values[:] = 7.0
    constant["pm25"].values[:400, 1] = np.nan  # and a node that was dead
    kept = attempt(rung, SeasonalNaive(), constant, request())
    assert np.isfinite(kept.forecaster.forecast(constant.sel(time=slice(None, NOW)), request())["pm25"].values).all()


def test_an_exploding_rung_is_dropped_with_a_receipt() -> None:
    class Explodes(Flat):
        def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
            told = super().forecast(context, request)
            return told.assign({"pm25": told["pm25"] + 1e30})

    class Rash(OutputRung):
        def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
            return judged(self, forecaster, Explodes(), known, request, parameters=1, why="rash")

    rash = Rash("rash", "none", "nothing", lambda nodes, asked: RecursiveCorrection(asked.horizon, nodes, asked.step))
    adapted = attempt(rash, Flat(), panel(), request())
    assert not adapted.kept and adapted.forecaster is adapted.undo and "dropped: rash" in adapted.receipt.why


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_state_goes_on_to_the_bit(seed: int) -> None:
    draws = np.random.default_rng(seed)
    made = RecursiveCorrection(4, 2, HOUR)

    def turn(one: RecursiveCorrection, number: int) -> None:
        chance = np.random.default_rng([seed, number])
        labels = np.where(chance.random((4, 2)) < 0.3, np.nan, chance.normal(size=(4, 2)))
        one.learn(chance.normal(size=(4, 2)), chance.uniform(0.5, 2, (4, 2)), labels, NOW + number * HOUR)

    for number in range(5):
        turn(made, number)
    again = RecursiveCorrection.restore(made.state())
    for number in range(5, 9):
        turn(made, number)
        turn(again, number)
    y, width = draws.normal(size=(4, 2)), np.ones((4, 2))
    np.testing.assert_array_equal(made.shift(y, width, NOW), again.shift(y, width, NOW))


def test_corrected_quantiles_keep_their_widths_and_never_cross() -> None:
    draws = np.random.default_rng(0)
    said = np.sort(draws.normal(size=(6, 2, len(QUANTILES))), axis=-1)
    correction = RecursiveCorrection(6, 2, HOUR)
    correction.weights[:] = draws.normal(size=correction.weights.shape)
    moved = Corrected(Flat(), correction).apply(said, NOW, QUANTILES)
    np.testing.assert_allclose(np.diff(moved, axis=-1), np.diff(said, axis=-1), atol=1e-12)
    assert (located(said, QUANTILES)[1] > 0).all()


def test_many_forecasts_are_each_as_if_made_alone() -> None:
    known = panel()
    corrected = attempt(recursive_rung(), Flat(), known, request()).forecaster
    issues = known["time"].values[[200, 300]]
    many = corrected.forecast_many(known, request(), issues)["pm25"].values  # type: ignore[attr-defined]
    one = corrected.forecast(known.isel(time=slice(0, 301)), request(issues[1]))["pm25"].values
    np.testing.assert_allclose(many[1:], one, rtol=1e-6)


def test_learned_pairs_end_before_the_held_back_ones_begin() -> None:
    pairs = matured(panel(), request())
    assert pairs.learned.max() + 6 * HOUR <= pairs.held.min() and pairs.held.max() + 6 * HOUR <= NOW
    assert np.isfinite(losses_on(Flat(), pairs)).any()
    with pytest.raises(RungError):
        recursive_rung().adapt(Flat(), panel().isel(time=slice(0, 7)), request(panel()["time"].values[6]))
