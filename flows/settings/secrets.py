"""Secrets stay out of the settings: an address with a password in it is refused, ``$NAME`` is read from outside."""

from __future__ import annotations

import os
import re
from typing import Any

_SECRET = re.compile(r"://[^/?#\s:@]*:(?!\d+(?:[/?#]|$))[^\s]*@"  # ://user:password@host, but not ://host:port/…@
                     r"|[?&;](?:password|passwd|pwd|token|secret|api_?key|sig|signature|"
                     r"aws_secret_access_key|x-amz-signature)=[^&;\s$]", re.IGNORECASE)
_FROM_OUTSIDE = re.compile(r":\$(?:\{\w+\}|\w+)@")  # in the address of an alert, which is filled in when it is sent
_OTHERWISE = "take it out of the file and set it in the environment"
_INSTEAD = {"registry.tracking": 'write tracking = "$NAME" and set NAME in the environment',
            "sources.url": 'write url = "$NAME" and set NAME in the environment',
            "store.location": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"}


def refuse_secrets(value: Any, place: str = "") -> None:
    """Raise ``ValueError`` where a text of the settings carries a password or a key; it names the place, not the text.

    >>> refuse_secrets({"registry": {"tracking": "postgresql://ann:hunter2@db/mlflow"}})
    Traceback (most recent call last):
    ValueError: a password or key stands in registry.tracking; write tracking = "$NAME" and set NAME in the environment
    >>> refuse_secrets({"registry": {"tracking": "http://127.0.0.1:5000"}})
    """
    if isinstance(value, dict):
        for key, held in value.items():
            refuse_secrets(held, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for one in value:
            refuse_secrets(one, place)
    elif isinstance(value, str):
        is_alert = place.startswith("alerts.")
        if _SECRET.search(_FROM_OUTSIDE.sub("@", value) if is_alert else value):
            instead = "write $NAME in its place and set NAME in the environment" if is_alert else _OTHERWISE
            raise ValueError(f"a password or key stands in {place}; {_INSTEAD.get(place, instead)}")


def from_environment(text: str) -> str:
    """``$NAME`` as the environment has it, anything else as it is; ``LookupError`` where the environment lacks it."""
    if not text.startswith("$"):
        return text
    held = os.environ.get(text[1:].strip("{}"), "")
    if not held:
        raise LookupError(f"the environment has no {text[1:].strip('{}')}")
    return held
