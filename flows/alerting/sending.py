"""The way out, by Apprise: a hundred services, mail and plain webhooks, each an address."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from terracast.flows.settings.alerts import filled

if TYPE_CHECKING:  # Apprise takes a quarter of a second to import, which a step without news does without
    from terracast.flows.alerting.message import Message

KEY = "Idempotency-Key"  # draft-ietf-httpapi-idempotency-key-header
NO_REASON = "it did not take it"


def send(address: str, message: Message) -> str | None:
    """Send one message to one address of the settings; why it did not arrive, or None: it was taken.

    A webhook gets the message's id as the header ``Idempotency-Key``, too, by which it can drop a second one.
    No key is told: in what the service answered, what came from the environment reads as it stands in ``address``.
    """
    import apprise
    from apprise.attachment import memory

    captured: Any = apprise.LogCapture  # their types are not told
    attached: Any = memory.AttachMemory
    try:
        told = filled(address)
    except LookupError as missing:
        return str(missing)
    asset = apprise.AppriseAsset(async_mode=False, storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="Terracast",
                                 app_desc="Terracast", app_url="")
    outlet = apprise.Apprise(asset=asset)
    with captured(level=logging.WARNING, fmt="%(message)s") as said:
        if not outlet.add(told):
            return "Apprise does not understand this address"
        for one in outlet:
            if message.id and isinstance(headers := getattr(one, "headers", None), dict):
                headers[KEY] = message.id
        picture = None if message.picture is None else attached(message.picture, name="chart.png", mimetype="image/png")
        taken = outlet.notify(body=message.text, title=message.title, notify_type=message.level,
                              body_format=apprise.NotifyFormat.TEXT, attach=picture)
        reason = " ".join(str(said.getvalue()).split())
    return None if taken else _without_keys(reason, told, address)


def _without_keys(reason: str, told: str, address: str) -> str:
    """What was answered, its first 200 signs, without the parts of ``told`` that are not in ``address``.

    >>> _without_keys("cannot reach json://ann:pw7@host", "json://ann:pw7@host", "json://ann:$KEY@host")
    'cannot reach ***'
    """
    hidden = {told, *(part for part in re.split(r"[/:@?&=]+", told) if len(part) > 2 and part not in address)}
    for part in sorted(hidden, key=len, reverse=True):
        reason = reason.replace(part, "***")
    return reason[:200].rstrip(".") or NO_REASON
