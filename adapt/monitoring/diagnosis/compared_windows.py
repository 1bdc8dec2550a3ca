"""The windows of a piece of evidence: what was compared, with what, and against which frozen reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from terracast.adapt.monitoring.detection.glr_scan import HISTORY
from terracast.streams.stateful import Stateful

Span = tuple[np.datetime64, np.datetime64]


@dataclass(frozen=True)
class Windows(Stateful):
    """Three spans of time, each from its beginning to just before its end.

    ``reference``: what units and limits were frozen on; ``before``: the weeks that the ``current`` window was compared
    with.

    >>> day = lambda number: np.datetime64("2020-01-01") + np.timedelta64(number, "D")
    >>> windows = Windows((day(0), day(30)), (day(10), day(34)), (day(34), day(41)))
    >>> windows.overlap, round(windows.overlap_before, 2)
    (0.0, 0.83)
    >>> windows.words
    '2020-02-04 to 2020-02-11 compared with the 24 days before; 0 % of it in the reference, 2020-01-01 to 2020-01-31'
    """

    reference: Span
    before: Span
    current: Span

    @property
    def overlap(self) -> float:
        """Which share of the current window lies in the reference: none, but where service has just begun."""
        return _share(self.current, self.reference)

    @property
    def overlap_before(self) -> float:
        """Which share of the weeks before lies in the reference."""
        return _share(self.before, self.reference)

    @property
    def words(self) -> str:
        """The windows in words."""
        days = (self.before[1] - self.before[0]) / np.timedelta64(1, "D")
        length = f"{days:.0f} days" if days >= 2 else f"{24 * days:.0f} hours"
        return (f"{_days(self.current)} compared with the {length} before; {100 * self.overlap:.0f} % of it in the "
                f"reference, {_days(self.reference)}")

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> Windows:
        """The same spans in the stamps that people read: ``true`` answers one for each instant of the loop's axis."""
        return Windows(*((true(span[0]), true(span[1])) for span in (self.reference, self.before, self.current)))

    def to_json(self) -> dict[str, Any]:
        """As a program reads it: instants as text, overlaps as shares."""
        spans: Mapping[str, Span] = {"reference": self.reference, "before": self.before, "current": self.current}
        texts = {name: [np.datetime_as_string(one, "s") for one in span] for name, span in spans.items()}
        return {**texts, "overlap": self.overlap, "overlap_before": self.overlap_before}


def windows_at(end: np.datetime64, span: np.timedelta64, window: int, blocks: int, reference: Span) -> Windows:
    """The windows of a scan that ends just before ``end``: the last ``window`` of ``blocks`` blocks, each ``span``
    long, and at most ``HISTORY`` before them."""
    begin = end - window * span
    return Windows(reference, (begin - max(0, min(HISTORY, blocks - window)) * span, begin), (begin, end))


def _share(span: Span, of: Span) -> float:
    length, common = span[1] - span[0], min(span[1], of[1]) - max(span[0], of[0])
    return max(0.0, float(common / length)) if length > np.timedelta64(0, "ns") else 0.0


def _days(span: Span) -> str:
    return f"{np.datetime_as_string(span[0], 'D')} to {np.datetime_as_string(span[1], 'D')}"
