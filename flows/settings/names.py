"""Names of streams, domains and variables: checked where they are given, and made safe where they name something else.

A stream's name appears in MLflow, in Prefect and on pages; a domain's is written in knowledge (``air.* never causes
weather.*``), where spaces and dots part words.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 80

_STREAM = re.compile(r"\w[\w .,()+-]*")
_DOMAIN = re.compile(r"\w[\w-]*")


def stream_name(text: str) -> str:
    """The name of a stream as it will be kept, or ``ValueError``: letters of any script, digits, spaces, ``.,()+-``.

    >>> stream_name("Zürich NO2 (2.5 m)")
    'Zürich NO2 (2.5 m)'
    >>> stream_name("x/../../evil")
    Traceback (most recent call last):
    ValueError: 'x/../../evil' cannot name a stream; write x_evil
    """
    name = unicodedata.normalize("NFC", text)
    if _STREAM.fullmatch(name) and ".." not in name and name == name.strip() and len(name) <= LONGEST:
        return name
    raise ValueError(f"{name[:LONGEST]!r} cannot name a stream; write {as_domain(name)}")


def domain_name(text: str) -> str:
    """The name of a domain as it will be kept, or ``ValueError``: letters of any script, digits, ``_`` and ``-``.

    >>> domain_name("my.air")
    Traceback (most recent call last):
    ValueError: 'my.air' cannot name a domain; write my_air
    """
    name = unicodedata.normalize("NFC", text)
    if _DOMAIN.fullmatch(name) and len(name) <= LONGEST:
        return name
    raise ValueError(f"{name[:LONGEST]!r} cannot name a domain; write {as_domain(name)}")


def variable_name(text: str) -> str:
    """The name of a variable, as the data call it, or ``ValueError``: one line of printed characters.

    >>> variable_name("flow m3/s")
    'flow m3/s'
    """
    if text.strip() and text.isprintable() and text not in (".", "..") and not text.startswith("__"):
        return text
    raise ValueError(f"{text[:LONGEST]!r} cannot name a variable; rename it in the data")


def as_domain(text: str) -> str:
    """The nearest name that a domain may have.

    >>> as_domain("My air, 2.5"), as_domain("../..")
    ('My_air_2_5', 'stream')
    """
    plain = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", text)).strip("_-")
    return plain[:LONGEST] or "stream"


def as_model(text: str) -> str:
    """A name that MLflow, Prefect and a folder take: ASCII letters, digits, ``. _ -``. What differs stays different.

    >>> as_model("air-PM2.5"), as_model("Zürich-NO2 µg/m³")
    ('air-PM2.5', 'Zurich-NO2-g-m3-e27e56')
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text) and ".." not in text:
        return text
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_only).strip("-_")[:LONGEST]
    return f"{plain or 'stream'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
