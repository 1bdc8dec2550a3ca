"""The generator's engine: seeded noise, lagged forcing, states that remember and mix with neighbours."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from terracast.stats.calendar import day_of_week, hour_of_day
from terracast.streams.city.drifts import PlantedDrift, law_in_force, with_value_drifts
from terracast.streams.city.links import TYPICAL, Shock, TrueLink, delayed
from terracast.streams.city.places import CityLayout
from terracast.streams.city.variables import variable_of
from terracast.streams.instant import instant

REACH_KM = {"weather": 20.0, "traffic": 4.0}
DAY = np.timedelta64(24, "h")


@dataclass(frozen=True)
class CityWorld:
    """A city in the making: what is given, and the values and signals made so far, (time, node).

    ``time`` begins with a run-in that is cut off later, so that no state starts from nothing.
    """

    seed: int
    layout: CityLayout
    time: np.ndarray
    links: tuple[TrueLink, ...]
    drifts: tuple[PlantedDrift, ...] = ()
    shocks: tuple[Shock, ...] = ()
    made: dict[str, np.ndarray] = field(default_factory=dict)
    signals: dict[str, np.ndarray] = field(default_factory=dict)

    def names(self, series: str) -> tuple[str, ...]:
        """Node names of the series' domain."""
        return self.layout.names[series.partition(".")[0]]

    @property
    def hour(self) -> np.ndarray:
        """Hour of the day, 0 … 23, (time, 1)."""
        return hour_of_day(self.time)[:, None]

    @property
    def weekday(self) -> np.ndarray:
        """Day of the week, Monday 0, (time, 1)."""
        return day_of_week(self.time)[:, None]

    @property
    def season(self) -> np.ndarray:
        """Part of the year gone by, 0 … 1, (time, 1)."""
        year = self.time.astype("datetime64[Y]").astype("datetime64[ns]")
        return np.asarray((self.time - year) / DAY / 365.25)[:, None]

    def random(self, purpose: str) -> np.random.Generator:
        """Random numbers of its own for each purpose: no draw depends on what else was drawn."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])

    def noise(self, series: str, spread: float, reach_km: float, own_share: float = 0.0) -> np.ndarray:
        """White in time, correlated exp(-km / reach) in space but for ``own_share`` of it; with shocks."""
        domain = series.partition(".")[0]
        correlation = (1 - own_share) * np.exp(-self.layout.distances(domain, domain) / reach_km)
        factor = np.linalg.cholesky(correlation + (own_share + 1e-9) * np.eye(len(correlation)))
        drawn = self.random(series).standard_normal((len(self.time), len(correlation)))
        # einsum, not BLAS: the same bits with any number of threads.
        noise = spread * np.einsum("tn,mn->tm", drawn, factor)
        for shock in self.shocks:
            if shock.series == series:
                noise[self.time == instant(shock.time)] += shock.size
        return np.asarray(noise)

    def forcing(self, effect: str) -> np.ndarray:
        """What all causes of ``effect`` add to its state, (time, node), relative to their typical values."""
        names = self.names(effect)
        total = np.zeros((len(self.time), len(names)))
        for link in self.links:
            if link.effect == effect:
                coefficient, lost = law_in_force(link, self.drifts, self.time, names)
                signal = delayed(self.seen_by(effect, link.cause), link.lag)
                typical = TYPICAL[link.cause] * self.exposure(effect, link.cause)
                total += np.where(lost, 0.0, coefficient * signal - link.strength * typical)
        return total

    def seen_by(self, effect: str, cause: str) -> np.ndarray:
        """The cause's signal at the effect's nodes: the node itself in its own domain, else those around."""
        domain, origin = effect.partition(".")[0], cause.partition(".")[0]
        if domain == origin:
            return self.signals[cause]
        weights = self.layout.seen_from(origin, domain, REACH_KM[origin])
        weights = weights * self.exposure(effect, cause)[:, None]
        return np.asarray(np.einsum("tn,mn->tm", self.signals[cause], weights))

    def exposure(self, effect: str, cause: str) -> np.ndarray:
        """How strongly a cause is felt at each node of the effect, mean 1: kerbsides feel traffic more."""
        domain, origin = effect.partition(".")[0], cause.partition(".")[0]
        count = len(self.names(effect))
        if (origin, domain) != ("traffic", "air"):
            return np.ones(count)
        near = np.exp(-self.layout.distances("air", "traffic").min(axis=1) / 4.0)
        return np.asarray(near / near.mean())

    def keep(self, series: str, values: np.ndarray) -> np.ndarray:
        """Put a finished series into the world, its value drifts acted out, and return it."""
        floor = variable_of(series).floor
        values = values if floor is None else np.maximum(values, floor)
        self.made[series] = with_value_drifts(values, series, self.drifts, self.time, self.names(series))
        return self.made[series]


def remembered(forcing: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """States y with y[t] = memory @ y[t-1] + forcing[t], y before the first row zero; O(time × node²).

    >>> remembered(np.ones((3, 1)), np.array([[0.5]])).ravel().tolist()
    [1.0, 1.5, 1.75]
    """
    states = np.empty_like(forcing)
    state = np.zeros(forcing.shape[1])
    for row, push in enumerate(forcing):
        state = memory @ state + push
        states[row] = state
    return states
