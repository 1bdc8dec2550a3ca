"""A forecast in words, 80 columns wide: what ``terracast forecast`` prints, and the end of ``terracast watch``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap

import numpy as np
import pandas as pd

from terracast.flows.forecast import HIGH, LOW, MEDIAN, Issued
from terracast.flows.reporting.freshness import silence_sentence
from terracast.flows.reporting.wording import stamp, unit_words
from terracast.flows.terminal.output import WIDTH, table_lines
from terracast.streams.wording import NAMELESS, age, counted

BLOCKS = 5  # so many nodes are shown lead by lead; more side by side, a line each
LINES = 20  # of nodes side by side


def title_lines(issued: Issued) -> list[str]:
    """What is forecast, when it was issued, how old the newest value is; a source that is silent is marked."""
    what = "expected number" if issued.counts else "median"
    told = [f"{target_words(issued)}: {what} and {issued.interval}",
            f"issued {stamp(issued.issue_time)} UTC; {newest_words(issued)}",
            *(f"! {line}" for source in issued.sources if (line := silence_sentence(source, issued.now)))]
    return [line for one in told for line in wrap(one, WIDTH, subsequent_indent="  ")]


def target_words(issued: Issued) -> str:
    """The target's name with its unit, and its domain."""
    name = str(issued.values.attrs.get("long_name", issued.values.name))
    return f"Forecast of {name}{unit_words(issued.units)} in {issued.domain}"


def newest_words(issued: Issued) -> str:
    """The newest value's stamp and age in one line."""
    if issued.newest is None:
        return "newest value: none"
    return f"newest value: {stamp(issued.newest)} UTC, {age(pd.Timedelta(issued.now - issued.newest))} old"


def all_lines(issued: Issued) -> list[str]:
    """The forecast for a person: a block per node, or for many nodes a line each, in 80 columns."""
    if len(issued.nodes) <= BLOCKS:
        blocks = [line for node in range(len(issued.nodes)) for line in ("", *_block(issued, node))]
        return [*title_lines(issued), *blocks]
    told = [*title_lines(issued), "", *side_by_side(issued, (0, len(issued.valid_times) // 2, -1), LINES), ""]
    return [*told, "every lead of a node: --node NAME or a pattern; every value: --out forecast.csv"]


def short_lines(issued: Issued) -> list[str]:
    """The forecast in a few lines: next value and largest lead of at most five nodes."""
    return [*title_lines(issued), *side_by_side(issued, (0, -1), BLOCKS), "more: terracast forecast"]


def side_by_side(issued: Issued, leads: Sequence[int], most: int) -> list[str]:
    """A line per node, a column per lead: the median and its interval."""
    count = len(issued.valid_times)
    places = sorted({place % count for place in leads})
    low, high = issued.at(LOW), issued.at(HIGH)
    median = issued.at(MEDIAN)
    write: Callable[[float], str] = "{:.0f}".format if issued.counts else _Writer(low, high)
    middle = write
    if issued.counts:
        median, middle = issued.expected, "{:.2g}".format
    shown_nodes = issued.nodes[:most]
    rows = [[node, *(f"{middle(median[place, column])} ({write(low[place, column])} to {write(high[place, column])})"
                     for place in places)] for column, node in enumerate(shown_nodes)]
    times = issued.valid_times[places]
    heads = [f"{stamp(time)} UTC" for time in times] if issued.zone is None else [
        f"{issued.zone}\n{stamp(time, issued.zone)}\n{stamp(time)} UTC" for time in times]
    widest = max(len(text) for text in [*(cell for row in rows for cell in row[1:]), *"\n".join(heads).split("\n")])
    named = min(24, max(map(len, shown_nodes)))  # a name that can be told apart counts more than the lead in the middle
    if named + (widest + 2) * len(places) > WIDTH and len(places) > 1:
        return side_by_side(issued, places[:-2] + places[-1:], most)
    left = len(issued.nodes) - len(shown_nodes)
    return [*table_lines(["node", *heads], rows), *([f"… and {counted(left, 'further node')}"] if left else [])]


def _block(issued: Issued, column: int) -> list[str]:
    """One node, a line per lead."""
    median, low, high = (issued.at(level)[:, column] for level in (MEDIAN, LOW, HIGH))
    write: Callable[[float], str] = "{:.0f}".format if issued.counts else _Writer(low, high)
    zones = [*([issued.zone] if issued.zone else []), "UTC"]
    rows = [[*(stamp(time, zone, weekday=zone == zones[0]) for zone in zones), write(one),
             f"{write(below)} to {write(above)}"]
            for time, one, below, above in zip(issued.valid_times, median, low, high, strict=True)]
    heads = [*zones, f"median{unit_words(issued.units)}", issued.interval]
    if issued.counts:
        heads.insert(len(zones) + 1, "expected")
        rows = [[*row[:-1], f"{mean:.2g}", row[-1]] for row, mean in zip(rows, issued.expected[:, column], strict=True)]
    named = [] if issued.nodes == [NAMELESS] and issued.chosen_of <= 1 else [issued.nodes[column]]
    return [*named, *table_lines(heads, rows, left=len(zones))]


class _Writer:
    """Writes values with as many decimals as their intervals deserve: three digits of the usual width."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        width = float(np.median(np.abs(high - low))) if np.size(high) else 0.0
        width = width or float(np.max(np.abs(high), initial=0.0)) or 1.0
        self._decimals = int(np.clip(2 - np.floor(np.log10(width)), 0, 9))

    def __call__(self, value: float) -> str:
        text = f"{value:.{self._decimals}f}"
        return text[1:] if text.startswith("-") and not float(text) else text
