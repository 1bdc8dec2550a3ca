"""What the site shows beside the report, as plain, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terracast.flows.reporting.content import AlarmRow, Report, VersionRow
from terracast.streams.errors import TerracastError


class SiteError(TerracastError):
    """A folder that the site cannot be written into."""


@dataclass(frozen=True)
class Forecasts:
    """What each node observed, the newest forecast of it, and what last week's forecasts said.

    ``observed`` (time, node) at ``times``; ``quantiles`` (lead, node, level) at ``valid_times``, levels
    ``FAN_LEVELS``; ``week`` (time, node, level) at ``week_times``, levels 0.1, 0.5 and 0.9: of each instant the newest
    forecast that was made before it. NaN where nothing is known. Times are UTC.
    """

    nodes: tuple[str, ...]
    times: np.ndarray
    observed: np.ndarray
    valid_times: np.ndarray
    quantiles: np.ndarray
    week_times: np.ndarray
    week: np.ndarray
    issue_time: np.datetime64 | None = None


@dataclass(frozen=True)
class Frame:
    """One period of an episode's map: ``start`` to ``end``; ``relative``: the error of each node against the weeks
    before the change, as a share (0.2: 20 % more)."""

    start: np.datetime64
    end: np.datetime64
    relative: Mapping[str, float]


@dataclass(frozen=True)
class PeriodErrors:
    """How large the error was in one period, a mean over the nodes of the episode: of what served, of the frozen base
    on the same forecasts; None where no forecast was compared."""

    period: str
    served: float | None
    frozen: float | None
    forecasts: int


@dataclass(frozen=True)
class EpisodeStory:
    """One episode with all that its page tells; ``looked_after``: by whom, and the note; ``versions`` were made for it,
    and ``acts`` is what became of them."""

    alarm: AlarmRow
    page: str
    nodes: tuple[str, ...]
    channels: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    effects: tuple[PeriodErrors, ...] = ()
    versions: tuple[VersionRow, ...] = ()
    acts: tuple[Mapping[str, Any], ...] = ()
    looked_after: str = ""


@dataclass(frozen=True)
class Gaps:
    """The share of values that did not come (node, day), 0 to 1, NaN where none was due; ``days`` (day,)."""

    nodes: tuple[str, ...]
    days: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class Ticket:
    """A fault of the data, told in one sentence; ``start`` and ``end`` are stamps of values."""

    domain: str
    fault_type: str
    words: str
    start: np.datetime64
    end: np.datetime64


@dataclass(frozen=True)
class ScoreRow:
    """Error of a part of all forecasts that were compared: of what served, of the frozen base; how many forecasts."""

    part: str
    served: float
    frozen: float
    forecasts: int


@dataclass(frozen=True)
class Site:
    """All that the site shows. ``settings``: key and value as text, no secret among them; ``card``: a scorecard that
    was made here, as HTML; ``next_step``: when the next step is due."""

    report: Report
    forecasts: Forecasts | None = None
    episodes: tuple[EpisodeStory, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    receipts: tuple[str, ...] = ()
    stories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gaps: Gaps | None = None
    tickets: tuple[Ticket, ...] = ()
    set_aside: tuple[str, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    settings: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    card: str = ""
    next_step: np.datetime64 | None = None
    schedule: tuple[str, ...] = ()
