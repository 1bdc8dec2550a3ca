"""A forecast as a file: CSV or Parquet, a row per node and time, or NetCDF with every quantile and CF attributes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.forecast import HIGH, LOW, MEDIAN, Issued
from terracast.flows.settings import SettingsError
from terracast.streams.errors import TerracastError
from terracast.streams.spreadsheet import text_cell

PLACES = {"lat": {"standard_name": "latitude", "units": "degrees_north"},
          "lon": {"standard_name": "longitude", "units": "degrees_east"}}
NAMED = {"median": MEDIAN, "low": LOW, "high": HIGH}


def write_forecast(issued: Issued, out: Path) -> Path:
    """Write the forecast by the suffix of ``out``: ``.csv``, ``.parquet`` or ``.nc``. A reader never sees half a file.

    Times are UTC; beside them stands the source's local time where it has a time zone. NetCDF holds all quantiles
    under the target's name.
    """
    if out.suffix not in WRITERS:
        raise SettingsError(f"no format {out.suffix!r}", where=f"--out {out}", expected="one of " + ", ".join(WRITERS),
                            remedy="choose another suffix")
    unfinished = out.with_name(f"{out.stem}.part{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[out.suffix](issued, unfinished)
        return unfinished.replace(out)
    except OSError as failed:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise TerracastError(f"the forecast cannot be written ({failed.strerror or failed})", where=str(out),
                             expected="a place that can be written to", remedy="name another with --out") from failed


def as_table(issued: Issued) -> pd.DataFrame:
    """Columns node, lat and lon where known, valid_time, local_time where there is a zone, issue_time, median, low,
    high, units; a row per node and lead."""
    leads, nodes = len(issued.valid_times), issued.nodes
    table = pd.DataFrame({"node": np.repeat(nodes, leads)})
    for name in _places(issued.values):
        table[name] = np.repeat(issued.values[name].values, leads)
    table["valid_time"] = np.tile(issued.valid_times, len(nodes))
    if issued.zone is not None:
        local = pd.DatetimeIndex(table["valid_time"]).tz_localize("UTC").tz_convert(issued.zone)
        table["local_time"] = local.strftime("%Y-%m-%dT%H:%M:%S%z")
    table["issue_time"] = issued.issue_time
    for name, level in NAMED.items():
        table[name] = issued.at(level).T.astype("float32").ravel()
    if issued.counts:
        table["expected"] = issued.expected.T.round(4).ravel()
    return table.assign(units=issued.units)


def as_dataset(issued: Issued) -> xr.Dataset:
    """Dims lead, node, quantile; CF-1.11: ``valid_time``, ``issue_time``, lead and places say what they are."""
    values = issued.values.transpose("lead", "node", "quantile")
    name = str(values.name) if values.name not in NAMED else f"{values.name}_quantiles"
    told = {key: values.attrs[key] for key in ("units", "long_name", "standard_name", "cell_methods")
            if key in values.attrs}
    words = str(told.get("long_name", values.name))
    data = {name: (values.dims, values.values, told)}
    for one, level in NAMED.items():
        known = {"units": issued.units, "long_name": f"{words}, quantile {level:g}"}
        data[one] = (("lead", "node"), issued.at(level).astype("float32"), known)
    coordinates = {
        "lead": ("lead", values["lead"].values, {"standard_name": "forecast_period", "long_name": "how far ahead"}),
        "node": ("node", np.array(issued.nodes, dtype=str), {"long_name": "node", "cf_role": "timeseries_id"}),
        "quantile": ("quantile", values["quantile"].values, {"long_name": "chance of a lower value", "units": "1"}),
        "valid_time": ("lead", issued.valid_times, {"standard_name": "time", "long_name": "valid time, UTC"}),
        "issue_time": ((), issued.issue_time, {"standard_name": "forecast_reference_time", "long_name": "issued, UTC"}),
    }
    for place in _places(values):
        coordinates[place] = ("node", values[place].values, PLACES[place])
    return xr.Dataset(data, coordinates, {"Conventions": "CF-1.11", "title": f"Forecast of {words}",
                                          "source": "terracast", "domain": issued.domain, "featureType": "timeSeries"})


def _places(values: xr.DataArray) -> tuple[str, ...]:
    return tuple(name for name in PLACES if name in values.coords and values[name].dims == ("node",))


def _csv(issued: Issued, path: Path) -> None:
    table = as_table(issued)
    texts = {name: table[name].map(text_cell) for name in ("node", "units")}  # names come from data
    table.assign(**texts).to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")


def _parquet(issued: Issued, path: Path) -> None:
    as_table(issued).to_parquet(path, index=False)


def _netcdf(issued: Issued, path: Path) -> None:
    as_dataset(issued).to_netcdf(path)


WRITERS = {".csv": _csv, ".parquet": _parquet, ".nc": _netcdf}
