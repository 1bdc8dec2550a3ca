"""A picture of each kind: matplotlib figures (no global state, nothing is shown or saved)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from terracast.streams.instant import instant
from terracast.streams.kinds import counts as sparse
from terracast.streams.kinds import raster
from terracast.streams.kinds.graph import Graph
from terracast.streams.kinds.sensor import lifetimes

INK, MUTED, ACCENT = "#2d353b", "#9aa5ab", "#2a78b5"
NODES_DRAWN = 8
STEPS_DRAWN = 600


def plot_sensor(panel: xr.Dataset, variable: str, graph: Graph | None = None) -> Figure:
    """Series of a few nodes, when each node was in service, and (with positions) the map with its graph."""
    on_map = "lat" in panel.coords and panel["lat"].dims == ("node",)
    figure = Figure(figsize=(11, 5), layout="constrained")
    places = [["series", "map"], ["life", "map"]] if on_map else [["series"], ["life"]]
    axes_of: dict[str, Axes] = figure.subplot_mosaic(places, width_ratios=[1.4, 1] if on_map else None)
    series, life = axes_of["series"], axes_of["life"]
    held = panel[variable].transpose("time", "node")
    chosen = np.unique(np.linspace(0, held.sizes["node"] - 1, NODES_DRAWN).astype(int))
    few = held.isel(node=chosen).coarsen(time=max(1, held.sizes["time"] // STEPS_DRAWN), boundary="trim").mean()
    series.plot(few["time"].values, few.values, linewidth=0.8, alpha=0.85)
    _title(series, _named(held), _units(held))
    seen = lifetimes(panel).sort_values("first_seen", ascending=False)
    days = pd.DatetimeIndex(seen["first_seen"]), pd.DatetimeIndex(seen["last_seen"])
    life.hlines(np.arange(len(seen)), *(one.to_numpy() for one in days), color=ACCENT, linewidth=max(1, 60 / len(seen)))
    _title(life, f"In service: {int(seen['first_seen'].notna().sum())} nodes", "node")
    for axes in (series, life):
        _dates(axes)
    if on_map:
        _map(axes_of["map"], panel, graph)
    return figure


def plot_raster(panel: xr.Dataset, variable: str, time: np.datetime64 | str) -> Figure:
    """One step of a raster as a map; cells outside the mask stay white. Reads that step only."""
    step = panel.sel(time=[instant(time)])
    grid = raster.to_grid(step)[variable].isel(time=0).compute()
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.pcolormesh(grid["lon"].values, grid["lat"].values, grid.values, cmap="viridis", shading="nearest")
    figure.colorbar(image, ax=axes, label=_units(grid), shrink=0.9)
    label = (str(step["calendar_time"].values[0])[:10] if "calendar_time" in step.coords
             else _stamp(step["time"].values[0]))
    _title(axes, f"{_named(grid)}\n{label}", "latitude")
    _geographic(axes, grid["lat"].values)
    return figure


def plot_point(panel: xr.Dataset, variable: str, time: np.datetime64 | str, tail: int = 12) -> Figure:
    """Where the moving nodes are at a stamp, coloured by a variable, with the way of the last ``tail`` steps."""
    row = int(np.searchsorted(panel["time"].values, instant(time)))
    part = panel.isel(time=slice(max(0, row - tail), row + 1))
    lat, lon = (part[name].transpose("time", "node").values for name in ("lat", "lon"))
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    apart = np.abs(np.diff(lon, axis=0, prepend=lon[:1])) > 180  # do not draw across the date line
    axes.plot(np.where(apart, np.nan, lon), lat, color=MUTED, linewidth=0.8)
    values = part[variable].transpose("time", "node").values[-1]
    dots = axes.scatter(lon[-1], lat[-1], c=values, s=26, cmap="viridis", edgecolors=INK, linewidths=0.4, zorder=3)
    figure.colorbar(dots, ax=axes, label=_units(panel[variable]), shrink=0.9)
    _title(axes, f"{_named(panel[variable])}\n{_stamp(part['time'].values[-1])}", "latitude")
    _geographic(axes, lat)
    return figure


def plot_trajectory(tracks: xr.Dataset) -> Figure:
    """All tracks on a map, a colour each."""
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    axes = figure.add_subplot()
    ends = np.cumsum(tracks["row_size"].values)[:-1]
    lines = zip(np.split(tracks["lon"].values, ends), np.split(tracks["lat"].values, ends), strict=True)
    for place, (lon, lat) in enumerate(lines):
        name = str(tracks["trajectory"].values[place]) if tracks.sizes["trajectory"] <= 12 else None
        line = axes.plot(lon, lat, linewidth=1.2, alpha=0.85, label=name)[0]
        axes.plot(lon[:1], lat[:1], marker="o", markersize=4, color=line.get_color())
    if tracks.sizes["trajectory"] <= 12:
        axes.legend(title="track (dot: start)", frameon=False, fontsize=8, title_fontsize=8)
    _title(axes, f"{tracks.sizes['trajectory']} tracks, {tracks.sizes['obs']} positions", "latitude")
    _geographic(axes, tracks["lat"].values)
    return figure


def plot_event(counts: xr.Dataset) -> Figure:
    """Sparse counts: the total per cell on a map, the total per step, and by hour of the day (its own stamps)."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    place, day, hour = figure.subplot_mosaic([["map", "days"], ["map", "hours"]], width_ratios=[1, 1.1]).values()
    many = counts["count"].values
    total = np.bincount(counts["cell"].values, weights=many, minlength=counts.sizes["node"])
    if "lat" in counts.coords:
        some = total > 0
        dots = place.scatter(counts["lon"].values[some], counts["lat"].values[some], c=total[some], cmap="viridis",
                             norm=LogNorm(), s=max(6.0, 8000 / max(int(some.sum()), 1)), marker="s")
        figure.colorbar(dots, ax=place, label="events", shrink=0.8)
        _geographic(place, counts["lat"].values[some])
    zeros = f"{counts.attrs['zero_share']:.1%} of cells and steps are zero"
    _title(place, f"{int(total.sum())} events, {zeros}", "latitude")
    stamp = sparse.times_of(counts)[counts["step_number"].values]
    days = (stamp.astype("datetime64[D]") - stamp.astype("datetime64[D]").min()).astype(int)
    per_day = np.bincount(days, weights=many)
    day.plot(stamp.astype("datetime64[D]").min() + np.arange(len(per_day)), per_day, color=ACCENT, linewidth=0.7)
    _title(day, "A day", "events")
    _dates(day)
    if pd.Timedelta(counts.attrs["step"]) <= pd.Timedelta("1h"):
        hours = stamp.astype("datetime64[h]").astype(int) % 24
        hour.bar(np.arange(24), np.bincount(hours, weights=many, minlength=24), color=ACCENT, width=0.8)
        hour.set_xlabel("hour of the day")
        _title(hour, "By hour (look for heaps at 0 and 12)", "events")
    else:
        hour.remove()
    return figure


def _map(axes: Axes, panel: xr.Dataset, graph: Graph | None) -> None:
    lat, lon = panel["lat"].values, panel["lon"].values
    if graph is not None:
        known = graph.among([str(name) for name in panel["node"].values])
        ends = np.stack([np.stack([lon[known.source], lat[known.source]], -1),
                         np.stack([lon[known.target], lat[known.target]], -1)], axis=1)
        axes.add_collection(LineCollection(list(ends), colors=MUTED, linewidths=0.6, zorder=1))
    axes.scatter(lon, lat, s=18, color=ACCENT, edgecolors="white", linewidths=0.5, zorder=2)
    _title(axes, f"{len(lat)} nodes" + (f", {len(graph)} edges" if graph is not None else ""), "latitude")
    _geographic(axes, lat)


def _geographic(axes: Axes, lat: np.ndarray) -> None:
    axes.set_xlabel("longitude", color=INK, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_aspect(1 / max(float(np.cos(np.deg2rad(np.nanmean(lat)))), 0.2))


def _dates(axes: Axes) -> None:
    untyped: Any = dates  # its classes say no types
    locator = untyped.AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))


def _title(axes: Axes, words: str, y: str) -> None:
    axes.set_title(words, loc="left", fontsize=10, color=INK)
    axes.set_ylabel(y, color=INK, fontsize=9)
    axes.tick_params(labelsize=8, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _named(held: xr.DataArray) -> str:
    return str(held.attrs.get("long_name", held.name))


def _units(held: xr.DataArray) -> str:
    return str(held.attrs.get("units", ""))


def _stamp(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "m")).replace("T", " ")
