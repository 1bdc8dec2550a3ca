"""Tickets: flags folded into events, each with one sentence for the person who looks after the sensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.panel import step_of
from terracast.streams.quality.labels import CAUSES, LABELS, bit
from terracast.streams.quality.windows import nan_quantile, run_length
from terracast.streams.wording import counted, listed, sentence

ADVICE = {
    "outage": "the data are missing; the world need not have changed",
    "stuck": "check the sensor",
    "unit": "ask for the unit",
    "duplicated": "one sensor may stand under several names",
    "saturated": "this may be the sensor's limit",
    "revised": "both values are kept",
}
TOGETHER = ("outage", "duplicated", "range")  # nodes of one event share a ticket
# What a person is told must be worth a way to the sensor: flags say of each value what is odd, tickets say of it what
# lasts. One missing hour is no outage, one highest value no limit, and a shifted clock or another unit stays for long.
FEWEST = {"outage": 3, "saturated": 5, "stuck": 12, "spike": 5}  # values of an event
LEAST = {"clock": "10D", "unit": "5D"}  # how long it goes on
ORDINARY = 0.995  # of the values lie within what is ordinary; a value off by as much again is far off
UNTOLD = ("missing", "late", "backfilled")  # values that did not come, or late: shares of all (``shares``), no events
APART = {"spike": "7D", "range": "7D", "revised": "7D", "saturated": "7D"}
LASTING = ("outage", "stuck", "unit", "clock", "duplicated")


@dataclass(frozen=True)
class QualityTicket:
    """One event: label ``fault_type`` on a variable at ``nodes`` from ``start`` to ``end`` (its last stamp);
    ``cells`` flagged values; ``words``: one sentence for a person.

    >>> QualityTicket("stuck", "O3", ("Dongsi",), np.datetime64("2013-08-16T17"), np.datetime64("2013-08-17T04"),
    ...               12, "O3 stands still at Dongsi ...").nodes
    ('Dongsi',)
    """

    fault_type: str
    variable: str
    nodes: tuple[str, ...]
    start: np.datetime64
    end: np.datetime64
    cells: int
    words: str = ""


def tickets(flags: xr.Dataset, panel: xr.Dataset | None = None) -> list[QualityTicket]:
    """The events in a Dataset of flags, by start: runs of a label at a node, a day apart (a week for single
    values); outages, copies and impossible values of several nodes at once are one. What lasts up to the
    last stamp is told as going on; missing and late values are no events (see ``shares``). ``panel``: the values that
    the flags are of, by which a single spike is told where it is far off all ordinary values (default: only nodes that
    spike again and again are).

    >>> flags = xr.Dataset({"t": (("time", "node"), np.array([[0], [16]], np.uint16))},
    ...                    {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]}, {"step": "1h"})
    >>> [ticket.words for ticket in tickets(flags)]
    ['t is physically impossible at a on 2020-01-01 01:00 (1 value).']
    """
    found: list[QualityTicket] = []
    for name in map(str, flags.data_vars):
        for label in (label for label in LABELS if label not in UNTOLD):
            held = (flags[name].values & bit(label)) > 0
            far = held
            if label == "spike":  # what cannot be at all is not told twice
                held &= (flags[name].values & bit("range")) == 0
                far = held & _far_off(None if panel is None else panel.reindex(time=flags["time"])[name].values, held)
            if held.any():
                single = [one for one in _events(held, flags, name, label) if _worth(one, label)]
                if label == "spike" and far.any():
                    single += [one for one in _events(far, flags, name, label) if not _within(one, single)]
                found += _shared(single) if label in TOGETHER else single
    last = flags["time"].values[-1] if flags.sizes["time"] else None
    found = [replace(one, words=_sentence(one, last)) for one in found]
    return sorted(found, key=lambda one: (one.start, one.fault_type, one.variable, one.nodes))


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


def _worth(ticket: QualityTicket, label: str) -> bool:
    """Whether an event is large and long enough to be told."""
    return bool(ticket.cells >= FEWEST.get(label, 1)
                and ticket.end - ticket.start >= pd.Timedelta(LEAST.get(label, "0h")).to_timedelta64())


def _within(ticket: QualityTicket, others: Sequence[QualityTicket]) -> bool:
    """Whether an event is part of another one at the same nodes."""
    return any(one.nodes == ticket.nodes and one.start <= ticket.start and ticket.end <= one.end for one in others)


def _far_off(values: np.ndarray | None, spikes: np.ndarray) -> np.ndarray:
    """Values (time, node) that lie off the ordinary ones of their node by more than those range; none without them."""
    if values is None:
        return np.zeros(spikes.shape, bool)
    ordinary = np.where(spikes, np.nan, values)
    low, high = -nan_quantile(-ordinary, ORDINARY), nan_quantile(ordinary, ORDINARY)
    with np.errstate(invalid="ignore"):
        return np.asarray((values > high + (high - low)) | (values < low - (high - low)))


def _shared(single: Sequence[QualityTicket]) -> list[QualityTicket]:
    """Events of one start and end at several nodes as one."""
    spans: dict[tuple[np.datetime64, np.datetime64], list[QualityTicket]] = {}
    for one in single:
        spans.setdefault((one.start, one.end), []).append(one)
    return [replace(group[0], nodes=tuple(sorted(one.nodes[0] for one in group)),
                    cells=sum(one.cells for one in group)) for group in spans.values()]


@dataclass(frozen=True)
class Share:
    """Which share of a variable's values is ``missing`` or ``late`` one by one (``fault_type``): of all nodes, and of
    the ``worst`` ``node``."""

    fault_type: str
    variable: str
    share: float
    node: str
    worst: float
    words: str


def shares(flags: xr.Dataset) -> list[Share]:
    """What happens to single values at random and is no event: the shares that are missing (outages left out) and late.

    >>> flags = xr.Dataset({"t": (("time", "node"), np.array([[0], [1], [0], [0]], np.uint16))},
    ...                    {"time": pd.date_range("2020-01-01", periods=4, freq="h"), "node": ["a"]})
    >>> shares(flags)[0].words
    '25 % of the values of t are missing at random'
    """
    found = []
    for name in map(str, flags.data_vars):
        mask = flags[name].values
        for fault_type, words in (("missing", "are missing at random"), ("late", "came late")):
            held = ((mask & bit(fault_type)) > 0) & ((mask & bit("outage")) == 0)
            share = held.mean(axis=0)
            if share.any():
                worst, node = float(share.max()), str(flags["node"].values[int(share.argmax())])
                text = f"{100 * float(share.mean()):.2g} % of the values of {name} {words}"
                text += f", at most {100 * worst:.2g} % at {node}" if len(share) > 1 else ""
                found.append(Share(fault_type, name, float(share.mean()), node, worst, text))
    return found


def _sentence(ticket: QualityTicket, last: np.datetime64 | None) -> str:
    start, end = (np.datetime_as_string(stamp, "m").replace("T", " ") for stamp in (ticket.start, ticket.end))
    goes_on = ticket.end == last and ticket.fault_type in LASTING and ticket.start != ticket.end
    when = (f"since {start}, up to the newest stamp {end}" if goes_on else
            f"on {start}" if start == end else f"from {start} to {end}")
    cause = CAUSES[ticket.fault_type].format(variable=ticket.variable, nodes=listed(ticket.nodes))
    values = f" ({counted(ticket.cells, 'value')})" if ticket.fault_type in APART else ""
    advice = f" {sentence(ADVICE[ticket.fault_type])}" if ticket.fault_type in ADVICE else ""
    cause = f"{cause[0].upper()}{cause[1:]}" if cause.startswith("the ") else cause
    return f"{cause} {when}{values}.{advice}"


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
