"""A source of your own: a feed of readings that remembers how far it has come."""

# --8<-- [start:source]
from collections.abc import Iterator

import pandas as pd
import xarray as xr

from terracast.streams.sources.contract import Cursor, SourceBatch, drain
from terracast.streams.store import Store


class RecentReadings:
    """Hands over one panel for each reading that is new since the cursor."""

    more = False  # one look sees all there is

    def __init__(self, name: str, domain: str, feed: list[tuple[str, float]]) -> None:
        self.name, self.domain, self._feed = name, domain, feed

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """What is new since ``cursor``; None: all there is."""
        done = int(str((cursor or {}).get("count", 0)))
        for number, (stamp, value) in enumerate(self._feed[done:], done + 1):
            yield SourceBatch(self.domain, self._panel(stamp, value), {"count": number}, item=f"reading {number}")

    def committed(self) -> None:
        """All batches are in the store: here a broker's messages would be acknowledged."""

    def close(self) -> None:
        """Let go of connections."""

    def _panel(self, stamp: str, value: float) -> xr.Dataset:
        time = pd.DatetimeIndex([stamp])
        return xr.Dataset(
            {"level": (("time", "node"), [[value]], {"units": "m", "long_name": "water level"})},
            {"time": time, "node": ["gauge"], "known_time": ("time", time + pd.Timedelta("1h"))},
            {"domain": self.domain, "kind": "sensor", "step": "1h"})
# --8<-- [end:source]


# --8<-- [start:check]
feed = [("2024-01-01T00:00", 1.2), ("2024-01-01T01:00", 1.3)]
source, store = RecentReadings("river:feed", "river", feed), Store.open("store")
print("first look:", sum(one.new for one in drain([source], store)), "new")
print("second look:", sum(one.new for one in drain([source], store)), "new")  # nothing counts twice
feed.append(("2024-01-01T02:00", 1.5))
print("third look:", sum(one.new for one in drain([source], store)), "new")
# --8<-- [end:check]
