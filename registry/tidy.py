"""The served form of a forecaster: a tidy table in, a tidy table out.

In: one row per (time, node) with a column per variable. Out: one row per (issue_time, lead, node, quantile),
where ``lead`` counts steps and ``valid_time`` is the stamp forecast. What a table cannot say (units, roles,
places, step) is kept beside the model in an ``Interface``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from terracast.registry.tracking import RegistryError
from terracast.stfm.forecaster import QUANTILES, Request
from terracast.streams.panel import check_panel, step_of


@dataclass(frozen=True)
class Interface:
    """What a served model must know of its panel besides the numbers; ``""`` and 0 mean: ask the caller.

    ``variables`` maps a variable to its attrs (units, long_name, role …), ``places`` a fixed node to (lat,
    lon).

    >>> Interface.from_json(Interface("pm25", "1h", 24).to_json()) == Interface("pm25", "1h", 24)
    True
    """

    target: str = ""
    step: str = ""
    horizon: int = 0
    quantiles: tuple[float, ...] = QUANTILES
    domain: str = "served"
    kind: str = "sensor"
    variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: xr.Dataset, request: Request) -> Interface:
        """Take over from the panel and request that a forecaster is used with."""
        panel = check_panel(panel)
        variables = {str(name): {key: str(value) for key, value in panel[name].attrs.items()
                                 if isinstance(value, str | int | float)} for name in panel.data_vars}
        places = {}
        if "lat" in panel.coords and panel["lat"].dims == ("node",):
            places = {str(node): (float(lat), float(lon)) for node, lat, lon in
                      zip(panel["node"].values, panel["lat"].values, panel["lon"].values, strict=True)}
        return cls(request.target, str(panel.attrs["step"]), request.horizon, tuple(request.quantiles),
                   str(panel.attrs["domain"]), str(panel.attrs["kind"]), variables, places)

    def to_json(self) -> str:
        """The interface as JSON text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Interface:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        raw["quantiles"] = tuple(raw["quantiles"])
        raw["places"] = {node: (place[0], place[1]) for node, place in raw["places"].items()}
        return cls(**raw)

    def asked(self, frame: pd.DataFrame, params: Mapping[str, object]) -> tuple[xr.Dataset, Request]:
        """The panel and the request that a table and the caller's ``params`` amount to.

        ``params`` may set ``target``, ``horizon``, ``step`` and ``issue_time`` (default: the last stamp of
        the table). Values after the issue time are blanked, except of a variable whose role is
        ``future_driver``. O(rows). Raises ``RegistryError`` where the table cannot be read so.

        >>> stamps = pd.date_range("2024-01-01", periods=3, freq="h").repeat(2)
        >>> table = pd.DataFrame({"time": stamps, "node": ["a", "b"] * 3, "pm25": np.arange(6.0)})
        >>> panel, request = Interface().asked(table, {"horizon": 2})
        >>> dict(panel.sizes), request.target, request.horizon
        ({'time': 3, 'node': 2}, 'pm25', 2)
        """
        names = [str(name) for name in frame.columns if name not in ("time", "node", "lat", "lon")]
        target = str(params.get("target") or self.target or (names[0] if len(names) == 1 else ""))
        if target not in names or not {"time", "node"} <= set(frame.columns):
            raise _unreadable(f"columns are {', '.join(map(str, frame.columns))}",
                              f"time, node and the target {target or '(not named)'}",
                              "name the columns so, or the target in params")
        horizon = int(str(params.get("horizon") or self.horizon))
        if horizon < 1:
            raise _unreadable("no horizon", "a number of steps", 'pass params={"horizon": 24}')
        panel = self._panel(frame, names, str(params.get("step") or self.step))
        said = params.get("issue_time")
        issue = np.datetime64(str(said), "ns") if said else panel["time"].to_numpy()[-1]
        return _blanked(panel, issue), Request(target, issue, horizon, step_of(panel), self.quantiles)

    def _panel(self, frame: pd.DataFrame, names: list[str], step: str) -> xr.Dataset:
        table = frame.assign(time=pd.to_datetime(frame["time"]).astype("datetime64[ns]"),
                             node=frame["node"].astype(str))
        if table.empty or table.duplicated(["time", "node"]).any():
            raise _unreadable("no rows" if table.empty else "two rows for one time and node",
                              "one row per time and node", "give history, and keep one row each")
        stamps = np.unique(table["time"].to_numpy())
        step = step or (str(pd.Timedelta(np.diff(stamps).min())) if len(stamps) > 1 else "")
        if not step:
            raise _unreadable("the step cannot be told from one stamp", "two stamps or a step",
                              'pass params={"step": "1h"}')
        clock = np.arange(stamps[0], stamps[-1] + 1, pd.Timedelta(step).to_timedelta64())
        if not np.isin(stamps, clock).all():
            raise _unreadable("stamps are off the clock", f"stamps every {step}", "resample the table")
        moving = [name for name in ("lat", "lon") if name in frame.columns]
        rows = table.set_index(["time", "node"])
        grids = {name: rows[name].unstack("node").reindex(clock) for name in (*names, *moving)}
        nodes = [str(node) for node in grids[names[0]].columns]
        panel = xr.Dataset(
            {name: (("time", "node"), grids[name].to_numpy("float64"), self._attrs(name)) for name in names},
            {"time": clock, "node": nodes}, {"domain": self.domain, "kind": self.kind, "step": step})
        if moving:
            panel = panel.assign_coords({name: (("time", "node"), grids[name].to_numpy("float64"))
                                         for name in moving})
        elif self.places and all(node in self.places for node in nodes):
            panel = panel.assign_coords(lat=("node", [self.places[node][0] for node in nodes]),
                                        lon=("node", [self.places[node][1] for node in nodes]))
        return check_panel(panel)

    def _attrs(self, name: str) -> dict[str, str]:
        return {"units": "1", "long_name": name, **self.variables.get(name, {})}


def _unreadable(what: str, expected: str, remedy: str) -> RegistryError:
    return RegistryError(what, where="table given to the served model", expected=expected, remedy=remedy)


def _blanked(panel: xr.Dataset, issue: np.datetime64) -> xr.Dataset:
    """Remove what lies after the issue time, save future drivers."""
    ahead = [name for name in panel.data_vars if panel[name].attrs.get("role") == "future_driver"]
    if not ahead:
        return panel.sel(time=slice(None, issue))
    past = panel["time"] <= issue
    return panel.assign({name: panel[name].where(past) for name in panel.data_vars if name not in ahead})


def table_of(panel: xr.Dataset) -> pd.DataFrame:
    """A panel as a tidy table: columns time, node, the variables, and lat and lon where nodes move."""
    moving = [name for name in ("lat", "lon")
              if name in panel.coords and panel[name].dims == ("time", "node")]
    plain = panel.drop_vars([name for name in panel.coords if name not in ("time", "node", *moving)])
    table = plain.to_dataframe().reset_index()
    return table[["time", "node", *map(str, panel.data_vars), *moving]]


def table_of_forecast(forecast: xr.Dataset, target: str, step: np.timedelta64) -> pd.DataFrame:
    """A forecast as a tidy table: issue_time, lead (steps), valid_time, node, quantile, value."""
    plain = forecast[[target]].drop_vars([name for name in ("lat", "lon") if name in forecast.coords])
    table = plain.to_dataframe().reset_index().rename(columns={target: "value"})
    table["lead"] = (table["lead"].to_numpy("timedelta64[ns]") // step).astype("int64")
    table["value"] = table["value"].astype("float64")
    return table[["issue_time", "lead", "valid_time", "node", "quantile", "value"]]
