"""The sources that need no server keep the contract."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from terracast.streams.sources import FilesSource, Source, Terms
from terracast.streams.sources.conformance import SourceConformance, SourceRow
from terracast.streams.sources.inbox import Inbox, InboxSource
from terracast.streams.sources.sql import SqlSource

TERMS = Terms("air", pd.Timedelta("1h"), delay=pd.Timedelta("1h"))
NOW = np.datetime64("2020-03-01", "ns")


class TestFilesSource(SourceConformance):
    def source(self, folder: Path) -> Source:
        return FilesSource("files", "air", folder / "in", {"step": "1h", "delay": "1h"}, clock=lambda: NOW)

    def put(self, folder: Path, new: Sequence[SourceRow]) -> None:
        (folder / "in").mkdir(exist_ok=True)
        lines = ["time,node,no2", *(f"{one.time},{one.node},{one.value}" for one in new)]
        (folder / "in" / f"{new[0].time[:13]}.csv").write_text("\n".join(lines) + "\n")

    def put_unreadable(self, folder: Path) -> None:
        (folder / "in" / "odd.csv").write_text("nothing\nof any\nuse\n")


class TestInboxSource(SourceConformance):
    def source(self, folder: Path) -> Source:
        return InboxSource("push", TERMS, folder / "inbox")

    def put(self, folder: Path, new: Sequence[SourceRow]) -> None:
        told = [{"time": one.time, "node": one.node, "no2": one.value} for one in new]
        self.keep(folder, json.dumps(told).encode())

    def put_unreadable(self, folder: Path) -> None:
        self.keep(folder, b"[")

    def keep(self, folder: Path, body: bytes) -> None:
        header = {"received": int(NOW.astype(np.int64)), "content_type": "application/json"}
        Inbox(folder / "inbox").keep(hashlib.sha256(body).hexdigest()[:32], header, body)


class TestSqlSource(SourceConformance):
    def source(self, folder: Path) -> Source:
        self.table(folder, [])
        return SqlSource("sql", TERMS, f"sqlite:///{folder / 'air.db'}", "id", lambda: NOW, table="reports")

    def put(self, folder: Path, new: Sequence[SourceRow]) -> None:
        self.table(folder, new)

    def put_unreadable(self, folder: Path) -> None:
        self.table(folder, [SourceRow("soon", "a", 1.0)])

    def table(self, folder: Path, new: Sequence[SourceRow]) -> None:
        with closing(sqlite3.connect(folder / "air.db")) as database, database:
            database.execute("create table if not exists reports "
                             "(id integer primary key, time text, node text, no2 real)")
            database.executemany("insert into reports (time, node, no2) values (?, ?, ?)", new)
