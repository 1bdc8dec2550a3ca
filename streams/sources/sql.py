"""Rows of a database, incremental by a column: any SQLAlchemy URL.

The column is an id that grows or a stamp of the last change. A transaction of the writers may end after another
that began later, so a look goes back by ``overlap`` and leaves out what it has taken already: the cursor holds the
digests of the rows within the overlap. Choose it longer than the longest transaction of the writers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote, quote_plus

import numpy as np
import pandas as pd
import sqlalchemy as sql

from terracast.streams.sources.contract import Cursor, SourceBatch, SourceError
from terracast.streams.sources.panels import arranged
from terracast.streams.sources.reports import Arrival, reports_of_rows
from terracast.streams.sources.rows import Terms

Place = int | float | str | datetime
_SECRET = re.compile("pass|pwd|token|secret|key", re.IGNORECASE)  # names of parameters of an address


class SqlSource:
    """A table (``table``, with its schema before a dot) or a query (``query``), read on from where it was.

    ``url``: a SQLAlchemy URL, or ``$NAME`` for the one that the environment variable NAME holds; a password belongs
    there or where the driver looks (``PGPASSWORD``, ``~/.pgpass``), and shows in no error and no repr. ``column``:
    the growing one. ``overlap``: how far a look goes back, in the column's units or a duration. ``most``: rows a
    transaction takes. Rows whose column is NULL are never seen; the first look says so.
    """

    def __init__(self, name: str, terms: Terms, url: str, column: str, clock: Callable[[], np.datetime64], *,
                 table: str | None = None, query: str | None = None, overlap: int | pd.Timedelta = 0,
                 most: int = 200_000, batch: int = 50_000) -> None:
        if (table is None) == (query is None):
            raise SourceError("both or none of table and query are given", where=name, expected="one of them",
                              remedy="name the table, or give a query")
        self.name, self.domain, self.terms = name, terms.domain, terms
        self._url, self._column, self._clock, self._overlap = _resolved(url, name), column, clock, overlap
        self._table, self._query, self._most, self._batch = table, query, most, batch
        self._engine: sql.Engine | None = None
        self._more = False

    def __repr__(self) -> str:
        return f"SqlSource({self.name!r}, {self._where})"

    @property
    def _where(self) -> str:
        return self._url.set(query={}).render_as_string(hide_password=True)  # a query may hold a password, too

    @property
    def more(self) -> bool:
        """Whether the last look ended at its limit."""
        return self._more

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """The rows since the cursor, in the column's order, ``batch`` rows at a time."""
        try:
            with self._opened().connect() as connection:
                yield from self._pieces(connection, cursor)
        except sql.exc.SQLAlchemyError as failed:
            raise self._error(failed) from None

    def committed(self) -> None:
        """The database is only read: it need not know."""

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> sql.Engine:
        if self._engine is None:
            try:
                self._engine = sql.create_engine(self._url, pool_pre_ping=True, hide_parameters=True)
            except (sql.exc.SQLAlchemyError, ImportError) as failed:
                raise self._error(failed) from None
        return self._engine

    def _pieces(self, connection: sql.Connection, cursor: Cursor | None) -> Iterator[SourceBatch]:
        last = None if cursor is None else _from_json(cursor["last"])
        seen = {} if cursor is None else {mark: _from_json(at) for mark, at in cast("list[list[Any]]", cursor["seen"])}
        if cursor is None and (missing := self._without_column(connection)):
            yield SourceBatch(self.domain, None, None, self.name, notes=(
                f"{missing} rows have no {self._column}: they are never read",))
        taken, self._more = 0, False
        options = {"stream_results": True, "yield_per": self._batch}
        answer = connection.execution_options(**options).execute(self._statement(last))
        for rows in cast("Iterator[Sequence[Mapping[str, Any]]]", answer.mappings().partitions()):
            fresh: list[Mapping[str, Any]] = []
            self._check_columns(rows[0])
            for row in rows:
                mark = _mark(row)
                if mark not in seen:
                    seen[mark] = row[self._column]
                    fresh.append(row)
            if not fresh:
                continue
            newest = rows[-1][self._column]
            last = newest if last is None or _not_before(newest, last) else last
            floor = _before(last, self._overlap)
            seen = {mark: at for mark, at in seen.items() if _not_before(at, floor)}
            after = {"last": _to_json(last), "seen": [[mark, _to_json(at)] for mark, at in seen.items()]}
            yield from self._batches_of(fresh, after)
            taken += len(fresh)
            if taken >= self._most:
                self._more = True
                return

    def _batches_of(self, rows: Sequence[Mapping[str, Any]], after: Cursor) -> Iterator[SourceBatch]:
        now, aside = self._clock(), {self._column} - {*_axes(self.terms), *self.terms.variables}
        said = reports_of_rows([
            Arrival({name: value for name, value in row.items() if name not in aside}, now,
                    f"{self._column} {row[self._column]}") for row in rows], self.terms)
        reports = said.reports
        pieces, item = arranged(reports, self.terms), f"{self.name} to {self._column} {after['last']}"
        for panel in pieces.panels:
            yield SourceBatch(self.domain, panel, None, item)
        yield SourceBatch(self.domain, None, after, item, rejected=said.rejected | pieces.rejected,
                          duplicate=pieces.repeated, notes=tuple(map(str, said.faults[:3])))

    def _check_columns(self, row: Mapping[str, Any]) -> None:
        terms, usual = self.terms, {"time", "node"}  # those may be plainly named in another way
        measured = terms.variables if terms.variable is None else (terms.variable, terms.value)
        made = bool(terms.reading.get("across"))  # of the names of columns
        for name in (self._column, *_axes(terms), *measured):
            if name not in row and name not in usual and not made:
                raise SourceError(f"no column {name!r}", where=self._where, expected="one of " + ", ".join(row),
                                  remedy="correct the source's settings")

    def _rows(self) -> tuple[Any, Any]:
        column: Any = sql.column(self._column)
        if self._query is not None:
            return sql.text(f"({self._query.strip().rstrip(';')}) AS terracast_rows"), column
        schema, _, table = str(self._table).rpartition(".")
        return sql.table(table, schema=schema or None), column

    def _statement(self, last: Place | None) -> Any:
        rows, column = self._rows()
        statement = sql.select(sql.text("*")).select_from(rows)
        if last is None:
            statement = statement.where(column.is_not(None))
        else:
            statement = statement.where(column >= _before(last, self._overlap))
        return statement.order_by(column)

    def _without_column(self, connection: sql.Connection) -> int:
        rows, column = self._rows()
        return int(connection.execute(sql.select(sql.func.count()).select_from(rows)
                                      .where(column.is_(None))).scalar_one())

    def _error(self, failed: Exception) -> SourceError:
        words = " ".join(str(getattr(failed, "orig", None) or failed).split())
        held = [str(self._url.password or ""), *(str(value) for key, value in self._url.query.items()
                                                 if _SECRET.search(key))]
        for secret in filter(None, held):
            for written in (secret, quote(secret, safe=""), quote_plus(secret)):
                words = words.replace(written, "***")
        missing = isinstance(failed, ImportError | sql.exc.NoSuchModuleError)
        return SourceError(f"the database cannot be read ({words[:200]})", where=self._where,
                           expected="a database and table to read",
                           remedy=f"install the driver of {self._url.drivername}" if missing
                           else "check address and rights; the next look tries again")


def _resolved(url: str, name: str) -> sql.URL:
    text = url
    if url.startswith("$"):
        text = os.environ.get(url[1:], "")
        if not text:
            raise SourceError(f"the environment has no {url[1:]}", where=name, expected="a SQLAlchemy URL in it",
                              remedy=f"set {url[1:]}")
    try:
        resolved = sql.make_url(text)
    except (sql.exc.ArgumentError, ValueError):  # its message holds the text: a password must not show
        raise SourceError("the URL is none", where=name, expected="e.g. postgresql+psycopg://user@host/database",
                          remedy="correct it; signs such as @ in a password are written %40") from None
    file = resolved.database
    if resolved.get_backend_name() == "sqlite" and file and file != ":memory:" and not os.path.exists(file):
        raise SourceError("no such database file", where=file, expected="a SQLite file", remedy="check the path")
    return resolved


def _axes(terms: Terms) -> list[str]:
    node = () if "wide" in terms.reading else terms.node
    given = (terms.time, node, terms.known_time)
    return [name for one in given if one for name in ((one,) if isinstance(one, str) else one)]


def _mark(row: Mapping[str, Any]) -> str:
    """A row's digest: any change of it is a new row."""
    return hashlib.sha256(repr(tuple(row.items())).encode()).hexdigest()[:16]


def _before(last: Place, overlap: int | pd.Timedelta) -> Place:
    """The place that a look goes back to. Texts (SQLite) are compared as texts, in the form they come in."""
    if isinstance(overlap, pd.Timedelta):
        if isinstance(last, datetime):
            return last - overlap.to_pytimedelta()
        if isinstance(last, str):
            back = datetime.fromisoformat(last).replace(tzinfo=None) - overlap.to_pytimedelta()
            return back.isoformat(sep=last[10] if len(last) > 10 else " ", timespec="seconds")[:len(last)]
        return last - overlap.total_seconds()
    if isinstance(last, datetime):
        return last - timedelta(seconds=overlap)
    return last if isinstance(last, str) else last - overlap


def _not_before(at: Place, floor: Place) -> bool:
    place: Any = at  # both come from one column: they are of one type
    return bool(place >= floor)


def _to_json(at: Place) -> object:
    if isinstance(at, datetime):
        return {"stamp": (at.astimezone(UTC) if at.tzinfo else at).isoformat()}
    return int(at) if isinstance(at, Decimal) else at


def _from_json(at: Any) -> Place:
    return datetime.fromisoformat(at["stamp"]) if isinstance(at, dict) else at
