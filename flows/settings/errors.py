"""Mistakes in a settings file as one line that names the key."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from terracast.streams.errors import TerracastError


class SettingsError(TerracastError):
    """A settings file that is missing, broken, or says something unknown."""


def first_mistake(error: ValidationError, path: Path) -> SettingsError:
    """The first mistake of a file that is TOML but not settings."""
    first = error.errors()[0]
    key, words = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    return SettingsError(f"{key}: {words}" if key else words, where=str(path),
                         expected="the keys that `terracast config show` prints",
                         remedy=f"mend {key or 'stream or [[sources]]'}")
