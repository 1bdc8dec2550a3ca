"""Sources of files whose rows or cells are no fixed stations: events, movers and rasters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terracast.flows.settings.source import SourceContext
from terracast.streams.kinds.records import LAYOUT
from terracast.streams.sources.gathered import KEYS, GatheredSource, RowTerms, one_of
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
                            lambda path: raster_panels(path, terms(path), settings.coarsen), clock=context.clock,
                            root=context.folder)
    return GatheredSource(name, settings.domain, place, row_terms(settings), clock=context.clock,
                          layout={name: getattr(settings, name) for name in LAYOUT}, root=context.folder)


def row_terms(settings: FilesSourceSettings) -> RowTerms:
    """How rows of events or movers are read."""
    from terracast.flows.settings.values import in_words

    keys = {name: getattr(settings, name) for name in KEYS} | {"variables": settings.variables}
    for name in ("step", "delay"):
        keys[name] = None if keys[name] is None else in_words(keys[name])
    return RowTerms.of(settings.domain, settings.kind, keys)


def _wanted(settings: FilesSourceSettings, context: SourceContext) -> Callable[[Path], Wanted]:
    from terracast.streams.readers.wanted import Wanted

    known = context.stored_clock if settings.step is None else None
    clock: Mapping[str, Any] = {} if known is None else known.attrs

    def of(path: Path) -> Wanted:
        step, anchor, calendar = (getattr(settings, name) or clock.get(name) for name in ("step", "anchor", "calendar"))
        return Wanted(where=path.name, domain=settings.domain, kind="raster", step=step, anchor=anchor,
                      calendar=calendar, delay=settings.delay, variables=settings.variables or None,
                      time=one_of(settings.time, "time"), lat=settings.lat, lon=settings.lon, units=settings.units)

    return of
