"""The mixture: which family how often, and a world from a seed, the same to the bit every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from terracast.stfm.prior.calendar import calendar
from terracast.stfm.prior.changes import FACTORS_OF, coarser, rescaled
from terracast.stfm.prior.clock import STEPS, WorldClock, draw_clock
from terracast.stfm.prior.corruption import corrupted
from terracast.stfm.prior.drifters import drifters
from terracast.stfm.prior.electricity import electricity
from terracast.stfm.prior.epidemic import epidemic
from terracast.stfm.prior.events import events
from terracast.stfm.prior.field import field
from terracast.stfm.prior.gaussian import gaussian, two_regimes
from terracast.stfm.prior.places import Places, draw_places
from terracast.stfm.prior.rivers import rivers
from terracast.stfm.prior.seasonal import seasonal
from terracast.stfm.prior.structural import structural
from terracast.stfm.prior.traffic import traffic
from terracast.stfm.prior.weather import weather
from terracast.stfm.prior.world import Draft, World, finished
from terracast.streams.errors import TerracastError

Make = Callable[[np.random.Generator, WorldClock, Places], Draft]
FAMILIES: Mapping[str, float] = {
    "seasonal": 0.15, "gaussian": 0.12, "two_regimes": 0.02, "calendar": 0.13, "weather": 0.12, "electricity": 0.11,
    "structural": 0.07, "field": 0.09, "rivers": 0.06, "traffic": 0.05, "epidemic": 0.04, "events": 0.03,
    "drifters": 0.01}
MAKERS: Mapping[str, Make] = {
    "seasonal": seasonal, "gaussian": gaussian, "two_regimes": two_regimes, "calendar": calendar, "weather": weather,
    "electricity": electricity, "structural": structural, "field": field, "rivers": rivers, "traffic": traffic,
    "epidemic": epidemic, "events": events, "drifters": drifters}
UP_TO_A_DAY = ("1min", "5min", "10min", "15min", "30min", "1h", "3h", "6h", "1D")
# Where a family's physics or people's habits need a certain step; others take any.
STEPS_OF: Mapping[str, tuple[str, ...]] = {
    "calendar": (*UP_TO_A_DAY, "7D", "month"), "electricity": UP_TO_A_DAY, "field": UP_TO_A_DAY,
    "rivers": ("15min", "1h", "6h", "1D", "7D", "month"), "traffic": ("1min", "5min", "10min", "15min", "30min", "1h"),
    "epidemic": ("1D", "7D"), "events": ("15min", "1h", "6h", "1D", "7D"), "drifters": ("10min", "1h", "6h", "1D")}
TRIES = 8  # a world in which nothing happens is drawn again
COARSENED = 0.1  # share of worlds simulated at a finer step than the panel shows


class WorldError(TerracastError):
    """A world that cannot be made."""


def sample_world(seed: int, *, steps: int = 1024, nodes: int = 8, families: Sequence[str] | None = None) -> World:
    """The world of this seed: ``steps`` stamps (fewer when yearly), up to ``nodes`` nodes, of one of ``families``.

    Same arguments, same world, to the bit. O(steps · nodes) but for small factors. Raises ``WorldError`` for an
    unknown family or too small a world.

    >>> world = sample_world(7, steps=64, nodes=3)
    >>> world.panel.sizes["node"] <= 3, world.target in world.panel
    (True, True)
    """
    names = tuple(FAMILIES) if families is None else tuple(families)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        raise WorldError(f"no world family {unknown[:1]}", where="sample_world", expected=", ".join(FAMILIES),
                         remedy="name families of that list, or none for all")
    if steps < 32 or nodes < 1:
        raise WorldError(f"a world of {steps} steps and {nodes} nodes", where="sample_world",
                         expected="at least 32 steps and one node", remedy="ask for a larger world")
    rng = np.random.default_rng([seed, steps, nodes])
    weights = np.array([FAMILIES[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    places = draw_places(rng, nodes)
    clock = draw_clock(rng, steps, STEPS_OF.get(name, tuple(STEPS)))
    for _ in range(TRIES):
        draft = corrupted(rng, rescaled(rng, _made(rng, MAKERS[name], clock, places)))
        if _can_be_learnt(draft.target.values):
            break
    return finished(draft)


def _can_be_learnt(values: np.ndarray) -> bool:
    """Not a dead panel: a fifth of it observed, and more than one value now and then."""
    seen = values[np.isfinite(values)]
    if len(seen) < 0.2 * values.size:
        return False
    return bool(np.ptp(seen) > 1e-9 * (1 + np.abs(seen).max()) and np.mean(seen != np.median(seen)) > 0.01)


def _made(rng: np.random.Generator, make: Make, clock: WorldClock, places: Places) -> Draft:
    """The family's draft; now and then made at a finer step and pressed together."""
    factors = FACTORS_OF.get(clock.step, ())
    if not factors or rng.random() >= COARSENED:
        return make(rng, clock, places)
    factor = int(rng.choice(factors))
    finer = WorldClock(clock.start, clock.step / factor, clock.steps * factor, clock.zone)
    return coarser(rng, make(rng, finer, places), factor)
