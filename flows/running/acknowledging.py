"""Open episodes above the report, each with a button: somebody says there that he looks after it.

Whoever may ask for the page may press the button. A page of elsewhere may not: the form carries a secret of this
process, and a request must be addressed to this very machine by name (so that no name that is made to point here can
read the secret).
"""

from __future__ import annotations

import hmac
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs

LARGEST = 4096  # bytes of a form
PATIENCE = 60.0  # seconds that a busy machine may take
HERE = ("127.0.0.1", "localhost", "[::1]")
STYLE = "background:#eef4f8;color:#20262b;border-bottom:1px solid #c4d3de;padding:.6em 1.2em;font:16px/1.4 sans-serif"


@dataclass(frozen=True)
class Acknowledging:
    """What the page needs for its buttons: ``open_ones`` gives the open episodes (``id``, ``words``, ``by``) and
    ``config`` names the settings file; ``secret`` is that of the forms; ``taken``: who pressed which button, which the
    next step tells, too."""

    config: Path
    open_ones: Callable[[], list[dict[str, Any]]]
    secret: str = field(default_factory=lambda: token_urlsafe(24), repr=False)
    taken: dict[str, str] = field(default_factory=dict)

    def block(self) -> str:
        """The open episodes as HTML; nothing where none is open."""
        return "".join(self._episode(one) for one in self.open_ones())

    def take(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """Carry out a form that was sent: the status of the answer, and words for a person."""
        if headers.get("Host", "").rpartition(":")[0] not in HERE:
            return 403, "this page answers to 127.0.0.1 and localhost only"
        given = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if not hmac.compare_digest(given.get("secret", "").encode(), self.secret.encode()):
            return 403, "this form is of an earlier run of terracast up: load the page again"
        episode = given.get("episode", "")
        if episode not in [one["id"] for one in self.open_ones()]:
            return 404, "this episode is not open any more"
        # a process of its own: the store's library is heavy, and this one must stay light
        words = [sys.executable, "-c", "from terracast.flows.command import main; main()", "ack",
                 f"--by={given.get('by', '') or 'the page'}", f"--note={given.get('note', '')}",
                 f"--config={self.config}", "--", episode]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        if done.returncode:
            return 500, done.stderr.strip().rpartition("\n")[2] or "it could not be written down"
        self.taken[episode] = given.get("by", "") or "the page"
        return 303, ""

    def _episode(self, one: Mapping[str, Any]) -> str:
        words = f'<div style="{STYLE}"><b>Open:</b> {escape(one["words"])} '
        by = one["by"] or self.taken.get(one["id"])
        if by:
            return f"{words}<i>{escape(by)} looks after it.</i></div>"
        hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value, quote=True)}">'
                         for name, value in (("secret", self.secret), ("episode", one["id"])))
        return (f'{words}<form method="post" action="/ack" style="display:inline">{hidden}'
                '<label>Your name <input name="by" required maxlength="80" size="12"></label> '
                '<label>Note <input name="note" maxlength="200" size="24"></label> '
                "<button>I look after it</button></form></div>")
