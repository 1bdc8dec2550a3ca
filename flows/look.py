"""``terracast look``: what a file holds, as it is understood; ``init`` and ``add`` begin with the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from terracast.flows.cli.reading_options import pairs_of
from terracast.flows.settings import SettingsError
from terracast.flows.settings.clock import as_of
from terracast.flows.settings.names import as_domain, domain_name
from terracast.streams.errors import ReadError
from terracast.streams.printable import printable
from terracast.streams.schema.file_schema import FileSchema, look_into


def understood(path: Path, reading: Mapping[str, Any], own: str | None = None, target: str | None = None) -> FileSchema:
    """The file as understood, with the options that were typed; on a terminal what must be decided is asked.

    ``own``: the domain of the target, where it is not said with ``--domain NAME``.
    """
    given, domains, said = _given(reading)
    own = said or own or as_domain(path.stem)
    schema = look_into(path, own, given, target=target, domains=domains, latest=as_of(None))
    while schema.undecided and _is_terminal():
        doubt = schema.undecided[0]
        option = doubt.option.partition(" ")[0]
        proposed = doubt.option.partition(" ")[2].partition(" or --")[0].strip('"')
        answer = typer.prompt(f"{printable(doubt.what)}\n{printable(option)}", default=printable(proposed))
        given = {**given, option.removeprefix("--").replace("-", "_"): answer}
        schema = look_into(path, own, given, target=target, domains=domains, latest=as_of(None))
    return schema


def _is_terminal() -> bool:
    """Whether somebody can be asked: never in a pipe."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def refuse_undecided(schema: FileSchema) -> None:
    """Raise ``ReadError`` where something must be decided first."""
    if schema.undecided:
        doubt = schema.undecided[0]
        raise ReadError(doubt.what, where=schema.path.name, expected="a word on which it is",
                        remedy=f"say it with {doubt.option}")


def look(path: Path, reading: Mapping[str, Any], out: Path | None = None) -> FileSchema:
    """Understand a file and, with ``out``, write its panels as NetCDF: one file, or one per domain."""
    schema = understood(path, reading)
    if out is None:
        return schema
    refuse_undecided(schema)
    for place, source in enumerate(schema.sources):
        target = out if place == 0 else out.with_stem(f"{out.stem}-{source.domain}")
        panel = source.panel.copy()
        for name in panel.data_vars:
            panel[name].encoding = {"zlib": True}
        panel.attrs["time_zone"] = "UTC"
        panel.to_netcdf(target)
    return schema


def _given(reading: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], str | None]:
    """Typed options as options of reading, the domains of variables, and that of the file."""
    given = dict(reading)
    domains, own = pairs_of("domain", given.pop("domain", ()))
    for name in (*domains.values(), *filter(None, (own,))):
        try:
            domain_name(name)
        except ValueError as error:
            raise SettingsError(str(error), where="--domain", expected="letters, digits, - and _",
                                remedy="name another domain") from None
    units, column = pairs_of("unit", given.pop("unit", ()))
    names, _ = pairs_of("names", given.pop("names", ()))
    convert, _ = pairs_of("convert", given.pop("convert", ()))
    given |= {"convert": convert or None, "units": units or None, "unit_column": column, "names": names or None}
    for axis in ("time", "node"):
        if len(given.get(axis) or ()) == 1:
            given[axis] = given[axis][0]
    if "variables" in given:
        given["variables"] = [one.strip() for text in given["variables"] for one in text.split(",")]
    return {name: value for name, value in given.items() if value is not None}, domains, own
