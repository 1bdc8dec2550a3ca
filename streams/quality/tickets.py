"""Tickets: flags folded into events, each with one sentence for the person who looks after the sensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from streams.panel import step_of
from streams.quality.labels import LABELS, bit
from streams.quality.windows import run_length

SENTENCES = {
    "missing": "single values of {variable} are missing at {nodes} {when} ({cells})",
    "outage": "{nodes} sent no {variable} {when}: an outage of the data, not a change of the world",
    "stuck": "{variable} stands still at {nodes} {when}, longer than ever before there: check the sensor",
    "spike": "{variable} jumps out and back at {nodes} {when} ({cells})",
    "range": "{variable} is physically impossible at {nodes} {when} ({cells})",
    "unit": "{variable} at {nodes} looks as if it came in another unit {when}: ask for the unit",
    "clock": "the clock of {nodes} seems shifted by an hour or more {when}, seen in {variable}",
    "duplicated": "{nodes} give bit-identical {variable} {when}: one sensor under several names",
    "saturated": "{variable} at {nodes} stops at one highest value {when} ({cells}): the sensor's limit",
    "late": "{variable} of {nodes} came late {when} ({cells})",
    "backfilled": "{variable} of {nodes} came later in one go {when} ({cells})",
    "revised": "{variable} of {nodes} was revised {when} ({cells}); both values are kept",
}
TOGETHER = ("outage", "duplicated", "backfilled", "range")  # nodes of one event share a ticket
APART = {"missing": "7D", "spike": "7D", "range": "7D", "late": "7D", "revised": "7D", "saturated": "7D"}
NAMED = 3


@dataclass(frozen=True)
class QualityTicket:
    """One event: label ``sort`` on a variable at ``nodes`` from ``start`` to ``end`` (its last stamp);
    ``cells`` flagged values; ``words``: one sentence for a person.

    >>> QualityTicket("stuck", "O3", ("Dongsi",), np.datetime64("2013-08-16T17"), np.datetime64("2013-08-17T04"),
    ...               12, "O3 stands still at Dongsi ...").nodes
    ('Dongsi',)
    """

    sort: str
    variable: str
    nodes: tuple[str, ...]
    start: np.datetime64
    end: np.datetime64
    cells: int
    words: str = ""


def tickets(flags: xr.Dataset) -> list[QualityTicket]:
    """The events in a Dataset of flags, by start: runs of a label at a node, a day apart (a week for single
    values); outages, copies, back-fills and impossible values of several nodes at once are one.

    >>> flags = xr.Dataset({"t": (("time", "node"), np.array([[0], [16]], np.uint16))},
    ...                    {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]}, {"step": "1h"})
    >>> [ticket.words for ticket in tickets(flags)]
    ['t is physically impossible at a on 2020-01-01 01:00 (1 value)']
    """
    found: list[QualityTicket] = []
    for name in map(str, flags.data_vars):
        for label in LABELS:
            held = (flags[name].values & bit(label)) > 0
            if held.any():
                single = _events(held, flags, name, label)
                found += _shared(single) if label in TOGETHER else single
    found = [replace(one, words=_sentence(one)) for one in found]
    return sorted(found, key=lambda one: (one.start, one.sort, one.variable, one.nodes))


def _events(held: np.ndarray, flags: xr.Dataset, name: str, label: str) -> list[QualityTicket]:
    time, nodes = flags["time"].values, flags["node"].values
    apart = max(1, round(pd.Timedelta(APART.get(label, "1D")) / pd.Timedelta(step_of(flags))))
    quiet = run_length(~held)
    before = np.concatenate([np.full((1, held.shape[1]), apart), quiet[:-1]])
    early = before == np.arange(len(held))[:, None]  # quiet since the first row
    begins = held & ((before >= apart) | early)
    columns, rows = np.nonzero(begins.T)
    cells_columns, cells_rows = np.nonzero(held.T)
    number = np.searchsorted(columns * len(held) + rows, cells_columns * len(held) + cells_rows, side="right") - 1
    last = np.zeros(len(rows), np.intp)
    np.maximum.at(last, number, cells_rows)
    count = np.bincount(number, minlength=len(rows))
    return [QualityTicket(label, name, (str(nodes[column]),), time[row], time[end], int(cells))
            for column, row, end, cells in zip(columns, rows, last, count, strict=True)]


def _shared(single: Sequence[QualityTicket]) -> list[QualityTicket]:
    """Events of one start and end at several nodes as one."""
    spans: dict[tuple[np.datetime64, np.datetime64], list[QualityTicket]] = {}
    for one in single:
        spans.setdefault((one.start, one.end), []).append(one)
    return [replace(group[0], nodes=tuple(sorted(one.nodes[0] for one in group)),
                    cells=sum(one.cells for one in group)) for group in spans.values()]


def _sentence(ticket: QualityTicket) -> str:
    others = len(ticket.nodes) - NAMED
    nodes = ", ".join(ticket.nodes[:NAMED]) + (f" and {others} more" if others > 0 else "")
    start, end = (np.datetime_as_string(stamp, "m").replace("T", " ") for stamp in (ticket.start, ticket.end))
    when = f"on {start}" if start == end else f"from {start} to {end}"
    values = "1 value" if ticket.cells == 1 else f"{ticket.cells} values"
    words = SENTENCES[ticket.sort].format(variable=ticket.variable, nodes=nodes, when=when, cells=values)
    return words[0].upper() + words[1:] if words.startswith("the ") or words.startswith("single ") else words


def summary(flags: xr.Dataset) -> pd.DataFrame:
    """Counts of flagged values: one row per node, variable and label that occurs; ``share`` of the rows.

    >>> flags = xr.Dataset({"t": (("time", "node"), np.array([[0], [16]], np.uint16))},
    ...                    {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]})
    >>> summary(flags).to_dict("records")
    [{'node': 'a', 'variable': 't', 'label': 'range', 'values': 1, 'share': 0.5}]
    """
    return pd.DataFrame(list(_counts(flags)), columns=["node", "variable", "label", "values", "share"])


def _counts(flags: xr.Dataset) -> Iterator[tuple[str, str, str, int, float]]:
    for name in map(str, flags.data_vars):
        for label in LABELS:
            counts = ((flags[name].values & bit(label)) > 0).sum(axis=0)
            for column in np.flatnonzero(counts):
                yield (str(flags["node"].values[column]), name, label, int(counts[column]),
                       float(counts[column] / flags.sizes["time"]))
