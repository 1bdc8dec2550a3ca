"""Sources of type ``sql``: rows of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from terracast.flows.settings.rows_source import RowsSourceSettings
from terracast.flows.settings.source import SourceContext
from terracast.flows.settings.values import Duration

if TYPE_CHECKING:
    from terracast.streams.sources.sql import SqlSource


class SqlSourceSettings(RowsSourceSettings):
    """``url`` (or ``$NAME`` of the environment), the growing ``column``, and ``table`` or ``query``."""

    type: Literal["sql"] = "sql"
    url: str = Field(min_length=1)
    column: str = Field(min_length=1)
    table: str | None = None
    query: str | None = None
    overlap: int | Duration = 0

    def build(self, context: SourceContext) -> SqlSource:
        """The table or query, read on from where it was."""
        from terracast.streams.sources.sql import SqlSource

        return SqlSource(f"{self.domain}:sql:{self.table or self.column}", self.terms(), self.url, self.column,
                         context.clock, table=self.table, query=self.query, overlap=self.overlap)
