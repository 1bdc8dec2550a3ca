"""What sources of single rows share: messages, pushes and lines of a query are understood by ``Terms``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from terracast.flows.settings.source import SourceSettings
from terracast.flows.settings.values import Duration

if TYPE_CHECKING:
    from terracast.streams.sources import Terms

TERMS = ("kind", "variables", "units", "anchor", "calendar", "known_time", "delay", "time", "node", "lat", "lon",
         "time_zone", "stamps", "variable", "value")


class RowsSourceSettings(SourceSettings):
    """``step`` is needed, for a row shows none. ``stamps``: what becomes of a stamp beside the clock. ``variable`` and
    ``value``: the fields of a table with one row per variable."""

    step: Duration
    stamps: Literal["exact", "nearest", "floor"] = "nearest"
    variable: str | None = None
    value: str | None = None

    def terms(self) -> Terms:
        """How the rows are to be understood."""
        from terracast.streams.sources import Terms

        given = {name: value for name in TERMS if (value := getattr(self, name)) is not None}
        return Terms(self.domain, self.step, **given)
