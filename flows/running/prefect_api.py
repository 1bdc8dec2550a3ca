"""The few words that are spoken with a Prefect server over its REST interface, with short patience.

Prefect itself takes seconds to import and waits long for a server that is gone; a verb that is only to be written
down there needs neither. Nothing here raises anything but ``ServerAwayError``.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any

PATIENCE = 10.0  # seconds: a busy server is slow, one that is gone is told at once
BUSY = 503  # its database is locked for a moment: asked again
EPISODE = "terracast.drift-alarm"
GRAPH = "terracast.graph-alarm"
MISSED = "terracast.step-missed"
APPROVAL = "terracast.approval-wanted"


class ServerAwayError(Exception):
    """The server did not take what was told to it; the reason in words."""


def server() -> str | None:
    """The address in ``PREFECT_API_URL``, None where there is none."""
    return os.environ.get("PREFECT_API_URL", "").rstrip("/") or None


def ask(api: str, path: str, body: object = None, *, label_timeout: float = PATIENCE, tries: int = 3) -> Any:
    """Post ``body`` as JSON (None: get), and return the answer; raises ``ServerAwayError``.

    ``PREFECT_API_KEY`` and ``PREFECT_API_AUTH_STRING`` are honoured as Prefect does.
    """
    headers = {"Content-Type": "application/json", **_authorization(os.environ)}
    data = None if body is None else json.dumps(body, default=str).encode()
    try:
        asked = urllib.request.Request(f"{api}{path}", data, headers)
        with urllib.request.urlopen(asked, timeout=label_timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        if error.code == BUSY and tries > 1:
            time.sleep(1.0)
            return ask(api, path, body, label_timeout=label_timeout, tries=tries - 1)
        raise ServerAwayError(f"{api} answers {error.code} to {path}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServerAwayError(f"{api} does not answer: {reason}") from None


def letter(event: str, stream: str, key: str, occurred: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """An event as Prefect's server takes it."""
    return {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{event}/{stream}/{key}")), "event": event, "occurred": occurred,
            "resource": {"prefect.resource.id": f"terracast.stream.{stream}", "prefect.resource.name": stream},
            "payload": dict(told)}


def _authorization(environment: Mapping[str, str]) -> dict[str, str]:
    if key := environment.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := environment.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return {}
