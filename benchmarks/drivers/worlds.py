"""Simulated worlds whose useful drivers are known: decoys, common causes, effects and late feeds beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.causal.graph.graph import Series

TARGET = Series("city", "demand")
HORIZON = 3
MAX_LAG = 8


@dataclass(frozen=True, eq=False)
class DriverWorld:
    """One world: panels of one node by domain, how late each domain is published (steps), and the series that a
    forecast should use."""

    panels: Mapping[str, xr.Dataset]
    published: Mapping[str, int]
    useful: frozenset[Series]
    roles: Mapping[Series, str]


def world(seed: int, steps: int = 8760, hidden: bool = False) -> DriverWorld:
    """A target with memory and two to four true drivers, and types of series that are none to use.

    True drivers (domain ``weather``, one step late) act after 2-6 steps. ``late``: true causes whose feed comes eight
    steps late. ``decoy``: slow series of their own that correlate by chance. ``sibling``: shares an observed common
    cause with the target and shows it earlier, so it correlates most. ``effect``: driven by the target.
    ``fickle``: a true cause that stops acting after an eighth of the time. With ``hidden`` one more series shares a
    cause with the target that nobody observes: no method that assumes causal sufficiency can tell it from a cause.

    >>> made = world(0, steps=300)
    >>> sum(len(panel) for panel in made.panels.values()) == len(made.roles) and made.useful <= set(made.roles)
    True
    """
    random = np.random.default_rng(seed)
    weather = {Series("weather", f"driver_{place}"): int(lag)
               for place, lag in enumerate(random.integers(2, 7, size=random.integers(2, 5)))}
    late = {Series("late", "feed"): int(random.integers(1, 4))}
    decoys = [Series("social", f"decoy_{place}") for place in range(3)]
    rows = steps + 200
    columns = {one: _slow(random, rows, float(random.uniform(0.3, 0.85))) for one in (*weather, *late)}
    columns |= {one: _slow(random, rows, float(random.uniform(0.9, 0.97))) for one in decoys}
    fickle = Series("social", "fickle")
    columns[fickle] = _slow(random, rows, 0.6)
    first = next(iter(weather))
    sibling, follower = Series("social", "sibling"), Series("social", "follower")
    columns[sibling] = _driven(random, columns[first], 1, 1.2)
    columns[follower] = _driven(random, columns[first], 2, 0.8)
    target = _target(random, columns, {**weather, **late})
    target[:rows // 8] += _target(random, {fickle: columns[fickle]}, {fickle: 3})[:rows // 8]
    unseen = _slow(random, rows, 0.6)
    if hidden:
        columns[Series("social", "proxy")] = _driven(random, unseen, 1, 1.2)
        target += 0.8 * np.concatenate([np.zeros(4), unseen[:-4]])
    effect = Series("effect", "sales")
    columns[effect] = _driven(random, target, 1, 0.9)
    columns[TARGET] = target
    roles = {**dict.fromkeys(weather, "driver"), **dict.fromkeys(late, "late"),
             **dict.fromkeys(decoys, "decoy"), fickle: "fickle", Series("social", "proxy"): "proxy",
             sibling: "sibling", follower: "sibling", effect: "effect", TARGET: "target"}
    roles = {one: role for one, role in roles.items() if one in columns}
    values = np.stack(list(columns.values()), axis=1)[200:]
    clock = np.datetime64("2024-01-01", "ns") + np.arange(steps) * np.timedelta64(1, "h")
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return DriverWorld(_panels(values, tuple(columns), clock),
                       {"weather": 1, "late": 8, "social": 0, "effect": 0, "city": 0}, frozenset(weather), roles)


def _panels(values: np.ndarray, series: tuple[Series, ...], time: np.ndarray) -> dict[str, xr.Dataset]:
    """Columns (time, series) as hourly panels of one node, by domain."""
    return {domain: xr.Dataset(
        {one.variable: (("time", "node"), values[:, [place]], {"units": "1", "long_name": one.variable})
         for place, one in enumerate(series) if one.domain == domain}, {"time": time, "node": ["all"]},
        {"domain": domain, "kind": "sensor", "step": "1h"}) for domain in dict.fromkeys(one.domain for one in series)}


def _slow(random: np.random.Generator, rows: int, memory: float) -> np.ndarray:
    noise = random.normal(size=rows) * np.sqrt(1 - memory**2)
    out = np.zeros(rows)
    for row in range(1, rows):
        out[row] = memory * out[row - 1] + noise[row]
    return out


def _driven(random: np.random.Generator, cause: np.ndarray, lag: int, strength: float) -> np.ndarray:
    return strength * np.concatenate([np.zeros(lag), cause[:-lag]]) + _slow(random, len(cause), 0.4)


def _target(random: np.random.Generator, columns: dict[Series, np.ndarray], lags: dict[Series, int]) -> np.ndarray:
    """A series with memory .6 that its causes push, each with a weight of .12 to .6 of the noise."""
    pushed = random.normal(size=len(next(iter(columns.values()))))
    for one, lag in lags.items():
        weight = float(random.choice([-1, 1]) * random.uniform(0.12, 0.6))
        pushed[lag:] += weight * columns[one][:-lag]
    out = np.zeros(len(pushed))
    for row in range(1, len(out)):
        out[row] = 0.6 * out[row - 1] + pushed[row]
    return out
