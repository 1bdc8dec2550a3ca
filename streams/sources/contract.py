"""The contract of a source: batches out, its last cursor in; data and cursor are one transaction of the store.

At-least-once in, exactly-once kept: a source may hand the same reports over again after a kill, the cursor and the
store's own rules see to it that they count once. What a source must tell the outside (acknowledge a message, delete
a file of an inbox) it tells in ``committed``, which is called only when the transaction is in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import xarray as xr

from terracast.streams.errors import PanelError, TerracastError
from terracast.streams.ingest import Ingested
from terracast.streams.store import Store, Transaction

Cursor = Mapping[str, object]


class SourceError(TerracastError):
    """A source that cannot be reached or was set up wrongly; nothing is lost, the next look tries again."""


@dataclass(frozen=True)
class SourceBatch:
    """A piece of a source: a panel with ``known_time``, and the cursor that holds once it is in the store.

    ``panel`` None: nothing to keep (``refused`` says why, or only the cursor moves). ``cursor`` None: more of the
    same piece follows. ``item`` names the piece for people. Before the store ``read`` rows became reports, or were
    ``rejected``, ``missing`` (no value), ``duplicate``, or ``joined`` to another row of their stamp and node.
    ``arrived``: from when on a value that differs from the stored one is known, where it says no later time itself.
    """

    domain: str
    panel: xr.Dataset | None
    cursor: Cursor | None
    item: str
    refused: str | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    duplicate: int = 0
    read: int = 0
    missing: int = 0
    joined: int = 0
    notes: tuple[str, ...] = ()
    arrived: np.datetime64 | None = None


class Source(Protocol):
    """Where data come from."""

    @property
    def name(self) -> str:
        """The name of its cursor in the store; unique in a workspace and the same for ever."""
        ...

    @property
    def domain(self) -> str:
        """The domain it feeds."""
        ...

    @property
    def more(self) -> bool:
        """Whether the last look ended at a limit, so that another at once will find more."""
        ...

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """What is new since ``cursor`` (None: all there is). Raises ``SourceError`` where it cannot be reached."""
        ...

    def committed(self) -> None:
        """All batches handed over so far are in the store."""
        ...

    def close(self) -> None:
        """Let go of connections; ``batches`` opens them again."""
        ...


@dataclass(frozen=True)
class IngestAnswer:
    """What became of one piece of a source: rows by fate, or the one line why it was refused.

    Of a file, ``read`` rows are new, late, duplicate, revised, rejected, missing (they hold no value) or joined
    (another variable of a stamp and node that a row spoke of already). In a table with a column per node each value
    is a row.
    """

    source: str
    domain: str
    item: str
    new: int = 0
    late: int = 0
    duplicate: int = 0
    revised: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    refused: str | None = None
    notes: tuple[str, ...] = ()
    read: int = 0
    missing: int = 0
    joined: int = 0


def ingest_from(source: Source, step: Transaction) -> tuple[IngestAnswer, ...]:
    """Ingest what is new in a source and set its cursor, all in the transaction given.

    Call ``source.committed()`` after the transaction's with block has ended well (``drain`` does both). A panel
    that the store refuses is answered with the reason and passed by: its cursor moves on. A source that cannot be
    reached is answered likewise; what came before stays, with its cursor.
    """
    answers: list[IngestAnswer] = []
    pieces = source.batches(step.cursor(source.name))
    while True:
        try:
            batch = next(pieces, None)
        except SourceError as error:
            answers.append(IngestAnswer(source.name, source.domain, source.name, refused=str(error)))
            return tuple(answers)
        if batch is None:
            return tuple(answers)
        answer = _ingested(source.name, batch, step)
        if answer is not None:
            answers[-1:] = _together(answers[-1:], answer)
        if batch.cursor is not None:
            step.set_cursor(source.name, batch.cursor)


def drain(sources: Sequence[Source], store: Store, *, rounds: int = 1000) -> tuple[IngestAnswer, ...]:
    """Ingest from the sources, a transaction a round, until none has more (or ``rounds`` have passed).

    A source may hand over only so much at once (MQTT: what may be under way unacknowledged). Where the commit fails
    nothing is acknowledged, and the sources are closed, so that their next look begins at the cursor.

    >>> import tempfile
    >>> from terracast.streams.sources.files import FilesSource
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     from pathlib import Path
    ...     _ = (Path(folder) / "air.csv").write_text("time,node,no2\\n2020-01-01,a,1\\n2020-01-02,a,2\\n")
    ...     source = FilesSource("air files", "air", Path(folder) / "*.csv", {})
    ...     store = Store.open(Path(folder) / "store")
    ...     first, second = drain([source], store), drain([source], store)
    >>> [answer.new for answer in first], second
    ([2], ())
    """
    answers: list[IngestAnswer] = []
    for _ in range(rounds):
        try:
            with store.transaction("ingest") as step:
                found = [answer for source in sources for answer in ingest_from(source, step)]
        except BaseException:
            for source in sources:
                source.close()
            raise
        for source in sources:
            source.committed()
        answers += found
        sources = [source for source in sources if source.more]
        if not sources:
            break
    return tuple(answers)


def _together(before: list[IngestAnswer], answer: IngestAnswer) -> list[IngestAnswer]:
    """Two answers about one piece as one."""
    if not before or before[0].item != answer.item or before[0].refused or answer.refused:
        return [*before, answer]
    sums = [Ingested(one.new, one.late, one.duplicate, one.revised, one.rejected, one.notes)
            for one in (before[0], answer)]
    both = _answer(answer.source, answer.domain, answer.item, sums[0] + sums[1], None)
    return [replace(both, read=before[0].read + answer.read, missing=before[0].missing + answer.missing,
                    joined=before[0].joined + answer.joined)]


def _answer(source: str, domain: str, item: str, done: Ingested, refused: str | None) -> IngestAnswer:
    return IngestAnswer(source, domain, item, done.new, done.late, done.duplicate, done.revised, dict(done.rejected),
                        refused, done.notes)


def _ingested(name: str, batch: SourceBatch, step: Transaction) -> IngestAnswer | None:
    done, refused = Ingested(), batch.refused
    if batch.panel is not None:
        try:
            done = step.ingest(batch.domain, batch.panel, batch.arrived)
        except PanelError as error:
            refused = str(error)
    done += Ingested(duplicate=batch.duplicate, rejected=batch.rejected, notes=batch.notes)
    if batch.panel is None and refused is None and done == Ingested():
        return None
    answer = _answer(name, batch.domain, batch.item, done, refused)
    return replace(answer, read=batch.read, missing=batch.missing, joined=batch.joined)
