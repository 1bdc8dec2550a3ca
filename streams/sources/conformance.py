"""What every source must keep, as tests to inherit: no row lost, none counted twice, whatever happens in between.

It needs pytest, which Terracast itself does not.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from terracast.streams.sources import IngestAnswer, Source, drain, ingest_from
from terracast.streams.store import Store

END = np.datetime64("2100-01-01")


class SourceRow(NamedTuple):
    """One observation of the variable ``no2``."""

    time: str
    node: str
    value: float


def rows(first: int, stop: int) -> list[SourceRow]:
    """Two nodes, an hour each from 2020-01-01 on."""
    start = np.datetime64("2020-01-01T00:00", "m")
    return [SourceRow(str(start + np.timedelta64(hour, "h")), node, hour + place / 2)
            for hour in range(first, stop) for place, node in enumerate("ab")]


class KilledError(Exception):
    """The process ends here."""


class SourceConformance(ABC):
    """Inherit it in a test module, as ``class TestMine(SourceConformance)``; say how the source is made and fed.

    Attributes
    ----------
    folder : Path
        Fixture: an empty folder. It is the only thing that a source may share with an earlier one.
    """

    @abstractmethod
    def source(self, folder: Path) -> Source:
        """The source as a new process makes it; its domain has hourly stamps."""

    @abstractmethod
    def put(self, folder: Path, new: Sequence[SourceRow]) -> None:
        """Rows appear outside, where the source looks."""

    @abstractmethod
    def put_unreadable(self, folder: Path) -> None:
        """Something appears that cannot be read."""

    def look(self, folder: Path) -> tuple[IngestAnswer, ...]:
        """A new process takes what is new."""
        return drain([self.source(folder)], self.store(folder))

    def store(self, folder: Path) -> Store:
        return Store.open(folder / "store")

    def held(self, folder: Path) -> dict[tuple[str, str], float]:
        """What the store holds, by stamp and node."""
        view, domain = self.store(folder).read(), self.source(folder).domain
        if domain not in view.domains:
            return {}
        table = view.as_known_at(domain, END)["no2"].to_series().dropna()
        return {(str(np.datetime64(time, "m")), str(node)): float(value) for (time, node), value in table.items()}

    def test_every_row_arrives_once(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        answers = self.look(tmp_path)
        assert sum(one.new for one in answers) == 10 and not any(one.refused for one in answers)
        assert self.held(tmp_path) == {(one.time, one.node): one.value for one in rows(0, 5)}

    def test_where_nothing_is_new_nothing_is_taken(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        self.look(tmp_path)
        assert sum(one.new + one.late + one.revised + one.duplicate for one in self.look(tmp_path)) == 0

    def test_the_cursor_is_json_and_the_next_look_goes_on_from_it(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        self.look(tmp_path)
        with self.store(tmp_path).transaction("look at the cursor") as step:
            cursor = step.cursor(self.source(tmp_path).name)
        assert cursor is not None and json.loads(json.dumps(dict(cursor))) == dict(cursor)
        self.put(tmp_path, rows(5, 8))
        assert sum(one.new for one in self.look(tmp_path)) == 6
        assert len(self.held(tmp_path)) == 16

    def test_killed_before_the_commit_nothing_is_lost(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        with pytest.raises(KilledError), self.store(tmp_path).transaction("ingest") as step:
            ingest_from(self.source(tmp_path), step)
            raise KilledError
        assert self.held(tmp_path) == {}
        assert sum(one.new for one in self.look(tmp_path)) == 10

    def test_killed_after_the_commit_nothing_counts_twice(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        with self.store(tmp_path).transaction("ingest") as step:
            ingest_from(self.source(tmp_path), step)  # and the source is never told
        self.put(tmp_path, rows(5, 6))
        assert sum(one.new + one.revised for one in self.look(tmp_path)) == 2
        assert len(self.held(tmp_path)) == 12

    def test_rows_that_come_late_are_taken(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(5, 8))
        self.look(tmp_path)
        self.put(tmp_path, rows(0, 2))
        assert sum(one.new + one.late for one in self.look(tmp_path)) == 4
        assert len(self.held(tmp_path)) == 10

    def test_what_cannot_be_read_is_counted_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        self.put(tmp_path, rows(0, 5))
        self.put_unreadable(tmp_path)
        answers = self.look(tmp_path)
        told = [one for one in answers if one.refused or sum(one.rejected.values())]
        assert told and all("\n" not in (one.refused or "") for one in told)
        assert len(self.held(tmp_path)) == 10
        self.put(tmp_path, rows(5, 6))
        self.look(tmp_path)
        assert len(self.held(tmp_path)) == 12

    def test_a_closed_source_opens_again(self, tmp_path: Path) -> None:
        source, store = self.source(tmp_path), self.store(tmp_path)
        self.put(tmp_path, rows(0, 2))
        drain([source], store)
        source.close()
        self.put(tmp_path, rows(2, 4))
        assert sum(one.new for one in drain([source], store)) == 4 and not source.more

    def test_the_name_of_the_cursor_stays(self, tmp_path: Path) -> None:
        assert self.source(tmp_path).name == self.source(tmp_path).name != ""
