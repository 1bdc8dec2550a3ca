"""Text from data as a line that may be shown: control characters are written out, so that no name steers a terminal."""

from __future__ import annotations

import re

# C0 and C1 controls, line and paragraph separators, marks that turn the direction of text, halves of surrogate pairs
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with each control character as its escape; ordinary letters of any script stay.

    Newlines are among them: a name that holds one could else write a log line of its own.

    >>> printable("Mitte\n\x1b[31mred"), printable("Zürich 東京")
    ('Mitte\\n\\x1b[31mred', 'Zürich 東京')
    """
    return _UNSHOWN.sub(lambda found: repr(found[0])[1:-1], text)
