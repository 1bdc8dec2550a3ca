"""What all sources have in their settings, and what a source is built from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from terracast.flows.settings.values import Calendar, DomainName, Duration, Frozen, Kind, Stamp, VariableName
from terracast.streams.clock import Clock

if TYPE_CHECKING:
    from terracast.streams.sources import Source


@dataclass(frozen=True)
class SourceContext:
    """What a workspace hands to a source that is built.

    Attributes
    ----------
    folder : Path
        Where the settings file lies; relative paths are taken from it.
    inbox : Path
        Where ``terracast listen`` keeps what was pushed.
    clock : callable
        Tells the time of arrival, UTC. A source reads no other clock.
    stored_clock : Clock or None
        Which stamps the domain has in the store; None where it holds none of it.
    """

    folder: Path
    inbox: Path
    clock: Callable[[], np.datetime64]
    stored_clock: Clock | None = None


class SourceSettings(Frozen, ABC):
    """Where a domain's data come from, which stamps they have, and when their values became known.

    A type of source is a subclass with the keys of its own and with ``build``.

    Attributes
    ----------
    type : str
        Names the type of source.
    step, anchor, calendar
        The domain's clock: time between stamps, one stamp (UTC), "month" or a time zone whose days are counted. What
        is not given is found in the data, where the type can.
    delay, known_time
        How long after its stamp a value is known, or the column that says so.
    """

    type: str
    domain: DomainName
    kind: Kind = "sensor"
    variables: tuple[VariableName, ...] = ()
    units: dict[str, str] = Field(default_factory=dict)
    step: Duration | None = None
    anchor: Stamp | None = None
    calendar: Calendar | None = None
    delay: Duration | None = None
    known_time: str | None = None
    time_zone: str | None = None
    time: str | None = None
    node: str | None = None
    lat: str | None = None
    lon: str | None = None

    @abstractmethod
    def build(self, context: SourceContext) -> Source:
        """The source itself; connections are opened by its first look, not here."""
