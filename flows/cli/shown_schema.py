"""A file as it was understood, to a person: variables, clock, places, what was left out, and what is doubtful."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from terracast.flows.settings import in_words
from terracast.flows.terminal.output import say, table_lines
from terracast.streams.schema.file_schema import FileSchema, SourceSchema

NAMED = 6  # places that are named
WIDTH = 100
MAP_ROWS, MAP_COLUMNS = 10, 60
FEWEST_ON_MAP = 3


def say_schema(schema: FileSchema) -> None:
    """Print what was understood."""
    for note in schema.notes:
        say(note)
    for source in schema.sources:
        say(f"{schema.path.name}: domain {source.domain}, {clock_words(source)}")
        for line in table_lines(("variable", "units", "missing", "least", "most"), list(_variables(source)), left=2,
                                width=WIDTH):
            say(f"  {line}")
        say(f"  {_places(source)}")
        for line in places_map(source):
            say(f"  {line}")
    rows = schema.sources[0].rows
    lost = "".join(f", {count} rejected ({why})" for why, count in rows.rejected.items())
    say(f"rows: {rows.read} read{lost}" + (f", {rows.missing} without a value" if rows.missing else ""))
    why = dict(schema.sources[0].why)
    told = [f"{name} = {_short(value)}   {why[name]}" for name, value in schema.sources[0].options.items()
            if why.get(name) and name not in ("variables", "step", "anchor", "calendar")]
    if told:
        say("read with:")
        for line in told:
            say(f"  {line}")
    if schema.left_out:
        say("left out:")
        for one in schema.left_out:
            say(f"  {one.column}: {one.why}")
    if schema.doubts:
        say("in doubt, and the option that decides it:")
        for doubt in schema.doubts:
            say(f"  {doubt.what}: {doubt.option}")


def clock_words(source: SourceSchema) -> str:
    """Steps, step, span and zone of a source."""
    time = source.panel["time"].values
    zone = source.options.get("time_zone")
    held = f"read from {zone}" if zone else "UTC"
    return (f"{len(time)} steps of {in_words(source.step)}, {_stamp(time[0])} to {_stamp(time[-1])} ({held})")


def _variables(source: SourceSchema) -> Iterable[tuple[str, ...]]:
    for name in map(str, source.panel.data_vars):
        values = source.panel[name].values
        known = values[np.isfinite(values)]
        least, most = (f"{known.min():.6g}", f"{known.max():.6g}") if known.size else ("–", "–")
        share = f"{np.isnan(values).mean():.1%}".replace("%", " %")
        yield name, str(source.panel[name].attrs["units"]), share, least, most


def _places(source: SourceSchema) -> str:
    nodes = source.panel["node"].values
    named = ", ".join(map(str, nodes[:NAMED])) + (f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else "")
    lat = source.panel.coords.get("lat")
    if lat is None or not np.isfinite(lat.values).any():
        return f"{len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}: {named}"
    lon = source.panel["lon"].values
    return (f"{len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}: {named}; latitude {np.nanmin(lat.values):.4g} to "
            f"{np.nanmax(lat.values):.4g}, longitude {np.nanmin(lon):.4g} to {np.nanmax(lon):.4g}")


def places_map(source: SourceSchema) -> list[str]:
    """Where fixed places lie, north above: o for one, a number for several; nothing for fewer than three."""
    lat, lon = (source.panel.coords.get(name) for name in ("lat", "lon"))
    if lat is None or lon is None or lat.dims != ("node",):
        return []
    held = np.isfinite(lat.values) & np.isfinite(lon.values)
    y, x = lat.values[held], lon.values[held]
    if len(y) < FEWEST_ON_MAP or np.ptp(y) + np.ptp(x) == 0:
        return []
    middle = np.cos(np.deg2rad(np.mean(y)))
    across, along = max(np.ptp(x) * middle, 1e-9), max(np.ptp(y), 1e-9)
    columns = int(np.clip(2 * MAP_ROWS * across / along, 8, MAP_COLUMNS))
    rows = int(np.clip(columns * along / across / 2, 3, MAP_ROWS))
    counts = np.zeros((rows, columns), int)
    np.add.at(counts, (((y.max() - y) / along * (rows - 1)).round().astype(int),
                       ((x - x.min()) * middle / across * (columns - 1)).round().astype(int)), 1)
    signs = np.array([*".o", *map(str, range(2, 10))])[np.minimum(counts, 9)]
    return ["".join(row) for row in signs]


def _stamp(stamp: np.datetime64) -> str:
    text = str(pd.Timestamp(stamp))
    return text.removesuffix(":00") if text.endswith(":00") else text


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
