"""Files into panels: NetCDF, Zarr, CSV and Parquet; every file that is wrong is refused in one line.

The panel that comes back is checked and has ``known_time``: the value's time plus a delay, or a column of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from terracast.streams.errors import ReadError
from terracast.streams.readers.netcdf import read_netcdf, read_zarr
from terracast.streams.readers.tables import read_csv, read_parquet
from terracast.streams.readers.wanted import Wanted

READERS = {".nc": read_netcdf, ".nc4": read_netcdf, ".zarr": read_zarr, ".csv": read_csv, ".parquet": read_parquet,
           ".pq": read_parquet}
TABLES = (read_csv, read_parquet)


def read(path: str | Path, *, domain: str, kind: str = "sensor", step: str | pd.Timedelta | None = None,
         anchor: str | None = None, calendar: str | None = None,
         delay: str | pd.Timedelta | None = None, known_time: str | None = None,
         variables: Sequence[str] | None = None, time: str | None = None, node: str | None = None,
         lat: str | None = None, lon: str | None = None, wide: str | None = None, start: str | None = None,
         time_format: str | None = None, time_zone: str | None = None, decimal: str = ".",
         separator: str | None = None, encoding: str = "utf-8-sig",
         units: Mapping[str, str] | None = None) -> xr.Dataset:
    """Read a file as a checked panel with ``known_time``; the file is never changed, values are bit-identical.

    ``step``: default as the stamps of a node say. ``anchor``, one stamp of the clock, and ``calendar``, "month" or a
    time zone whose days are counted: default as the stamps say (see ``streams.readers.ticks``; stamps that jitter are
    taken to the clock, counted in the attrs ``stamps_moved`` and ``same_step_dropped``). ``delay``: when a value
    becomes known, after its stamp (default one step); or ``known_time``: the column that says so. ``variables``:
    default all numeric ones. ``time``, ``node``, ``lat``, ``lon``: names of the axes where they are not plain. Tables
    only: ``wide``, the one variable of a table that has a column per node; ``start`` (with ``step``), the first stamp
    of a table without a time column; ``time_format``, where stamps are not ISO 8601; ``time_zone``, where stamps
    without an offset are local time (see ``local_time`` for the hours of a clock change); ``decimal`` ",",
    ``separator`` and ``encoding`` of CSV. ``units``: per variable, where the file does not say ("unknown" if nobody
    does). Attrs ``duplicates_dropped`` counts identical repeated rows, ``not_read`` names what was left out and why.
    Of two rows of one stamp and node that differ the first is read, the other counted in ``same_step_dropped``; more
    than one in a hundred rows of that sort are refused. Raises ``ReadError``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "air.csv"
    ...     _ = file.write_text("time,node,pm25\\n2020-01-01T00:00,a,1.5\\n2020-01-01T01:00,a,\\n")
    ...     panel = read(file, domain="air", units={"pm25": "ug m-3"})
    >>> panel.attrs["step"], panel.pm25.values.ravel().tolist(), str(panel.known_time.values[0])[:16]
    ('1h', [1.5, nan], '2020-01-01T01:00')
    """
    path = Path(path)
    wanted = Wanted(where=path.name, domain=domain, kind=kind, step=step, anchor=anchor, calendar=calendar,
                    delay=delay, known_time=known_time, time=time, node=node, lat=lat, lon=lon, wide=wide,
                    variables=None if variables is None else tuple(variables), start=start,
                    time_format=time_format, time_zone=time_zone, decimal=decimal, separator=separator,
                    encoding=encoding, units=dict(units or {}))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ReadError(f"files {path.suffix or 'without ending'!r} are not read", where=str(path),
                        expected="one of " + ", ".join(READERS), remedy="convert the file")
    if not path.is_file() and not (reader is read_zarr and path.is_dir()):
        raise ReadError("no such file", where=str(path), expected="a file", remedy="check the path")
    if path.stat().st_size == 0:
        raise ReadError("the file is empty", where=str(path), expected="data", remedy="fetch it again")
    if reader not in TABLES and (time_zone is not None or decimal != "." or separator is not None):
        raise ReadError("time_zone, decimal or separator is given", where=path.name, expected="them for tables only",
                        remedy="leave it out: this file says what its stamps and numbers mean")
    if decimal not in (".", ",") or len(separator or ",") != 1:
        raise ReadError(f"decimal is {decimal!r}, separator {separator!r}", where=path.name,
                        expected="decimal '.' or ',' and a separator of one character", remedy="correct it")
    return reader(path, wanted)
