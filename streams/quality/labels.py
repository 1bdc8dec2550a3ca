"""The labels of quality: one bit each, with the CF attributes that say what the bits mean.

A value may carry several labels at once: an instrument that is stuck may also stand out of range. Where one
word is wanted, the label that says most about the cause goes first (``PRECEDENCE``).
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import numpy as np


class Label(IntFlag):
    """What can be the matter with a value; 0 means that nothing was found.

    >>> Label.STUCK | Label.RANGE
    <Label.STUCK|RANGE: 20>
    """

    MISSING = 1
    OUTAGE = 2
    STUCK = 4
    SPIKE = 8
    RANGE = 16
    UNIT = 32
    CLOCK = 64
    DUPLICATED = 128
    SATURATED = 256
    LATE = 512
    BACKFILLED = 1024
    REVISED = 2048


LABELS = tuple(label.name.lower() for label in Label if label.name)
PRECEDENCE = tuple(label.name.lower() for label in (
    Label.OUTAGE, Label.DUPLICATED, Label.UNIT, Label.CLOCK, Label.SATURATED, Label.STUCK, Label.RANGE, Label.SPIKE,
    Label.MISSING, Label.BACKFILLED, Label.LATE, Label.REVISED) if label.name)
SUSPECT = (Label.STUCK | Label.SPIKE | Label.RANGE | Label.UNIT | Label.CLOCK | Label.SATURATED)
"""Values that a model or a reference should not learn from."""
CAUSES = {
    "outage": "{nodes} sent no {variable}",
    "stuck": "{variable} stands still at {nodes}",
    "spike": "{variable} jumps out and back at {nodes}",
    "range": "{variable} is physically impossible at {nodes}",
    "unit": "{variable} at {nodes} looks as if it came in another unit",
    "clock": "the clock of {nodes} seems shifted by an hour or more, seen in {variable}",
    "duplicated": "{nodes} give bit-identical {variable}",
    "saturated": "{variable} at {nodes} stops at one highest value",
    "revised": "{variable} of {nodes} was revised",
}
"""What is the matter, in words: the one place where a label becomes a clause."""


def bit(label: str) -> int:
    """The bit of a label's name.

    >>> bit("outage")
    2
    """
    return int(Label[label.upper()])


def words(mask: int) -> tuple[str, ...]:
    """The names of the labels in a mask, in the order of their bits.

    >>> words(6)
    ('outage', 'stuck')
    """
    return tuple(name for name in LABELS if mask & bit(name))


def flag_attrs(long_name: str) -> dict[str, Any]:
    """CF attributes of a variable of flags (CF 1.8, section 3.5: independent bits).

    >>> flag_attrs("PM2.5")["flag_meanings"].split()[:3]
    ['missing', 'outage', 'stuck']
    """
    return {"standard_name": "quality_flag", "long_name": f"quality of {long_name}", "units": "1",
            "flag_masks": np.array([bit(name) for name in LABELS], np.uint16), "flag_meanings": " ".join(LABELS)}
