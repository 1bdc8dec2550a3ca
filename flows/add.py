"""``terracast add``: another file, with its own domain, clock and delay, as further sources of a stream."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from terracast.flows.init import source_lines
from terracast.flows.look import refuse_undecided, understood
from terracast.flows.settings import Settings, SettingsError, read_settings
from terracast.streams.schema.domains import WEATHER, side_of_all
from terracast.streams.schema.file_schema import FileSchema


def as_further(path: Path, reading: Mapping[str, Any]) -> FileSchema:
    """A file as understood, as a further one: its own domain is weather where it holds nothing else, else its name."""
    schema = understood(path, reading)
    first, *others = schema.sources
    named = any("=" not in text for text in reading.get("domain", ()))
    if named or not side_of_all(first.panel):
        return schema
    return replace(schema, sources=(replace(first, domain=WEATHER), *others))


def add_source(config: Path, schema: FileSchema, reading: Mapping[str, Any]) -> list[str]:
    """Write the file's sources at the end of the settings; returns their domains.

    Raises ``SettingsError`` where the settings would not be sound, or a domain has another step there.
    """
    settings = read_settings(config)
    refuse_undecided(schema)
    for source in schema.sources:
        _refuse_other_step(settings, source.domain, source.step, config)
    lines = "".join(source_lines(schema, source, config.parent, reading.get("delay")) for source in schema.sources)
    text = config.read_text(encoding="utf-8").rstrip("\n") + "\n" + lines
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / config.name
        trial.write_text(text, encoding="utf-8")
        read_settings(trial)
    config.write_text(text, encoding="utf-8")
    return [source.domain for source in schema.sources]


def _refuse_other_step(settings: Settings, domain: str, step: Any, config: Path) -> None:
    for held in settings.sources:
        if held.domain == domain and held.step is not None and held.step != step:
            raise SettingsError(f"domain {domain} has steps of {held.step}, the file of {step}", where=str(config),
                                expected="one step in a domain", remedy="name another: --domain NAME")
