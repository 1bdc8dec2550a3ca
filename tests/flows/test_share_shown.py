"""Progress of long work: a bar on a terminal, plain lines elsewhere, never more often than every few seconds."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from terracast.flows.terminal.share_shown import Lines, progress, within

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


def test_lines_come_ever_less_often_and_estimate_what_is_left() -> None:
    said: list[str] = []
    at = iter([0.0, *(float(second) for second in range(1, 401))])
    lines = Lines("service", said.append, lambda: next(at))
    for second in range(1, 401):
        within(lines, 0.0, 1.0)(second / 400, "fit: with much detail")
    assert said[:3] == ["service: 1 %, fit", "service: 4 %, fit", "service: 9 %, fit"]
    assert said[3] == "service: 19 %, fit, about 5 min left" and len(said) == 9 and "detail" not in " ".join(said)


def test_counted_work_tells_its_lines_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    at = iter(float(second) for second in range(0, 40, 10))
    monkeypatch.setattr("terracast.flows.terminal.share_shown.time.monotonic", lambda: next(at))
    with progress("watching", 4) as advance:
        for _ in range(3):
            advance(1)
    assert capsys.readouterr().err.splitlines() == ["watching: 25 %, 1 of 4, about 30 s left",
                                                    "watching: 50 %, 2 of 4, about 20 s left"]
