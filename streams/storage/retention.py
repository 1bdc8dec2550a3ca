"""Retention: drop observations, forecasts and scores that are older than a span, in one transaction.

Earlier snapshots still hold what was dropped until ``streams.storage.compaction.compact`` expires them; those that
models' lineage names are kept readable there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from terracast.streams.errors import StoreError
from terracast.streams.instant import instant
from terracast.streams.storage.arrays import read_array, safe_name
from terracast.streams.storage.growing import GrowingDomain
from terracast.streams.storage.ledger import ALONG, arrays_of, ledger_path
from terracast.streams.storage.observations import StoredDomain
from terracast.streams.storage.rewriting import rewrite_entries, rewrite_rows
from terracast.streams.store import Store, Transaction, View


@dataclass(frozen=True)
class Retention:
    """How long things are kept; None and what is not named: for ever.

    ``ledgers`` maps a ledger's name or its first words to a span: "forecasts", "scores/air"; the longest name
    that fits holds.
    """

    observations: pd.Timedelta | None = None
    ledgers: Mapping[str, pd.Timedelta] = field(default_factory=dict)

    def span_of(self, ledger: str) -> pd.Timedelta | None:
        """The span of one ledger.

        >>> Retention(ledgers={"scores": pd.Timedelta("30D")}).span_of("scores/air")
        Timedelta('30 days 00:00:00')
        """
        fitting = [name for name in self.ledgers if ledger == name or ledger.startswith(f"{name}/")]
        return self.ledgers[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True)
class Expired:
    """What retention dropped: rows per domain, revisions per domain, entries per ledger; empty: nothing was due."""

    rows: Mapping[str, int]
    revisions: Mapping[str, int]
    entries: Mapping[str, int]


def retain(store: Store, now: np.datetime64, retention: Retention) -> Expired:
    """Drop what is older than its span at ``now``; all of it in one transaction, none where nothing is due.

    Reports about dropped rows that come again are refused afterwards ("older than what is kept"), so nothing is
    counted twice. A ledger without stamps along its axis is kept whole. O(values kept): run it daily or weekly,
    not each step.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dropped = retain(Store.open(folder), np.datetime64("2024-01-01"), Retention(pd.Timedelta("365D")))
    >>> dropped.rows
    {}
    """
    for span in (retention.observations, *retention.ledgers.values()):
        if span is not None and span <= pd.Timedelta(0):
            raise StoreError(f"a retention of {span}", where=store.location, expected="a positive span",
                             remedy="give at least one step, or leave it out to keep all")
    return store.repeated("retention", lambda step: _drop(step, store.read(step.snapshot), instant(now), retention))


def _drop(step: Transaction, base: View, now: np.datetime64, retention: Retention) -> Expired:
    rows, revisions, entries = {}, {}, {}
    span = retention.observations
    cut = instant(now) if span is None else instant(now - span.to_timedelta64())
    for domain in base.domains if span is not None else ():
        source, held = StoredDomain(base.root, domain), GrowingDomain(step.root, domain)
        first = int(np.searchsorted(source.time, cut))
        if not first:
            continue
        rewrite_rows(held, source, first)
        held.set_attrs(kept_from=np.datetime_as_string(cut))
        rows[domain] = first
        path = f"revisions/{safe_name(domain)}"
        if path in base.root:
            kept = read_array(base.root[f"{path}/time"]) >= cut  # latest_time stays: what goes is older than the rest
            rewrite_entries(step.root[path], base.root[path], "entry", np.flatnonzero(kept))
            revisions[domain] = int((~kept).sum())
    for ledger in base.ledgers:
        kept_for = retention.span_of(ledger)
        dropped = 0 if kept_for is None else _drop_entries(step, base, ledger,
                                                           instant(now - kept_for.to_timedelta64()))
        if dropped:
            entries[ledger] = dropped
    return Expired(rows, {domain: count for domain, count in revisions.items() if count}, entries)


def _drop_entries(step: Transaction, base: View, ledger: str, cut: np.datetime64) -> int:
    source = base.root[ledger_path(ledger)]
    along = str(source.attrs[ALONG])
    axis = arrays_of(source).get(along)
    stamps = None if axis is None else read_array(axis)
    if stamps is None or stamps.dtype.kind != "M":
        return 0
    kept = ~(stamps < cut)
    if not kept.all():
        rewrite_entries(step.root[ledger_path(ledger)], source, along, np.flatnonzero(kept))
    return int((~kept).sum())
