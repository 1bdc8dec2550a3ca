"""The ablation: a planted driver pays, a decoy does not, nothing later is read, short histories are refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.causal.graph.graph import Driver, Series
from terracast.drivers.ablation import Ablation, AblationPlan, ForecasterFactory, plan_ablation
from terracast.drivers.publication_delays import publication_delays
from terracast.drivers.selection import select_by_ablation
from terracast.stfm.forecaster import Capabilities, Request, as_forecast
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.streams.bitemporal import InMemoryHistory, known_after

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2024-01-01", "ns")
RAIN, FOG, DUST = Series("weather", "rain"), Series("weather", "fog"), Series("air", "dust")
DRIVERS = (Driver(RAIN, DUST, 4, -0.6, True, "known in time"), Driver(FOG, DUST, 4, 0.2, True, "known in time"))
WATCHED = ForecastTask("air", ("a", "b"), Request("dust", np.datetime64("NaT", "ns"), 6, HOUR, (0.1, 0.5, 0.9)),
                       3 * HOUR, 2 * DAY, 6 * HOUR, {"weather": ("rain", "fog")})


def panel(domain: str, **values: np.ndarray) -> xr.Dataset:
    rows = len(next(iter(values.values())))
    made = {name: (("time", "node"), one, {"units": "1", "long_name": name}) for name, one in values.items()}
    axes = {"time": pd.date_range(START, periods=rows, freq="h"), "node": ["a", "b"]}
    return xr.Dataset(made, axes, {"domain": domain, "kind": "sensor", "step": "1h"})


def history(days: int, poison_after: np.datetime64 | None = None) -> InMemoryHistory:
    """Rain four hours ago lowers dust; fog is as rough as rain and tells nothing. Weather is known an hour late."""
    draws = np.random.default_rng(5).normal(size=(3, 24 * days, 2))
    rain, fog, dust = (np.apply_along_axis(smooth, 0, one) for one in draws)
    dust = dust + 10
    dust[4:] -= 1.5 * rain[:-4]
    panels = {"air": known_after(panel("air", dust=dust), pd.Timedelta("1h")),
              "weather": known_after(panel("weather", rain=rain, fog=fog), pd.Timedelta("1h"))}
    if poison_after is not None:
        for one in panels.values():
            for name in one.data_vars:
                one[name].values[one["known_time"].values > poison_after] = 6666.0
    return InMemoryHistory(panels)


def smooth(noise: np.ndarray) -> np.ndarray:
    out = noise.copy()
    for row in range(1, len(out)):
        out[row] += 0.7 * out[row - 1]
    return out


def planned(days: int) -> AblationPlan:
    plan = plan_ablation(WATCHED, START, START + days * DAY)
    assert isinstance(plan, AblationPlan)
    return plan


def fitted(steps: int) -> ForecasterFactory:
    return lambda panel, request: NativeModel.fit(panel, request, steps=steps, seed=1)


def test_a_planted_driver_pays_and_a_decoy_does_not() -> None:
    moment = Moment(START + 60 * DAY, history(60))
    plan, shares = planned(60), []
    ablation = Ablation(WATCHED, moment, plan, fitted(60), tell=lambda share, words: shares.append(share))
    paid = select_by_ablation(DRIVERS, ablation.losses, overlap=plan.overlap)
    assert [one.used for one in paid.drivers] == [True, False]
    gains = {one.series: one.gain for one in paid.results}
    assert gains[RAIN] > 0.1 > abs(gains[FOG])
    assert shares == sorted(shares) and shares[-1] > 0.9


def test_models_are_fitted_before_the_first_issue_time_judged() -> None:
    plan = planned(60)
    assert plan.learnt[-1] + WATCHED.request.leads[-1] <= plan.split == plan.judged[0]
    assert plan.judged[-1] + WATCHED.request.leads[-1] <= START + 60 * DAY
    assert len({pd.Timestamp(one).hour for one in plan.judged}) == 8


def test_what_becomes_known_later_changes_no_loss() -> None:
    """Garbage in all that is known after an issue time leaves the losses up to it alone, but for its own labels."""
    now, cut = START + 40 * DAY, START + 34 * DAY
    plan = planned(40)
    clean, dirty = (Ablation(WATCHED, Moment(now, one), plan, fitted(20)).losses(DRIVERS)
                    for one in (history(40), history(40, poison_after=cut)))
    settled = plan.judged <= cut - WATCHED.request.leads[-1] - HOUR
    assert settled.sum() > 10
    np.testing.assert_array_equal(clean[settled], dirty[settled])
    assert (clean[~settled] != dirty[~settled]).any()


def test_the_error_is_that_of_the_forecaster_handed_in() -> None:
    """Of one that always says the same the absolute error is the label's distance from that and its mean correction."""
    @dataclass(frozen=True)
    class Constant:
        capabilities: Capabilities = field(default_factory=lambda: Capabilities(history=1))

        def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
            assert list(context.data_vars) == ["dust"]
            middle = np.full((request.horizon, context.sizes["node"], 3), 10.0)
            return as_forecast(middle + np.array([-1.0, 0.0, 1.0]), context, request)

    plan, moment = planned(40), Moment(START + 40 * DAY, history(40))
    ablation = Ablation(WATCHED, moment, plan, lambda panel, request: Constant())
    none, rain = ablation.absolute_errors(()), ablation.absolute_errors(DRIVERS[:1])
    labels = moment.known("air")["dust"].sel(time=WATCHED.request.at(plan.judged[3]).valid_times).values
    assert np.abs(none[3] - np.abs(labels - 10.0)).max() < 0.5 and none.shape == (len(plan.judged), 6, 2)
    assert np.nanmean(rain) < 0.9 * np.nanmean(none)


def test_a_silent_driver_and_missing_labels_are_no_error() -> None:
    held = history(40)
    held.recorded("weather").panel["rain"].values[24 * 10:] = np.nan
    held.recorded("air").panel["dust"].values[-24 * 3:] = np.nan
    losses = Ablation(WATCHED, Moment(START + 40 * DAY, held), planned(40), fitted(20)).losses(DRIVERS)
    assert np.isnan(losses[-8:]).all() and np.isfinite(losses[:40]).all()


def test_a_short_history_is_refused_in_words() -> None:
    told = plan_ablation(WATCHED, START, START + 5 * DAY)
    assert isinstance(told, str) and "nothing is used untried" in told and "5 days of history" in told


def test_large_networks_and_long_spans_are_thinned() -> None:
    wide = replace(WATCHED, nodes=tuple(f"n{place}" for place in range(100)))
    plan = plan_ablation(wide, START, START + 1500 * DAY)
    assert isinstance(plan, AblationPlan) and len(plan.judged) <= 241 and plan.overlap == 1
    assert len({pd.Timestamp(one).hour for one in plan.judged}) > 4


@pytest.mark.parametrize(("late", "steps"), [("1h", 1), ("3h", 3), ("150min", 3)])
def test_how_late_a_domain_is_published_is_read_off(late: str, steps: int) -> None:
    rows = np.random.default_rng(0).normal(size=(24 * 40, 2))
    held = InMemoryHistory({"air": known_after(panel("air", dust=rows), pd.Timedelta(late))})
    moment = Moment(START + 39 * DAY, held)
    assert publication_delays(moment, ["air"], HOUR) == {"air": steps}
    assert publication_delays(Moment(START, held), ["air"], HOUR) == {}
