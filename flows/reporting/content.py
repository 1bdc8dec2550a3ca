"""The content of a report as plain, frozen values: numbers, words and tables, no service object among them.

Everything but the identity of the report may be missing; the page then says so in one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from terracast.streams.errors import TerracastError

if TYPE_CHECKING:
    from terracast.flows.reporting.freshness import SourceFreshness

NODE_COLUMNS = ("node", "lat", "lon", "error", "reference_error", "skill", "coverage", "state")
POLICY_COLUMNS = ("policy", "mae", "crps", "coverage", "alarms", "adaptations", "seconds")
VALUE_COLUMNS = ("time", "observed", "median", "low", "high")
ERROR_COLUMNS = ("time", "frozen", "champion")
FAN_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


class ReportError(TerracastError):
    """Content that cannot be shown honestly."""


@dataclass(frozen=True)
class Change:
    """A promotion or a rollback: ``kind`` is one of these two words, ``version`` the model put in service."""

    time: np.datetime64
    kind: str
    version: str


@dataclass(frozen=True)
class KnownEvent:
    """Something people know happened (a holiday, a strike), from ``start`` to ``end``."""

    start: np.datetime64
    end: np.datetime64
    label: str


@dataclass(frozen=True)
class Timeline:
    """Observation and forecast of the network mean over time, and the error per week.

    ``values``: columns time, observed, median, low, high (the 80 % interval), a row per day or longer, NaN
    where nothing is known (``reporting.daily.network_daily`` makes it). ``errors``: columns time, frozen,
    champion, a row per week. ``lead`` says in words how far ahead the forecast was made, e.g. "24 hours
    ahead".
    """

    values: pd.DataFrame | None = None
    errors: pd.DataFrame | None = None
    lead: str = ""
    changes: tuple[Change, ...] = ()
    events: tuple[KnownEvent, ...] = ()


@dataclass(frozen=True)
class AlarmRow:
    """One episode told to a person: what changed; where and since when; what the system did or proposes; what the
    change means.

    ``end``: when evidence came last; None means that it still comes. ``recovering``: it has an end, but is not closed
    yet. ``change_type`` is a word such as drift, level, scale, or outage (health). ``evidence``: the statistics that it
    rests on, folded on the page.
    """

    episode: str
    what: str
    where: str
    action: str
    start: np.datetime64
    end: np.datetime64 | None = None
    change_type: str = "drift"
    evidence: tuple[str, ...] = ()
    meaning: str = ""
    recovering: bool = False


@dataclass(frozen=True)
class VersionRow:
    """A model version: what it was made from, what the gate decided in words, and the error it removed.

    ``gain`` is 1 − error / error of the version before it, measured at the gate (0.06: 6 % less error).
    """

    number: str
    aliases: tuple[str, ...] = ()
    made_from: str = ""
    decision: str = ""
    gain: float | None = None


@dataclass(frozen=True)
class CausalLink:
    """One link in words for a domain expert. ``lag`` reads like "2 hours"; empty means the same time.

    ``published``: was the cause's value out early enough to forecast with? ``used``: is it an input now?
    None means that the question does not arise. ``sentence`` replaces the sentence written from the numbers.
    ``interval`` is the strength's 95 % interval, ``gain`` the share of the error that its cause saved when left out and
    put in. ``cause_name`` and ``effect_name`` (``domain.variable``, as a knowledge file writes them) and ``steps``, the
    lag in steps, are what an expert's answer is written with; without names the link cannot be answered. ``known``:
    the knowledge file put it in. ``note``: when it holds, or why it has no direction. ``share``: between which values
    the true ``stability`` lies (95 %).
    """

    cause: str
    effect: str
    lag: str
    strength: float
    stability: float | None = None
    published: bool | None = None
    used: bool | None = None
    reason: str = ""
    oriented: bool = True
    sentence: str = ""
    interval: tuple[float, float] | None = None
    gain: float | None = None
    known: bool = False
    note: str = ""
    share: tuple[float, float] | None = None
    cause_name: str = ""
    effect_name: str = ""
    steps: int = 0

    @property
    def answerable(self) -> bool:
        """Can an expert say of it that it is impossible or certain?"""
        return bool(self.cause_name and self.effect_name and self.cause_name != self.effect_name)


@dataclass(frozen=True)
class Reasons:
    """Why these inputs: the causal graph drawn as SVG text, its links, and what was assumed to find them.

    ``changes`` says what differs from the graph of the last report (``changed_since``: its date in words; empty:
    there was none). ``alarms`` are three sentences each, of links that changed over time; ``alarm_note`` says why none
    can be told yet. ``breakers`` says what would
    make the assumptions wrong; ``knowledge`` is the text of the knowledge file that was honoured.
    """

    drawing: str = ""
    links: tuple[CausalLink, ...] = ()
    assumptions: tuple[str, ...] = ()
    method: str = ""
    changes: tuple[str, ...] = ()
    changed_since: str = ""
    alarms: tuple[tuple[str, str, str], ...] = ()
    alarm_note: str = ""
    breakers: tuple[str, ...] = ()
    knowledge: str = ""


@dataclass(frozen=True)
class Making:
    """How the report was made: the command, the digest of the settings, versions by name."""

    command: str = ""
    settings_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """What the monitor did while it served: for how many ``months``, how many ``episodes`` of drift and how many data
    ``tickets`` it opened. True changes are among them, so their rate is at most what the promise allows and the world
    adds.

    >>> Service(months=4.0, episodes=2, tickets=1).a_month, Service(4.0, 2, 1).weekly
    (0.5, 17)
    """

    months: float
    episodes: int
    tickets: int

    @property
    def a_month(self) -> float:
        """Episodes of drift a month."""
        return self.episodes / max(self.months, 1e-9)

    @property
    def weekly(self) -> int:
        """How often an alarm a week, whatever happens, would have come."""
        return int(self.months * 30.5 / 7)


@dataclass(frozen=True)
class Fan:
    """One node: what was observed lately, and the newest forecast of what follows.

    ``observed`` (time) at ``times``, NaN where nothing came; ``quantiles`` (lead, level) at ``valid_times``, levels
    ``FAN_LEVELS``; both may be empty. Times are UTC.
    """

    node: str
    times: np.ndarray
    observed: np.ndarray
    valid_times: np.ndarray
    quantiles: np.ndarray


@dataclass(frozen=True)
class Outlook:
    """What comes next: a fan per node, forecasts of ``issue_time`` (None: none yet); times are drawn in ``zone`` (None:
    UTC). ``left_out`` counts the nodes that are not drawn."""

    fans: tuple[Fan, ...]
    issue_time: np.datetime64 | None = None
    zone: str | None = None
    left_out: int = 0


@dataclass(frozen=True)
class Replayed:
    """The last replay of the policies over the stream's own past: when it was ``made``, its ``protocol`` and its
    ``advice`` in words, ``policies`` with ``POLICY_COLUMNS``, and the alarms it would have raised, a sentence each."""

    made: np.datetime64
    protocol: str
    advice: str
    policies: pd.DataFrame
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    ``nodes``: columns node, lat, lon (degrees), error (mean absolute error of the last 28 days),
    reference_error (the same of ``reference``), skill (1 − error / error of the seasonal naive forecast),
    coverage (share of values inside the 80 % interval), state (calm, episode or outage); all but ``node``
    may be missing.
    ``place`` is what a node is called here; ``cell``: degrees of latitude and longitude of each, where nodes are cells;
    ``channel_status``: sentences on context and intervals as they are now.
    ``sources``: how fresh each domain is, the target's among them.
    ``approvals``: a sentence for what waits for a person.
    ``compared``: columns issue_time, node, error and reference_error, a row for each forecast that was compared.
    """

    title: str
    domain: str
    target: str
    units: str
    as_known_at: np.datetime64
    snapshot: str = ""
    champion: str = ""
    headline: tuple[str, ...] = ()
    nodes: pd.DataFrame | None = None
    timeline: Timeline | None = None
    alarms: tuple[AlarmRow, ...] = ()
    false_alarms_per_month: float | None = None
    service: Service | None = None
    versions: tuple[VersionRow, ...] = ()
    reasons: Reasons = field(default_factory=Reasons)
    outlook: Outlook | None = None
    sources: tuple[SourceFreshness, ...] = ()
    replayed: Replayed | None = None
    making: Making = field(default_factory=Making)
    reference: str = "the frozen base"
    place: str = "station"
    cell: tuple[float, float] | None = None
    channel_status: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    compared: pd.DataFrame | None = None


def with_columns(table: pd.DataFrame | None, columns: tuple[str, ...], needed: tuple[str, ...],
                 where: str) -> pd.DataFrame:
    """The table with exactly ``columns``, missing ones filled with NaN; no table is an empty one.

    Raises ``ReportError`` where one of ``needed`` is missing from a table that has rows.

    >>> with_columns(pd.DataFrame({"policy": ["frozen"]}), ("policy", "mae"), ("policy",), "policies").shape
    (1, 2)
    """
    if table is None or table.empty:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise ReportError(f"column {absent[0]!r} is missing", where=f"report, table of {where}",
                          expected="columns " + ", ".join(needed), remedy="name the column so")
    return table.reindex(columns=list(columns)).reset_index(drop=True)
