"""Who is told of what: the section ``[alerts]`` of a settings file."""

from __future__ import annotations

import os
import re
from datetime import datetime, time
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, field_validator

from terracast.flows.settings.values import Duration, Frozen

KINDS = ("drift", "data", "graph", "system")
"""Alarms of drift; data tickets and refused files; a changed causal graph; steps that fail or do not come."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://.+")
# What has no key in its address; of all others the key, at least, must come from the environment.
_OPEN = {"json", "jsons", "xml", "xmls", "form", "forms", "ntfy", "ntfys", "mailto", "mailtos", "syslog", "rsyslog"}
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def check_address(told: str) -> str:
    """``told``, or why it cannot be an address (``ValueError``)."""
    scheme = _SCHEME.fullmatch(told)
    if scheme is None and _VARIABLE.fullmatch(told) is None:
        raise ValueError(f"{told!r} is no address of Apprise: expected such as json://127.0.0.1:9000/hook, or $NAME")
    if scheme is not None and scheme[1] not in _OPEN and _VARIABLE.search(told) is None:
        raise ValueError(f"an address of {scheme[1]}:// holds a key: write $NAME in its place and set NAME in the "
                         "environment")
    return told


def filled(address: str) -> str:
    """The address with what the environment holds for its variables; ``LookupError`` names one that is not set.

    >>> import os; os.environ["MAIL_KEY"] = "a@b"
    >>> filled("mailtos://ann:$MAIL_KEY@example.org")
    'mailtos://ann:a%40b@example.org'
    """
    whole = _VARIABLE.fullmatch(address) is not None

    def held(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        value = os.environ.get(name, "")
        if not value:
            raise LookupError(f"the environment has no {name}")
        return value if whole else quote(value, safe="")

    return _VARIABLE.sub(held, address)


Address = Annotated[str, AfterValidator(check_address)]


class AlertSettings(Frozen):
    """Who is told of what, by Apprise's addresses; a part such as ``$NAME`` comes from the environment.

    ``to`` is told everything; ``drift``, ``data``, ``graph`` and ``system`` are told of their kind, too. ``digest``: an
    address gets one message in this time at most, and what comes meanwhile is in the next. ``quiet_hours``: when
    nothing is sent, such as ``22:00-07:00``, in the time zone of the stream. ``page``: the address of the page as
    people reach it, for the link in a message. ``picture``: whether a chart is attached.
    """

    to: tuple[Address, ...] = ()
    drift: tuple[Address, ...] = ()
    data: tuple[Address, ...] = ()
    graph: tuple[Address, ...] = ()
    system: tuple[Address, ...] = ()
    digest: Duration | None = None
    quiet_hours: str | None = None
    page: str | None = None
    picture: bool = True

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, told: str | None) -> str | None:
        if told is not None and _HOURS.fullmatch(told) is None:
            raise ValueError(f"{told!r} are no hours: expected such as 22:00-07:00")
        return told

    def addresses(self, kind: str) -> tuple[str, ...]:
        """Who is told of this kind, each once."""
        own: tuple[str, ...] = {"drift": self.drift, "data": self.data, "graph": self.graph,
                                "system": self.system}[kind]
        return tuple(dict.fromkeys((*self.to, *own)))

    @property
    def every_address(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(address for kind in KINDS for address in self.addresses(kind)))

    def is_quiet(self, at: datetime) -> bool:
        """Whether nothing is sent at this instant, given in the zone of the stream.

        >>> night = AlertSettings(quiet_hours="22:00-07:00")
        >>> [night.is_quiet(datetime(2024, 5, 1, hour)) for hour in (21, 22, 6, 7)]
        [False, True, True, False]
        """
        if self.quiet_hours is None:
            return False
        first, last = (time.fromisoformat(part) for part in self.quiet_hours.split("-"))
        now = at.time()
        return first <= now < last if first <= last else now >= first or now < last
