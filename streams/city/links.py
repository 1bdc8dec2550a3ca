"""The city's causal law: which series drives which, after how many hours, how strongly.

The generator reads this table and nothing else couples two series, so the table *is* the truth that a
discovered graph is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrueLink:
    """``cause`` (``domain.variable``) drives ``effect`` ``lag`` hours later.

    ``strength`` is the structural coefficient: what one unit of the cause's signal (see ``SIGNALS``) adds to
    the effect's state in that hour. States of positive variables are logarithms.
    """

    cause: str
    effect: str
    lag: int
    strength: float


LINKS: tuple[TrueLink, ...] = (
    TrueLink("weather.rain", "weather.temperature", 1, -0.9),
    TrueLink("weather.rain", "traffic.volume", 2, 0.07),
    TrueLink("weather.rain", "traffic.speed", 1, -0.09),
    TrueLink("traffic.volume", "traffic.speed", 1, -0.12),
    TrueLink("traffic.volume", "air.no2", 1, 0.15),
    TrueLink("traffic.volume", "air.pm25", 2, 0.13),
    TrueLink("weather.wind_speed", "air.no2", 1, -0.13),
    TrueLink("weather.wind_speed", "air.pm25", 1, -0.15),
    TrueLink("weather.rain", "air.pm25", 2, -0.14),
    TrueLink("weather.temperature", "air.no2", 3, -0.07),
    TrueLink("weather.temperature", "air.pm25", 3, -0.09),
)

# The form in which a series acts on others. Typical values are what the effects' base levels already contain.
SIGNALS = {
    "weather.temperature": "(degC - 10) / 10",
    "weather.wind_speed": "speed over 3 m/s, less 1",
    "weather.rain": "log(1 + mm/h)",
    "traffic.volume": "volume over the node's yearly mean",
}
TYPICAL = {"weather.temperature": 0.0, "weather.wind_speed": 0.03, "weather.rain": 0.05,
           "traffic.volume": 1.0}


@dataclass(frozen=True)
class Shock:
    """An intervention: ``size`` is added to the noise of ``series`` in the hour ``time``, at all nodes.

    Two cities that differ in one shock differ only in what that hour of that series causes.
    """

    series: str
    time: np.datetime64
    size: float


def delayed(signal: np.ndarray, lag: int) -> np.ndarray:
    """The signal ``lag`` rows earlier; the first rows repeat the first.

    >>> delayed(np.array([[1.0], [2.0], [3.0]]), 1).ravel().tolist()
    [1.0, 1.0, 2.0]
    """
    if lag == 0:
        return signal
    return np.asarray(np.concatenate([np.repeat(signal[:1], lag, axis=0), signal])[: len(signal)])
