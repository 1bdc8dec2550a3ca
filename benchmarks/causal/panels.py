"""Simulated panels whose graph is known, by tigramite's toy models: plain, and with what real series have besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.causal.scores import Edge

KINDS = ("plain", "season", "season and spread", "trend", "both", "heavy noise", "heavy readings", "nonlinear",
         "all nonlinear", "regimes")
LONGEST = 3  # lag of a true link
_DAY = 24


@dataclass(frozen=True, eq=False)
class SimulatedPanel:
    """``values`` (time, series), hourly, and the true links between different series."""

    values: np.ndarray
    links: frozenset[Edge]

    def panel(self) -> xr.Dataset:
        """As a panel of one node."""
        variables = {f"s{place}": (("time", "node"), column[:, None], {"units": "1", "long_name": f"s{place}"})
                     for place, column in enumerate(self.values.T)}
        return xr.Dataset(variables, {"time": pd.date_range("2021-01-04", periods=len(self.values), freq="h"),
                                      "node": ["all"]}, {"domain": "sim", "kind": "sensor", "step": "1h"})


def simulated_panel(kind: str, variables: int, seed: int, steps: int = 1000) -> SimulatedPanel:
    """One panel: as many cross links as series, 30 % of them at the same time, lags to 3, coefficients .3 to .5.

    ``season``: a day's wave of up to two spreads in each series; ``season and spread``: the spread itself follows the
    day (factor .4 to 1.6) too; ``trend``: a line and a half wave over the whole span; ``both``: season and trend;
    ``heavy noise``: Student's t with 1.5 degrees of freedom; ``heavy readings``: the reading is the hyperbolic sine
    of the value; ``nonlinear``: each link linear or x + 5 x^2 exp(-x^2 / 20), by chance, ``all nonlinear``: the
    latter only; ``regimes``: at a step between 40 and 60 % of the span half of the cross links turn their sign and
    every level moves by half a spread. Own memory is linear throughout. The seed fixes everything.

    >>> one = simulated_panel("both", 5, 0, 200)
    >>> one.values.shape, len(one.links)
    ((200, 5), 5)
    """
    rng = np.random.default_rng([seed, variables])
    process = _process(kind, variables, seed, steps)
    links = frozenset((cause, effect, -lag) for effect, parents in process[0].items()
                      for (cause, lag), _, _ in parents if cause != effect)
    if kind == "regimes":
        return SimulatedPanel(_two_regimes(process[0], process[1], rng, seed, steps), links)
    values = process[2]
    spread, hours = values.std(axis=0), np.arange(steps)[:, None]
    wave = np.sin(2 * np.pi * hours / _DAY + rng.uniform(0, 2 * np.pi, variables))
    if kind == "season and spread":
        values = values * (1 + 0.6 * np.sin(2 * np.pi * hours / _DAY + rng.uniform(0, 2 * np.pi, variables)))
    if kind in ("season", "season and spread", "both"):
        values = values + 2 * spread * wave * rng.uniform(0.5, 1, variables)
    if kind in ("trend", "both"):
        span = np.linspace(-1, 1, steps)[:, None]
        line = 1.5 * rng.choice([-1, 1], variables) * rng.uniform(0.5, 1, variables) * span
        bend = 0.7 * rng.uniform(0, 1, variables) * np.cos(np.pi * span + rng.uniform(0, 2 * np.pi, variables))
        values = values + spread * (line + bend)
    if kind == "heavy readings":
        values = np.sinh(2 * values / spread)
    return SimulatedPanel(values, links)


def _process(kind: str, variables: int, seed: int, steps: int) -> tuple[dict[int, Any], list[Any], np.ndarray]:
    """Links, noises and values of a stationary toy model; an unstable draw is drawn anew."""
    from tigramite.toymodels.structural_causal_processes import (
        generate_structural_causal_process,
        structural_causal_process,
    )

    functions = {"nonlinear": ["linear", "nonlinear"], "all nonlinear": ["nonlinear"]}.get(kind, ["linear"])
    for attempt in range(100):
        draw = 1000 * seed + attempt
        noise: list[Any] = ["gaussian"]
        if kind == "heavy noise":
            student = np.random.RandomState(draw)
            noise = [lambda size, student=student: student.standard_t(1.5, size)]
        links, noises = generate_structural_causal_process(
            N=variables, L=variables, dependency_funcs=functions, dependency_coeffs=[-0.5, -0.4, -0.3, 0.3, 0.4, 0.5],
            auto_coeffs=[0.3, 0.5, 0.7], contemp_fraction=0.3, max_lag=LONGEST, noise_dists=noise,
            noise_sigmas=[0.5, 2.0], noise_seed=draw, seed=draw)
        with np.errstate(all="ignore"):  # an unstable draw overflows
            values, broken = structural_causal_process(links, steps, noises=noises, seed=draw)
        if not broken and np.abs(values).max() < 1e4:
            return links, noises, np.asarray(values, dtype=float)
    raise RuntimeError(f"no stationary process for seed {seed}")


def _two_regimes(links: dict[int, Any], noises: list[Any], rng: np.random.Generator, seed: int,
                 steps: int) -> np.ndarray:
    from tigramite.toymodels.structural_causal_processes import structural_causal_process

    cross = [(effect, place) for effect, parents in links.items()
             for place, ((cause, _), _, _) in enumerate(parents) if cause != effect]
    for _ in range(100):
        turned = {cross[int(one)] for one in rng.permutation(len(cross))[:len(cross) // 2]}
        later = {effect: [(node, -weight if (effect, place) in turned else weight, function)
                          for place, (node, weight, function) in enumerate(parents)]
                 for effect, parents in links.items()}
        change = int(steps * rng.uniform(0.4, 0.6))
        with np.errstate(all="ignore"):
            before, _ = structural_causal_process(links, change, noises=noises, seed=seed)
            after, broken = structural_causal_process(later, steps - change, noises=noises, seed=seed + 1)
        if not broken and np.abs(after).max() < 1e4:
            level = 0.5 * before.std(axis=0) * rng.choice([-1, 1], before.shape[1])
            return np.concatenate([before, after + level]).astype(float)
    raise RuntimeError(f"no stationary second regime for seed {seed}")
