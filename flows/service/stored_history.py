"""The store's history as a step reads it: the latest rows, and older ones only where somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from terracast.streams.bitemporal import RecordedDomain
from terracast.streams.quality.online import JudgedHistory


class StoredHistory:
    """Rows from ``since`` on are read at once; the first question about older ones reads those, too.

    Parameters
    ----------
    read : callable
        Answers the history from an instant on.
    since : datetime64
        From when on rows are needed in any case.
    """

    def __init__(self, read: Callable[[np.datetime64], JudgedHistory], since: np.datetime64) -> None:
        self._read, self._since, self._widened = read, since, since
        self._latest = self._widest = read(since)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held."""
        return self._latest.domains

    def recorded(self, domain: str) -> RecordedDomain:
        """All that was read at once of a domain."""
        return self._latest.recorded(domain)

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """As known at an instant; without ``since``, the rows that were read at once."""
        if since is None or since >= self._since:
            return self._latest.as_known_at(domain, now, since)
        if since < self._widened:
            self._widest, self._widened = self._read(since), since
        return self._widest.as_known_at(domain, now, since)
