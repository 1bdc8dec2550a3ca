"""What sources of rows and of files share: how a table of them is written (``streams.readers.wanted``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from terracast.flows.settings.source import SourceSettings

Columns = str | tuple[str, ...]
WRITTEN = ("wide", "time_format", "decimal", "thousands", "across", "missing", "suffix", "valid", "leave_out", "facts",
           "names", "convert", "below_limit", "separator", "encoding", "header", "first_row", "header_rows", "comment")


class TableSourceSettings(SourceSettings):
    """The keys of how a table is written, the same for a file, a message, a push and a query."""

    time: Columns | None = None  # type: ignore[assignment]  # several columns are read as one text
    node: Columns | None = None  # type: ignore[assignment]
    variable: str | None = None
    value: str | None = None
    wide: str | None = None
    time_format: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    separator: str | None = None
    encoding: str | None = None
    header: int | None = Field(default=None, ge=0)
    first_row: int | None = Field(default=None, ge=1)
    header_rows: int | None = Field(default=None, ge=1, le=2)
    comment: str | None = None
    across: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    names: dict[str, str] = Field(default_factory=dict)
    convert: dict[str, str] = Field(default_factory=dict)
    below_limit: Literal["half", "missing"] | None = None

    def written(self) -> dict[str, object]:
        """How a table is written, as options of ``streams.readers.read``; only what is set."""
        return {name: value for name in WRITTEN if (value := getattr(self, name)) not in (None, (), {})}
