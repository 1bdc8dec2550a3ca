"""Whether a server answers."""

from __future__ import annotations

import urllib.error
import urllib.request


def answers(address: str) -> bool:
    """Whether anybody answers at the address within seconds, and without an error."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
