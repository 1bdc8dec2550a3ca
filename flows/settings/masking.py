"""Settings as they may be printed."""

from __future__ import annotations

from typing import Any

from terracast.flows.settings.settings import Settings
from terracast.streams.redaction import redacted


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they may be printed: user and password of every address are masked."""
    return dict(_masked(settings.model_dump(mode="json")))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return redacted(value) if isinstance(value, str) else value
