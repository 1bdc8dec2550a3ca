"""The causal graph as a value: links with lag, strength and evidence; and the drivers chosen from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from terracast.streams.stateful import Stateful


@dataclass(frozen=True, order=True)
class Series(Stateful):
    """A summarised series of the graph: ``variable`` of ``domain``, written ``domain.variable``."""

    domain: str
    variable: str

    def __str__(self) -> str:
        return f"{self.domain}.{self.variable}"

    @classmethod
    def parse(cls, text: str) -> Series:
        """Read ``domain.variable``.

        >>> Series.parse("weather.wind_speed").variable
        'wind_speed'
        """
        domain, _, variable = text.partition(".")
        return cls(domain, variable)


@dataclass(frozen=True)
class Link:
    """One directed link: ``cause`` at ``lag`` steps earlier drives ``effect``.

    ``strength`` is the test statistic in [-1, 1] (partial correlation for ParCorr), ``p_value`` its p-value,
    ``stability`` the share of bootstrap draws in which the link returned (None: not measured).
    ``oriented`` is False where the data do not tell the direction (at lag 0). ``known`` is True where
    the knowledge file put the link in: then it was measured, not tested. ``note`` says in a few words what the arrow
    alone does not: in which parts of the span the link holds.
    """

    cause: Series
    effect: Series
    lag: int
    strength: float
    p_value: float
    stability: float | None = None
    oriented: bool = True
    known: bool = False
    note: str = ""


@dataclass(frozen=True)
class CausalGraph:
    """What discovery found, with what it assumed.

    Attributes
    ----------
    series : tuple of Series
        All that were searched.
    links : tuple of Link
        What was found, each with lag, strength and p-value.
    step : str
        Length of one lag, such as ``1h``.
    method : str
        ``PCMCI+`` or ``PCMCI``.
    samples : int
        Steps at which every series was observed.
    settings : dict
        JSON values only, enough to run the same discovery again.
    assumptions : tuple of str
        What the links rest on, and what was left out, in sentences.
    labels : dict
        The text of a series (``air.pm25``): the name a reader knows (``PM2.5``).

    Examples
    --------
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.001),), "1h", "PCMCI+", 900)
    >>> [(str(link.cause), link.lag) for link in graph.into(flow)]
    [('weather.rain', 2)]
    """

    series: tuple[Series, ...]
    links: tuple[Link, ...]
    step: str
    method: str
    samples: int
    settings: dict[str, object] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, series: Series) -> str:
        """The reader's name of a series; its variable's name where none was given.

        >>> CausalGraph((), (), "1h", "PCMCI+", 0).label(Series("weather", "wind_speed"))
        'wind speed'
        """
        return self.labels.get(str(series), series.variable.replace("_", " "))

    def into(self, effect: Series) -> tuple[Link, ...]:
        """Links that point into ``effect``, strongest first."""
        found = [link for link in self.links if link.effect == effect and link.oriented]
        return tuple(sorted(found, key=lambda link: -abs(link.strength)))

    def to_json(self) -> str:
        """The whole graph as JSON text; ``from_json`` reads it back."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> CausalGraph:
        """Read what ``to_json`` wrote.

        >>> graph = CausalGraph((Series("a", "x"),), (), "1h", "PCMCI+", 100)
        >>> CausalGraph.from_json(graph.to_json()) == graph
        True
        """
        raw = json.loads(text)
        links = tuple(Link(**{**link, "cause": Series(**link["cause"]), "effect": Series(**link["effect"])})
                      for link in raw.pop("links"))
        series = tuple(Series(**one) for one in raw.pop("series"))
        assumptions = tuple(raw.pop("assumptions"))
        return cls(series=series, links=links, assumptions=assumptions, **raw)


@dataclass(frozen=True)
class Driver:
    """An auxiliary input: ``series`` of another domain drives ``target`` at ``lag`` steps, or why not.

    ``reach`` is the largest lead (in steps) for which the linked value is already published at issue time. ``via``:
    the variable of the target's own domain that it drives, where it acts on the target through that one only.
    """

    series: Series
    target: Series
    lag: int
    strength: float
    used: bool
    reason: str
    reach: int = 0
    via: Series | None = None

    @property
    def effect(self) -> Series:
        """Where the link that this driver was made from points: the target, or ``via``."""
        return self.via or self.target
