"""The history as a table of at most 80 columns: long reasons go on below themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from terracast.flows.terminal.output import WIDTH

HEADINGS = ("time (UTC)", "version", "action", "by", "reason")
LONGEST_BY = 12  # letters of a name that are shown; JSON has all


def history_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines for a person, oldest first.

    Parameters
    ----------
    rows : sequence of mapping
        As ``terracast history --json`` has them.

    Examples
    --------
    >>> row = {"time": "2024-01-05T06:00:00Z", "version": "2", "action": "promoted", "by": "ann", "reason": "reviewed"}
    >>> print(*history_lines([row]), sep="\\n")
    time (UTC)        version  action    by   reason
    2024-01-05 06:00  2        promoted  ann  reviewed
    """
    if not rows:
        return ["nothing has served yet"]
    cells = [(str(row["time"])[:16].replace("T", " "), str(row["version"] or "–"), str(row["action"]),
              textwrap.shorten(str(row["by"]), LONGEST_BY, placeholder="…") or "…", str(row["reason"])) for row in rows]
    widths = [max(len(line[column]) for line in (HEADINGS, *cells)) for column in range(len(HEADINGS) - 1)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for line in (HEADINGS, *cells):
        before = "".join(f"{cell.ljust(width)}  " for cell, width in zip(line[:-1], widths, strict=True))
        reason = textwrap.wrap(line[-1], WIDTH - left) or [""]
        lines += [(before + reason[0]).rstrip(), *(" " * left + part for part in reason[1:])]
    return lines
