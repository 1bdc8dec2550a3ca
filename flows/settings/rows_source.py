"""What sources of single rows share: messages, pushes and lines of a query are understood by ``Terms``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from terracast.flows.settings.table_source import TableSourceSettings
from terracast.flows.settings.values import Duration

if TYPE_CHECKING:
    from terracast.streams.sources import Terms

TERMS = ("kind", "variables", "units", "anchor", "calendar", "known_time", "delay", "time", "node", "lat", "lon",
         "time_zone", "stamps", "variable", "value", "unit")
ON_ARRIVAL = "arrival"


class RowsSourceSettings(TableSourceSettings):
    """``step`` is needed, for a row shows none. ``time = "arrival"``: a row is stamped when it arrives. ``stamps``:
    what becomes of a stamp beside the clock. ``unit``: the field of units. All keys of how a table in a file is
    written hold for rows, too."""

    step: Duration
    stamps: Literal["exact", "nearest", "floor"] = "nearest"
    unit: str | None = None

    def terms(self) -> Terms:
        """How the rows are to be understood."""
        from terracast.streams.sources import Terms

        given = {name: value for name in TERMS if (value := getattr(self, name)) is not None}
        if given.get("time") == ON_ARRIVAL:
            given["time"] = None
        return Terms(self.domain, self.step, **given, reading=self.written())
