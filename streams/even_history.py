"""A history on the even axis of a calendar clock, for the loop, which counts in equal steps."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.streams.bitemporal import InMemoryHistory, RecordedDomain
from terracast.streams.clock import Clock


class EvenHistory:
    """All domains of a history with even stamps (see ``streams.clock``) in place of true ones; a ``History``.

    Parameters
    ----------
    history : InMemoryHistory
        What is held, with true stamps.
    clock : Clock
        The calendar clock of the stream. One map serves all domains and known times, too, so every order is kept and
        nothing is known earlier than it was.

    Examples
    --------
    >>> import pandas as pd
    >>> from terracast.streams.clock import MONTH
    >>> from terracast.streams.bitemporal import known_after
    >>> rain = xr.Dataset({"rain": (("time", "node"), [[1.0], [2.0]], {"units": "mm", "long_name": "rain"})},
    ...                   {"time": pd.to_datetime(["2020-01-01", "2020-02-01"]), "node": ["a"]},
    ...                   {"domain": "rain", "kind": "sensor", "step": "1mo"})
    >>> clock = Clock.of(rain.attrs)
    >>> even = EvenHistory(InMemoryHistory({"rain": known_after(rain, pd.Timedelta("1h"))}), clock)
    >>> time = even.as_known_at("rain", clock.even(np.datetime64("2020-06-01"))).time.values
    >>> bool(time[1] - time[0] == MONTH), str(clock.shown(time[1]))[:10]
    (True, '2020-02-01')
    """

    def __init__(self, history: InMemoryHistory, clock: Clock) -> None:
        self._history, self._clock = history, clock

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held."""
        return self._history.domains

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """The panel as known at the even instant ``now``, rows from the even ``since`` on."""
        first = None if since is None else self._clock.shown(since)
        panel = self._history.as_known_at(domain, self._clock.shown(now), first)
        return panel.assign_coords(time=self._clock.even(panel["time"].values))

    def recorded(self, domain: str) -> RecordedDomain:
        """All that is held of a domain, later knowledge included: for writing it elsewhere, never for models."""
        held, even = self._history.recorded(domain), self._clock.even
        known = held.panel["known_time"]
        panel = held.panel.assign_coords(time=even(held.panel["time"].values),
                                         known_time=(known.dims, even(known.values)))
        revisions = held.revisions.assign(**{name: even(held.revisions[name].to_numpy("datetime64[ns]"))
                                             for name in ("time", "known_time")})
        return RecordedDomain(panel, revisions)
