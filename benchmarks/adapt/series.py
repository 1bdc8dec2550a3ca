"""Streams of the adaptation bench read from files: a table's columns, or a panel's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.adapt.cell import NODES_MOST, BenchError
from terracast.stfm.seasonal_naive import SeasonalNaive


@dataclass(frozen=True)
class BenchSeries:
    """Raw ``values`` (row, node), NaN where not observed, on a clock without holes that begins at ``start``."""

    values: np.ndarray
    start: np.datetime64
    step: np.timedelta64

    def panel(self) -> xr.Dataset:
        """The stream as a panel of sensors."""
        nodes = [f"n{number}" for number in range(self.values.shape[1])]
        times = self.start.astype("datetime64[ns]") + np.arange(len(self.values)) * self.step.astype("timedelta64[ns]")
        return xr.Dataset({"x": (("time", "node"), self.values, {"units": "1"})}, {"time": times, "node": nodes},
                          {"domain": "stream", "kind": "sensor", "step": f"{self.step / np.timedelta64(1, 's'):g}s"})

    @property
    def season(self) -> int:
        """Its season in steps."""
        return SeasonalNaive().period(self.step)


def series_of(path: Path, target: str | None) -> BenchSeries:
    """Raw values (row, series) of a file on its clock.

    CSV and Parquet: every numeric column, the first other one is the time. NetCDF: the nodes of ``target``, or, if
    there is but one node, every variable.
    """
    if not path.is_file():
        raise BenchError("no file", where=str(path), expected="a NetCDF, CSV or Parquet file", remedy="name one")
    if path.suffix == ".nc":
        panel = xr.load_dataset(path)
        names = [target] if target else list(map(str, panel.data_vars)) if panel.sizes.get("node", 1) == 1 else \
            [str(next(iter(panel.data_vars)))]
        stamps = pd.DatetimeIndex(panel["time"].values)
        frame = pd.concat([panel[name].to_pandas() for name in names], axis=1)
    else:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        when = next(name for name in frame if not pd.api.types.is_numeric_dtype(frame[name]))
        stamps = pd.DatetimeIndex(pd.to_datetime(frame[when]))
        frame = frame.select_dtypes("number") if target is None else frame[[target]]
    step = pd.Series(stamps).diff().median()
    values = frame.to_numpy(dtype="float64")[:, :NODES_MOST]
    slots = np.round((stamps - stamps[0]) / step).astype(int)
    whole = np.full((int(slots.max()) + 1, values.shape[1]), np.nan)
    whole[slots] = values
    return BenchSeries(whole, stamps[0].to_datetime64(), step.to_timedelta64())
