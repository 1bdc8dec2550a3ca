"""Progress of long work: a bar on a terminal, plain lines elsewhere, never more often than every few seconds."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from terracast.flows.terminal.share_shown import EVERY, Lines, within

WORK = """
from terracast.flows.terminal.share_shown import share_shown
with share_shown("first service") as tell:
    for number in range(1, 41):
        tell(number / 40, "fit 1 of 3")
"""


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", WORK], stderr=theirs, check=True,
                       env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "fit 1 of 3" in shown and "━" in shown and "\x1b[" in shown


def test_elsewhere_it_is_a_line() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stderr == "first service: begins\n" and done.stdout == ""


def test_lines_come_every_few_seconds_and_estimate_what_is_left() -> None:
    said: list[str] = []
    at = iter([0.0, *(float(second) for second in range(1, 101))])
    lines = Lines("service", said.append, lambda: next(at))
    for second in range(1, 101):
        within(lines, 0.0, 1.0)(second / 100, "fit: with much detail")
    assert len(said) == 1 + 99 // EVERY and "detail" not in " ".join(said)
    assert said[1] == "service: 5 %, fit" and said[2] == "service: 10 %, fit, about 90 s left"
