"""Sources of type ``files``: a file, a folder, or a pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from terracast.flows.settings.source import SourceContext
from terracast.flows.settings.table_source import TableSourceSettings

if TYPE_CHECKING:  # readers are imported by the verbs that read files
    from terracast.streams.sources import Source

READING = ("step", "anchor", "calendar", "time_zone", "kind", "delay", "known_time", "time", "node", "lat", "lon",
           "start", "sheet", "variable", "value")


class FilesSourceSettings(TableSourceSettings):
    """``path``: a file, a folder, or a pattern; the other keys say how it is read (``streams.readers.wanted``).

    By ``kind``: ``cell`` (degrees a side, of events and movers), ``event_type`` (a column whose values are variables),
    ``measure`` of movers (cells, flows or positions), ``coarsen`` (so many cells of a raster a side become one).
    """

    type: Literal["files"] = "files"
    path: str = Field(min_length=1)
    start: str | None = None
    sheet: str | None = None
    cell: float | None = Field(default=None, gt=0, le=90)
    event_type: str | None = None
    measure: Literal["cells", "flows", "positions"] = "cells"
    coarsen: int = Field(default=1, ge=1)

    def build(self, context: SourceContext) -> Source:
        """Watches the path; where no step is set, files are read by the stored clock: a few corrections show none."""
        if self.kind in ("event", "trajectory", "raster"):
            from terracast.flows.settings.kinds import kind_source

            return kind_source(self, context)
        from terracast.streams.sources import FilesSource

        reading: dict[str, object] = {name: value for name in READING if (value := getattr(self, name)) is not None}
        reading |= self.written()
        if context.stored_clock is not None and self.step is None:
            reading = {**context.stored_clock.attrs, **reading}
        reading |= {"variables": list(self.variables) or None, "units": self.units or None}
        return FilesSource(f"{self.domain}:{self.path}", self.domain, context.folder / self.path, reading,
                           clock=context.clock, root=context.folder)
