"""The forms of the page: somebody looks after an open episode, answers what waits for approval, or rolls back.

Whoever may ask for the page may press a button. A page of elsewhere may not: each form carries a secret of this
process, and a request must be addressed to this very machine by name, or by the name that the settings give the page
(so that no name that is made to point here can read the secret), and come from no page of elsewhere.
"""

from __future__ import annotations

import hmac
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

from terracast.flows.reporting.addresses import episode_page

LARGEST = 4096  # bytes of a form
PATIENCE = 60.0  # seconds that a busy machine may take
HERE = ("127.0.0.1", "localhost", "[::1]")
ACTS = ("/ack", "/approve", "/decline", "/rollback")
STYLE = "background:#eef4f8;color:#20262b;border-bottom:1px solid #c4d3de;padding:.6em 1.2em;font:16px/1.4 sans-serif"

Rows = Callable[[], list[dict[str, Any]]]


def host_of(header: str) -> str:
    """The name in a header ``Host``, without its port.

    >>> host_of("localhost:8478"), host_of("[::1]:80"), host_of("example.org")
    ('localhost', '[::1]', 'example.org')
    """
    name, colon, port = header.strip().lower().rpartition(":")
    return name if colon and port.isdigit() else header.strip().lower()


@dataclass(frozen=True)
class Forms:
    """What the page needs for its buttons.

    ``open_ones`` gives the open episodes (``id``, ``words``, ``by``), ``approvals`` what waits for a person (``name``,
    ``words``, ``answer``), ``previous`` the version that a rollback would restore; ``config`` names the settings file;
    ``hosts``: names by which the page may be asked for beside this machine's own; ``secret`` is that of the forms;
    ``taken``: who pressed which button, which the next step tells, too.
    """

    config: Path
    open_ones: Rows
    approvals: Rows = list
    previous: Callable[[], str | None] = lambda: None
    hosts: tuple[str, ...] = ()
    secret: str = field(default_factory=lambda: token_urlsafe(24), repr=False)
    taken: dict[str, str] = field(default_factory=dict)

    def knows(self, host: str) -> bool:
        """Whether a request may be addressed so."""
        return host_of(host) in (*HERE, *self.hosts)

    def block(self) -> str:
        """The open episodes as HTML, above the report; nothing where none is open."""
        return "".join(self._line(one) for one in self.open_ones())

    def episodes(self, page: str | None = None) -> str:
        """The open episodes as parts of a page of the site; ``page``: of that episode alone."""
        return "".join(self._episode(one, page) for one in self.open_ones()
                       if page is None or episode_page(one["id"]) == page)

    def waiting(self, page: str) -> str:
        """What waits for a person, each with two buttons."""
        return "".join(self._approval(one, page) for one in self.approvals())

    def rollback(self, page: str) -> str:
        """The way back to the version before; nothing where there is none."""
        previous = self.previous()
        if previous is None:
            return ""
        if "rollback" in self.taken:
            by = escape(self.taken["rollback"])
            return f'<div class="act">Rolled back by {by}; the loop follows at its next step.</div>'
        fields = _fields("reason", "Why", required=True)
        form = self._form("/rollback", {"page": page, "version": previous}, fields, (("", "Roll back to it", ""),))
        return f'<div class="act"><b>Version {escape(previous)} served before.</b>{form}</div>'

    def take(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """Carry out a form that was sent: the status of the answer, and words for a person or where to go on."""
        if not self.knows(headers.get("Host", "")):
            return 403, "this page answers to 127.0.0.1 and localhost only"
        origin = headers.get("Origin", "")
        if origin and origin != "null" and urlsplit(origin).netloc.lower() != headers.get("Host", "").strip().lower():
            return 403, "this form was sent by a page of elsewhere"
        given = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if not hmac.compare_digest(given.get("secret", "").encode(), self.secret.encode()):
            return 403, "this form is of an earlier run of terracast up: load the page again"
        by, subject = given.get("by", "") or "the page", given.get("subject", "")
        words, why = self._words(path, subject, by, given)
        if not words:
            return 404, why
        # a process of its own: the store's library is heavy, and this one must stay light
        done = subprocess.run([sys.executable, "-c", "from terracast.flows.command import main; main()", *words],
                              capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        if done.returncode:
            return 500, done.stderr.strip().rpartition("\n")[2] or "it could not be written down"
        self.taken["rollback" if path == "/rollback" else subject] = by
        return 303, given.get("page", "")

    def _words(self, path: str, subject: str, by: str, given: Mapping[str, str]) -> tuple[list[str], str]:
        """What is typed for the form; none, and why, where its subject is there no more."""
        shared = [f"--by={by}", f"--config={self.config}"]
        if path == "/rollback":
            if self.previous() is None or self.previous() != given.get("version"):
                return [], "another version served before: load the page again"
            return ["rollback", *shared, f"--reason={given.get('reason', '') or 'by hand'}"], ""
        note = f"--note={given.get('note', '')}"
        if path == "/ack":
            known = subject in [one["id"] for one in self.open_ones()]
            return (["ack", *shared, note, "--", subject] if known else []), "this episode is not open any more"
        known = subject in [one["name"] for one in self.approvals()]
        return ([path[1:], *shared, note, "--", subject] if known else []), "this does not wait any more"

    def _approval(self, one: Mapping[str, Any], page: str) -> str:
        words = f'<div class="act"><b>{escape(one["words"])}</b>'
        by = self.taken.get(one["name"])
        if by or one.get("answer"):
            told = f"Answered by {escape(by)}; the next step carries it out." if by else ""
            return f"{words} <i>{told}</i></div>"
        buttons = (("/approve", "Approve", "yes"), ("/decline", "Decline", ""))
        form = self._form("/approve", {"page": page, "subject": one["name"]}, _fields("note", "Note"), buttons)
        return f"{words}{form}</div>"

    def _episode(self, one: Mapping[str, Any], page: str | None) -> str:
        by = one["by"] or self.taken.get(one["id"])
        words = "" if page is not None else f"<b>Open:</b> {escape(one['words'])} "
        if by:
            return "" if page is not None and one["by"] else (
                f'<div class="act">{words}<i>{escape(by)} looks after it.</i></div>')
        form = self._form("/ack", {"page": page or "", "subject": one["id"]}, _fields("note", "Note"),
                          (("", "I look after it", "yes"),))
        return f'<div class="act">{words}{form}</div>'

    def _line(self, one: Mapping[str, Any]) -> str:
        """The same above the report in one file, which has its own style."""
        words = f'<div style="{STYLE}"><b>Open:</b> {escape(one["words"])} '
        by = one["by"] or self.taken.get(one["id"])
        if by:
            return f"{words}<i>{escape(by)} looks after it.</i></div>"
        form = self._form("/ack", {"page": "report.html", "subject": one["id"]}, _fields("note", "Note"),
                          (("", "I look after it", ""),))
        return f"{words}{form}</div>"

    def _form(self, action: str, hidden: Mapping[str, str], fields: str,
              buttons: Sequence[tuple[str, str, str]]) -> str:
        held = "".join(f'<input type="hidden" name="{name}" value="{escape(value, quote=True)}">'
                       for name, value in {"secret": self.secret, **hidden}.items())
        pressed = " ".join(f'<button{_attribute("formaction", to)}{_attribute("class", kind)}>{text}</button>'
                           for to, text, kind in buttons)
        return (f'<form method="post" action="{action}">{held}<label>Your name <input name="by" required '
                f'maxlength="80" size="12"></label> {fields} {pressed}</form>')


def _fields(name: str, label: str, *, required: bool = False) -> str:
    return f'<label>{label} <input name="{name}" maxlength="200" size="24"{" required" if required else ""}></label>'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""
