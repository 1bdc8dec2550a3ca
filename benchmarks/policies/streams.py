"""The streams of the bench of policies: targets, spans and halves, fixed before anything was tuned on them.

A dataset stands wholly in one half. Settings may be chosen by the half that ``decides``; the half that ``confirms`` is
only looked at afterwards. Spans are what is scored; all that lies before them is history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Half = Literal["decides", "confirms"]


@dataclass(frozen=True)
class Stream:
    """One target of one file, scored from ``start`` up to, not with, ``stop``; ``horizon`` and ``every`` in steps;
    ``nodes``: the first so many that report then; ``history``: only so many days before ``start`` are known."""

    data: str
    target: str
    start: str
    stop: str
    half: Half
    horizon: int = 24
    every: int = 6
    nodes: int = 4
    history: int = 1100

    def file_in(self, folder: Path) -> Path | None:
        """Where the file lies in ``folder``, at any depth; None where it does not."""
        return next(iter(sorted(folder.rglob(self.data))), None)


STREAMS: tuple[Stream, ...] = (
    Stream("london_bike.nc", "cnt", "2016-03-01", "2016-09-01", "decides"),
    Stream("london_bike.nc", "t1", "2016-03-01", "2016-06-01", "decides"),
    Stream("beijing_air_quality.nc", "SO2", "2015-03-01", "2015-06-01", "decides"),
    Stream("beijing_air_quality.nc", "PM25", "2015-09-01", "2015-12-01", "decides"),
    Stream("beijing_air_quality.nc", "O3", "2016-06-01", "2016-09-01", "decides"),
    Stream("ETTh1.csv", "OT", "2017-09-01", "2017-12-01", "decides"),
    Stream("ETTh1.csv", "HUFL", "2017-09-01", "2017-12-01", "decides"),
    Stream("danube_west.nc", "discharge", "2012-06-01", "2013-06-01", "decides", 7, 1, 8, 7300),
    Stream("hungary_chickenpox.nc", "cases", "2011-01-03", "2014-12-29", "decides", 4, 1, 10, 9000),
    Stream("era5_canada_cities.nc", "tas", "1993-01-01", "1993-12-31", "decides", 7, 1, 5),
    Stream("era5_canada_cities.nc", "sfcWind", "1993-01-01", "1993-12-31", "decides", 7, 1, 5),
    Stream("metro_i94.nc", "traffic_volume", "2016-10-01", "2017-04-01", "confirms", history=1500),
    Stream("metro_i94.nc", "temp", "2016-10-01", "2017-01-01", "confirms", history=1500),
    Stream("muenster_bicycle.nc", "bicycle_count", "2023-03-01", "2023-06-01", "confirms", nodes=6),
    Stream("montevideo_bus.nc", "passengers", "2020-10-22", "2020-11-01", "confirms", nodes=20),
    Stream("los_loop.nc", "speed", "2012-03-06", "2012-03-08", "confirms", 12, 6, 20),
    Stream("lievre_basin.nc", "runoff", "2009-09-01", "2010-09-01", "confirms", 12, 4, 6),
    Stream("lievre_basin.nc", "air_temperature", "2009-09-01", "2010-09-01", "confirms", 12, 4, 6),
    Stream("irish_wind.nc", "wind_speed", "1977-06-01", "1978-06-01", "confirms", 7, 1, 6, 7300),
    Stream("salmon_river.nc", "discharge", "2009-06-01", "2010-06-01", "confirms", 7, 1, 1, 7300),
    Stream("salmon_river.nc", "tmax", "2009-06-01", "2010-06-01", "confirms", 7, 1, 1, 7300),
    Stream("japan_influenza.nc", "cases", "2016-01-04", "2019-03-25", "confirms", 4, 1, 10, 9000),
)
