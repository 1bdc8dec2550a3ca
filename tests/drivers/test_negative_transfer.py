"""Drivers in service: one that begins to hurt is dropped by its shadows, told, and rests; the same after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.clock import clock
from terracast.adapt.task import ForecastTask
from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.drivers.driver_watch import DroppedDriver
from terracast.drivers.negative_transfer import NegativeTransferMonitor, cooled_down
from terracast.stfm.forecaster import Capabilities, Request, as_forecast
from terracast.streams.bitemporal import InMemoryHistory, known_after

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2024-01-01", "ns")
RAIN, DUST = Series("weather", "rain"), Series("air", "dust")
DRIVER = Driver(RAIN, DUST, 2, 0.5, True, "known in time")
BAD_FROM = 30
WATCHED = ForecastTask("air", ("a", "b"), Request("dust", np.datetime64("NaT", "ns"), 6, HOUR, (0.1, 0.5, 0.9)),
                       12 * HOUR,
                       2 * DAY, 6 * HOUR, {"weather": ("rain",)})


@dataclass(frozen=True)
class Follower:
    """Forecasts what rain says where it is told of rain, else nothing of note."""

    capabilities: Capabilities = field(default_factory=lambda: Capabilities(history=1, accepts_drivers=True))

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        told = context["weather.rain"].values[-1] if "weather.rain" in context else np.zeros(context.sizes["node"])
        middle = np.broadcast_to(np.nan_to_num(told)[None, :, None], (request.horizon, len(told), 3))
        return as_forecast(middle + np.array([-1.0, 0.0, 1.0]), context, request)


def history(days: int = 110) -> InMemoryHistory:
    """Dust follows a rain that changes once a day; from day 30 on the rain gauge reports noise."""
    draws = np.random.default_rng(1)
    rows = 24 * days
    rain = np.repeat(draws.normal(size=(days, 2)), 24, axis=0)
    dust = rain + 0.3 * draws.normal(size=(rows, 2))
    rain[24 * BAD_FROM:] = 2 * draws.normal(size=(max(0, rows - 24 * BAD_FROM), 2))
    axes = {"time": pd.date_range(START, periods=rows, freq="h"), "node": ["a", "b"]}
    panels = {domain: xr.Dataset({name: (("time", "node"), values, {"units": "1", "long_name": name})}, axes,
                                 {"domain": domain, "kind": "sensor", "step": "1h"})
              for domain, name, values in (("air", "dust", dust), ("weather", "rain", rain))}
    return InMemoryHistory({domain: known_after(one, pd.Timedelta("1h")) for domain, one in panels.items()})


def loop() -> SimpleNamespace:
    """What the watch reads of a loop: what is watched, and the model in service."""
    return SimpleNamespace(watched=WATCHED, champion=SimpleNamespace(model=Follower()))


def begun(held: SimpleNamespace, before: dict[str, object] | None = None) -> NegativeTransferMonitor:
    return NegativeTransferMonitor.begin((DRIVER,), CausalGraph((RAIN, DUST), (), "1h", "PCMCI+", 900), held,
                                         remembered=2 * DAY, before=before)


def served(service: NegativeTransferMonitor, held: SimpleNamespace, first: int, last: int,
           data: InMemoryHistory) -> list[tuple[np.datetime64, DroppedDriver]]:
    found = []
    for moment in clock(data, START + first * DAY + 12 * HOUR, START + last * DAY, WATCHED.cadence):
        found += [(moment.now, one) for one in service.tick(held, moment)]
    return found


def test_a_driver_that_turns_bad_is_dropped_and_rests(same_trees: Callable[[object, object], None]) -> None:
    data, held = history(), loop()
    service = begun(held)
    assert served(service, held, 3, BAD_FROM, data) == [] and held.watched.drivers == {"weather": ("rain",)}
    again = NegativeTransferMonitor.restore(service.state())  # as after a kill
    same_trees(again.state(), service.state())
    other = loop()
    (when, gone), = served(service, held, BAD_FROM, 110, data)
    (same, _), = served(again, other, BAD_FROM, 110, data)
    assert when == same and START + BAD_FROM * DAY < when < START + 110 * DAY
    assert held.watched.drivers == {} and "rain is no longer used" in gone.sentence
    same_trees(again.state(), service.state())
    judged, = cooled_down((DRIVER,), service.state(), START + BAD_FROM * DAY)
    assert not judged.used and judged.reason == gone.sentence
    assert cooled_down((DRIVER,), service.state(), when + DAY)[0].used
    following = begun(held, before=service.state())  # the next service remembers
    assert not cooled_down((DRIVER,), following.state(), START)[0].used and cooled_down((DRIVER,), None, START)[0].used


def test_one_forecast_a_day_and_scored_only_when_labels_could_be_known() -> None:
    data, held = history(20), loop()
    service = begun(held)
    over = WATCHED.request.leads[-1] + WATCHED.label_timeout
    for moment in clock(data, START + 3 * DAY, START + 10 * DAY, 3 * HOUR):
        service.tick(held, moment)
        assert all(moment.now - over < one.issue_time <= moment.now for one in service.open)
        scored = service.watch._evidence[Series("weather", "rain")].totals[0]
        assert scored == max(0, (moment.now - over - START) // DAY - 2)


def test_without_drivers_nothing_is_forecast() -> None:
    held = loop()
    service = NegativeTransferMonitor.begin((), CausalGraph((DUST,), (), "1h", "", 0), held, remembered=0 * DAY)
    assert served(service, held, 3, 8, history(10)) == [] and service.open == []
