"""Files into panels: NetCDF, Zarr, tables of text, Parquet, workbooks and JSON; a wrong file is refused in one line.

The panel that comes back is checked and has ``known_time``: the value's time plus a delay, or a column of the file.
Nothing is guessed here: what a file does not say plainly is an option. ``streams.schema`` finds the options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from terracast.streams.errors import ReadError
from terracast.streams.readers.across import in_rows
from terracast.streams.readers.netcdf import read_netcdf, read_zarr
from terracast.streams.readers.packed import is_packed, unpacked
from terracast.streams.readers.parquet import read_parquet
from terracast.streams.readers.records import read_records
from terracast.streams.readers.spreadsheet import read_spreadsheet
from terracast.streams.readers.table import RowCounts
from terracast.streams.readers.tables import Reading, panel_of
from terracast.streams.readers.text import read_text
from terracast.streams.readers.wanted import Wanted

ARRAYS = {".nc": read_netcdf, ".nc4": read_netcdf, ".zarr": read_zarr}
TEXT = (".csv", ".txt", ".tsv", ".rdb", ".dat", ".data", ".tab", ".asc")
JSON = (".json", ".geojson", ".jsonl", ".ndjson")
BOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
TABLES = {**dict.fromkeys(TEXT, read_text), ".parquet": read_parquet, ".pq": read_parquet,
          **dict.fromkeys(JSON, read_records), **dict.fromkeys(BOOKS, read_spreadsheet)}
READERS = {**ARRAYS, **TABLES}
SEQUENCES = ("variables", "missing", "valid", "leave_out", "across", "facts", "suffix")


def read(path: str | Path, *, domain: str, **options: Any) -> xr.Dataset:
    """Read a file as a checked panel with ``known_time``; the file is never changed, values are bit-identical.

    Parameters
    ----------
    path : str or Path
        The file (or the folder of a Zarr store).
    domain : str
        The domain whose panel it is.
    **options : object
        How it is read: see ``Wanted``. All have a default that reads a plain file.

    Returns
    -------
    xarray.Dataset
        Attrs ``duplicates_dropped`` counts identical repeated rows, ``not_read`` names what was left out and why. Of
        two rows of one stamp and node that differ the first is read, the other counted in ``same_step_dropped``.

    Raises
    ------
    ReadError
        The file is not what the options say; more than one row in a hundred cannot be read or contradicts another.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "air.csv"
    ...     _ = file.write_text("time,node,pm25\\n2020-01-01T00:00,a,1.5\\n2020-01-01T01:00,a,\\n")
    ...     panel = read(file, domain="air", units={"pm25": "ug m-3"})
    >>> panel.attrs["step"], panel.pm25.values.ravel().tolist(), str(panel.known_time.values[0])[:16]
    ('1h', [1.5, nan], '2020-01-01T01:00')
    """
    return read_counted(path, domain=domain, **options).panel


def read_counted(path: str | Path, *, domain: str, **options: Any) -> Reading:
    """The panel of ``read``, and what became of the rows that it was read from."""
    path = Path(path)
    if is_packed(path):
        with unpacked(path) as inner:
            return read_counted(inner, domain=domain, **options)
    wanted = wanted_of(path, domain=domain, **options)
    ending = path.suffix.lower()
    if ending in ARRAYS:
        panel = ARRAYS[ending](path, wanted)
        said = panel[next(iter(panel.data_vars))].size
        return Reading(panel, RowCounts(read=said))
    return panel_of(in_rows(TABLES[ending](path, wanted)))


def wanted_of(path: Path, *, domain: str, **options: Any) -> Wanted:
    """The options of a file that is there and can be read, checked."""
    options = {name: value for name, value in options.items() if value is not None}
    options |= {name: tuple(options[name]) for name in SEQUENCES if name in options}
    for axis in ("time", "node"):
        if isinstance(options.get(axis), list | tuple):
            options[axis] = options[axis][0] if len(options[axis]) == 1 else tuple(options[axis])
    wanted = Wanted(where=path.name, domain=domain, **{"units": {}, **options})
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ReadError(f"files {path.suffix or 'without ending'!r} are not read", where=str(path),
                        expected="one of " + ", ".join(READERS), remedy="convert the file")
    if not path.is_file() and not (reader is read_zarr and path.is_dir()):
        raise ReadError("no such file", where=str(path), expected="a file", remedy="check the path")
    if path.stat().st_size == 0:
        raise ReadError("the file is empty", where=str(path), expected="data", remedy="fetch it again")
    if reader in ARRAYS.values() and (wanted.time_zone is not None or wanted.decimal != "." or wanted.separator):
        raise ReadError("time_zone, decimal or separator is given", where=path.name, expected="them for tables only",
                        remedy="leave it out: this file says what its stamps and numbers mean")
    if wanted.decimal not in (".", ",") or len(wanted.separator or ",") != 1:
        raise ReadError(f"decimal is {wanted.decimal!r}, separator {wanted.separator!r}", where=path.name,
                        expected="decimal '.' or ',' and a separator of one character", remedy="correct it")
    return wanted
