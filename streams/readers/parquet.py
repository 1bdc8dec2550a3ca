"""Parquet files as tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from terracast.streams.instant import instants
from terracast.streams.readers.table import Column, Table, Texts
from terracast.streams.readers.wanted import Wanted


def read_parquet(path: Path, wanted: Wanted) -> Table:
    """Read a Parquet table. Raises ``ReadError``."""
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as wrong:
        raise wanted.refusal(f"not a sound Parquet file ({str(wrong).splitlines()[0][:80]})",
                             expected="a whole Parquet file", remedy="fetch it again") from wrong
    if not table.num_rows:
        raise wanted.refusal("no rows", expected="at least one row", remedy="fetch the file again")
    told = frozenset(wanted.names.get(field.name, field.name) for field in table.schema
                     if pa.types.is_timestamp(field.type) and field.type.tz)
    columns = {name: _column(table.column(at)) for at, name in enumerate(wanted.named(table.column_names))}
    return Table(columns, table.num_rows, wanted, lambda row: row + 1, told)


def _column(column: pa.ChunkedArray) -> Column:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return instants(np.asarray(column.to_numpy()))
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy())
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        if column.null_count == 0 and pa.types.is_integer(column.type):
            return np.asarray(column.to_numpy())
        numbers = pd.array(column.to_pylist() if column.null_count else column.to_numpy(), dtype="Float64")
        return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan))
    return Texts.of(np.array(["" if item is None else str(item) for item in column.to_pylist()], object))
