"""The options that say how a file is read, shared by ``look``, ``init`` and ``add``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer

from terracast.flows.settings import SettingsError

# Option, how it is typed, and what it says. Each is a key of a source of type files.
ONE = {
    "time_format": "How stamps are written, such as '%d.%m.%Y %H:%M'.",
    "time_zone": "Where stamps without an offset are local time, such as Europe/Berlin.",
    "decimal": "The decimal mark: . or ,", "thousands": "The mark between groups of digits.",
    "separator": "What parts the fields; ' ' is one or more spaces.",
    "encoding": "The encoding of the text.", "comment": "How lines begin that are no rows.",
    "sheet": "The sheet of a workbook.", "wide": "Each column is a place; the name of what they measure.",
    "variable": "The column that names what is measured, in a table with a row per variable.",
    "value": "The column that holds its value.", "lat": "The column of latitudes, degrees.",
    "lon": "The column of longitudes, degrees.", "kind": "sensor, raster, point, trajectory or event.",
    "cell": "Of events and movers: degrees a side of a cell.",
    "event_type": "Of events: a column, each of whose values is a variable.",
    "measure": "Of movers: cells, flows or positions.",
    "step": "Time between two stamps of a place, such as 1h.", "anchor": "One stamp of the clock, UTC.",
    "calendar": "month, or a time zone whose days are counted.",
    "start": "With --step: the first stamp of a table without a time column.",
    "known_time": "The column that says when a row was known.",
    "delay": "How long after its stamp a value is known; default one step.",
    "below_limit": "What <0.5 becomes: half (of it) or missing.",
}
NUMBERS = {"coarsen": "Of a raster: so many cells a side become one.",
           "header": "The line of the header; 0: there is none.", "first_row": "The line of the first row.",
           "header_rows": "How many lines the header has: 1 or 2."}
MANY = {
    "time": "The column of the time; repeat it where several make one stamp.",
    "node": "The column that names the place; may be repeated.",
    "variables": "A column that is read; may be repeated. Default: all of numbers.",
    "across": "What names of columns hold whose cells are one quantity, such as 'H{hour}'; may be repeated.",
    "missing": "What stands for no value, -999 or pm10=-999; may be repeated.",
    "valid": "Which rows are observations, flag=V; may be repeated.",
    "suffix": "What may stand behind a number in its cell, such as '*'; may be repeated.",
    "facts": "A column that says something of a place which does not change; may be repeated.",
    "leave_out": "A column that is not read; may be repeated.",
    "unit": "VARIABLE=UNIT, or the column of units; may be repeated.",
    "convert": "VARIABLE=UNIT, the unit that values are converted to; may be repeated.",
    "names": "COLUMN=NAME, another name for a variable; may be repeated.",
    "domain": "VARIABLE=DOMAIN, or the domain of the whole file; may be repeated.",
}


def with_reading_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with all options of reading, which it gets as one mapping ``reading``.

    >>> def show(reading): return reading
    >>> with_reading_options(show)(time_zone="UTC", missing=["-999"], unit=["x=m"])
    {'missing': ['-999'], 'unit': ['x=m'], 'time_zone': 'UTC'}
    """
    signature = inspect.signature(verb, eval_str=True)
    own = [one for name, one in signature.parameters.items() if name != "reading"]
    shared = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[
        kind, typer.Option(f"--{name.replace('_', '-')}", help=words, show_default=False)])
        for held, kind in ((MANY, list[str] | None), (ONE, str | None), (NUMBERS, int | None))
        for name, words in held.items()]

    @wraps(verb)
    def run(**typed: Any) -> Any:
        reading = {one.name: value for one in shared if (value := typed.pop(one.name, None)) not in (None, [])}
        return verb(**typed, reading=reading)

    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    return run


def pairs_of(option: str, typed: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """What was typed as NAME=VALUE, and what was typed without a name.

    >>> pairs_of("domain", ["rain=weather", "air"])
    ({'rain': 'weather'}, 'air')
    """
    pairs, single = {}, None
    for text in typed:
        name, sign, value = text.rpartition("=")
        if sign and not (name and value):
            raise SettingsError(f"--{option} {text}", where=f"--{option}", expected="NAME=VALUE", remedy="mend it")
        if sign:
            pairs[name.strip()] = value.strip()
        else:
            single = text.strip()
    return pairs, single
