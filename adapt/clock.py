"""The replay clock: a generator of moments through which nothing later can be read.

Everything in ``adapt`` sees data through a ``Moment``. A moment knows its instant and opens only the door "as known
at this instant"; whoever holds it cannot ask for more. Live and replay use the same moments.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from terracast.streams.bitemporal import History
from terracast.streams.errors import TerracastError
from terracast.streams.instant import instant
from terracast.streams.quality.known_flags import KnownFlags
from terracast.streams.quality.online import Screened


class Moment:
    """One instant of the loop and what is known at it: nothing later can be read through it.

    Parameters
    ----------
    now : datetime64
        The instant.
    history : History
        Where everything is recorded with the time from which it was known.

    Examples
    --------
    >>> from terracast.streams.bitemporal import InMemoryHistory
    >>> moment = Moment(np.datetime64("2024-01-02"), InMemoryHistory({}))
    >>> str(moment.earlier(np.datetime64("2024-01-01")).now.astype("datetime64[D]"))
    '2024-01-01'
    """

    __slots__ = ("_history", "now")

    def __init__(self, now: np.datetime64, history: History) -> None:
        self.now = instant(now)
        self._history = history

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains that can be asked for."""
        return self._history.domains

    def known(self, domain: str, since: np.datetime64 | None = None) -> xr.Dataset:
        """The domain's panel as known now, rows from ``since`` on."""
        return self._history.as_known_at(domain, self.now, since)

    def flags(self, domain: str) -> KnownFlags:
        """What is flagged of a domain's values; nothing where the history is not screened."""
        return self._history.flags(domain) if isinstance(self._history, Screened) else KnownFlags()

    def earlier(self, then: np.datetime64) -> Moment:
        """The same history at an earlier instant; a later one is refused."""
        if then > self.now:
            raise TerracastError(f"asked at {self.now} for what is known at {then}", where="clock",
                                 expected="an earlier instant", remedy="wait until then")
        return Moment(then, self._history)


def clock(history: History, start: np.datetime64, stop: np.datetime64, cadence: np.timedelta64) -> Iterator[Moment]:
    """Moments from ``start`` to ``stop`` (both included), ``cadence`` apart, in order.

    >>> from terracast.streams.bitemporal import InMemoryHistory
    >>> first, last = np.datetime64("2020-01-01"), np.datetime64("2020-01-02")
    >>> moments = clock(InMemoryHistory({}), first, last, np.timedelta64(6, "h"))
    >>> len(list(moments))
    5
    """
    now = instant(start)
    while now <= stop:
        yield Moment(now, history)
        now = now + cadence
