"""The bench of drivers: the forecaster handed in is the one that chooses and that is judged; nothing later is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from terracast.benchmarks.drivers.bench import bench_drivers
from terracast.benchmarks.drivers.judged import METHODS, Judged, Protocol, judge
from terracast.benchmarks.drivers.worlds import HORIZON, MAX_LAG, TARGET, world
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.mlp.forecaster import NativeModel

STEPS = 2400


def small(panel: xr.Dataset, request: Request) -> Forecaster:
    return NativeModel.fit(panel, request, steps=30, seed=1)


def protocol(make: Callable[[xr.Dataset, Request], Forecaster] = small) -> Protocol:
    return Protocol(make, "native", 48, max_lag=MAX_LAG, horizon=HORIZON)


@pytest.fixture(scope="module")
def judged() -> Judged:
    made = world(0, STEPS)
    return judge(made.panels, made.published, TARGET, protocol())


def test_no_false_driver_is_used_and_true_ones_lower_the_error_of_the_last_fifth(judged: Judged) -> None:
    useful = world(0, STEPS).useful
    assert set(judged.used["terracast"]) <= useful == set(judged.used["causal-only"])
    assert judged.ratio("causal-only") < 0.97 and judged.ratio("none") == 1.0
    assert set(judged.used) == set(METHODS) and not judged.used["none"] and useful < set(judged.used["all"])
    labels = {name: np.isfinite(errors) for name, errors in judged.errors.items()}
    assert all((one == labels["none"]).all() and one.any() for one in labels.values())


def test_the_forecaster_is_fitted_before_what_is_judged_and_without_drivers() -> None:
    seen: list[tuple[np.datetime64, list[str]]] = []

    def heard(panel: xr.Dataset, request: Request) -> Forecaster:
        seen.append((panel["time"].values[-1], list(map(str, panel.data_vars))))
        return small(panel, request)

    made = world(0, STEPS)
    judge(made.panels, made.published, TARGET, protocol(heard))
    time = made.panels["city"]["time"].values
    share = [(last - time[0]) / (time[-1] - time[0]) for last, _ in seen]
    assert share == pytest.approx([0.48, 0.8], abs=0.01)  # of the ablation before the last fifth; of the last fifth
    assert [names for _, names in seen] == [["demand"], ["demand"]]


def test_what_the_last_fifth_holds_chooses_nothing(judged: Judged) -> None:
    made = world(0, STEPS)
    for panel in made.panels.values():
        for name in panel.data_vars:
            panel[name].values[int(0.8 * STEPS) + 2:] = 6666.0
    assert judge(made.panels, made.published, TARGET, protocol()).used == judged.used


@pytest.mark.slow
def test_used_drivers_are_true_ones_and_most_true_ones_are_used() -> None:
    """Three worlds with decoys, siblings, effects, a fickle cause and a late feed (twelve in the bench)."""
    answer = bench_drivers(protocol(), worlds=3)
    assert answer["summary"]["precision"] >= 0.9 and answer["summary"]["recall"] >= 0.5
    rows = {row["method"]: row for row in answer["rows"]}
    assert rows["correlation-picked"]["precision"] < 0.6 and rows["all"]["precision"] < 0.5
    assert rows["terracast"]["mae_ratio"] < 0.9
