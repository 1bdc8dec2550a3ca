"""Sources of files whose rows or cells are no fixed stations: events, movers and rasters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terracast.flows.settings.source import SourceContext
from terracast.streams.errors import ReadError
from terracast.streams.sources.gathered import GatheredSource, RowTerms, counted
from terracast.streams.sources.rasters import RasterSource

if TYPE_CHECKING:
    from terracast.flows.settings.files_source import FilesSourceSettings
    from terracast.streams.readers.wanted import Wanted
    from terracast.streams.sources import Source


def kind_source(settings: FilesSourceSettings, context: SourceContext) -> Source:
    """The source of a kind that is no table of stations."""
    name, place = f"{settings.domain}:{settings.path}", context.folder / settings.path
    if settings.kind == "raster":
        from terracast.streams.kinds.raster_stream import raster_panels

        terms = _wanted(settings, context)
        return RasterSource(name, settings.domain, place,
                            lambda path: raster_panels(path, terms(path), settings.coarsen))
    return GatheredSource(name, settings.domain, place, partial(counted, row_terms(settings)), clock=context.clock,
                          separator=settings.separator, decimal=settings.decimal, encoding=settings.encoding)


def row_terms(settings: FilesSourceSettings) -> RowTerms:
    """How rows of events or movers are read."""
    from terracast.flows.settings.values import in_words

    return RowTerms(settings.domain, settings.kind, cell=settings.cell, measure=settings.measure,
                    step=None if settings.step is None else in_words(settings.step),
                    delay=None if settings.delay is None else in_words(settings.delay),
                    node=_one(settings.node, "node"), event_type=settings.event_type,
                    time=_one(settings.time, "time"), lat=settings.lat, lon=settings.lon,
                    reported=settings.known_time, zone=settings.time_zone, time_format=settings.time_format,
                    anchor=settings.anchor, variables=settings.variables)


def _one(columns: str | tuple[str, ...] | None, key: str) -> str | None:
    """A single column; several make one stamp in tables of stations alone."""
    if isinstance(columns, tuple):
        if len(columns) != 1:
            raise ReadError(f"{key} = {list(columns)}", where="[[sources]]", expected="one column, for this kind",
                            remedy=f"join them into one column, or name one: {key} = \"{columns[0]}\"")
        return columns[0]
    return columns


def _wanted(settings: FilesSourceSettings, context: SourceContext) -> Callable[[Path], Wanted]:
    from terracast.streams.readers.wanted import Wanted

    known = context.stored_clock if settings.step is None else None
    clock: Mapping[str, Any] = {} if known is None else known.attrs

    def of(path: Path) -> Wanted:
        step, anchor, calendar = (getattr(settings, name) or clock.get(name) for name in ("step", "anchor", "calendar"))
        return Wanted(where=path.name, domain=settings.domain, kind="raster", step=step, anchor=anchor,
                      calendar=calendar, delay=settings.delay, variables=settings.variables or None,
                      time=_one(settings.time, "time"), lat=settings.lat, lon=settings.lon, units=settings.units)

    return of
