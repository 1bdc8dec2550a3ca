"""``terracast init``: look into a data file and write a commented ``terracast.toml`` for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pandas as pd
import xarray as xr

from flows.settings import Model, SettingsError, in_words
from streams.clock import DAY, MONTH, Clock, span
from streams.readers import read

# CF standard names of the atmosphere's own state: they drive other domains and form the domain "weather".
WEATHER = frozenset({
    "air_temperature", "air_pressure", "air_pressure_at_mean_sea_level", "surface_air_pressure",
    "dew_point_temperature", "relative_humidity", "specific_humidity", "precipitation_amount",
    "precipitation_flux", "rainfall_amount", "snowfall_amount", "wind_speed", "wind_from_direction",
    "wind_speed_of_gust", "eastward_wind", "northward_wind", "cloud_area_fraction",
    "surface_downwelling_shortwave_flux_in_air",
})

TEMPLATE = """\
# Settings of the watched stream {name!r}. `terracast config show` prints every setting in force.

[stream]
name = "{name}"
domain = "{domain}"
target = "{target}"          # the variable that is forecast
step = "{step}"
horizon = "{horizon}"        # the largest lead
cadence = "{cadence}"         # a forecast is issued, and the loop takes a step, this often
history = "{history}"         # how much of the past the model sees
patience = "{patience}"        # how long a late label is waited for before a forecast is scored without it
false_alarms_per_month = {alarms}   # over the whole network: the one number behind every threshold

[store]
location = "store"       # a folder, or s3://bucket/prefix

[registry]
tracking = "sqlite:///mlflow.db"
artifacts = "artifacts"

[base]
model = "{model}"         # native: fitted anew to this stream; shipped: the pre-trained base, continued on it
first_fit = "{first_fit}"   # past needed before service begins
steps = 800
seed = 1

[adapt]
policy = "loop"          # frozen, weekly, drift-only, loop, mixture (loop with closed-form experts), or ladder
# rungs = ["output-recursive", "continue"]   # of the ladder; none named: the usual ones, from cheap to dear
cooldown = "14d"         # alarms of one change within this time are one episode
window = "84d"           # past that a fine-tune learns from
steps = 200

[discovery]
# knowledge = "knowledge.txt"   # lines such as: air.* never causes weather.*
max_lag = 8
alpha = 0.01
window = "365d"
most_drivers = 6
{sources}"""

SOURCE = """
[[sources]]
domain = "{domain}"
path = "{path}"          # a file, a folder, or a pattern
variables = [{variables}]
{clock}delay = "{step}"             # a value is known this long after its stamp; or: known_time = "column"
"""


def write_settings(name: str, data: Path, out: Path, *, target: str | None = None, model: str = "native") -> Path:
    """Write ``terracast.toml`` into the folder ``out`` for the file ``data``; refuses to overwrite one.

    ``model``: what is forecast with, native or shipped.

    Variables whose CF standard name is of the atmosphere become the domain ``weather``, the others ``name``.
    """
    config = out / "terracast.toml"
    if config.exists():
        raise SettingsError("settings are already there", where=str(config), expected="a folder without terracast.toml",
                            remedy="edit it, or name another folder with --folder")
    if model not in get_args(Model):
        raise SettingsError(f"no model {model!r}", where="--model", expected=" or ".join(get_args(Model)),
                            remedy="name one of them")
    panel = read(data, domain=name)
    domains = _domains(panel, name)
    target = _target(panel, domains[name], target, data)
    clock = Clock.of(panel.attrs)
    step = pd.Timedelta(clock.step)
    out.mkdir(parents=True, exist_ok=True)
    path = os.path.relpath(data.resolve(), out.resolve())
    sources = "".join(SOURCE.format(domain=domain, path=path, step=in_words(step), clock=_clock_lines(clock),
                                    variables=", ".join(f'"{variable}"' for variable in variables))
                      for domain, variables in domains.items())
    config.write_text(TEMPLATE.format(name=name, domain=name, target=target, model=model, sources=sources,
                                      **_times(step)),
                      encoding="utf-8")
    return config


def _domains(panel: xr.Dataset, name: str) -> Mapping[str, list[str]]:
    weather = [str(variable) for variable in panel.data_vars
               if panel[variable].attrs.get("standard_name") in WEATHER]
    own = [str(variable) for variable in panel.data_vars if str(variable) not in weather]
    if not own or not weather:
        return {name: own or weather}
    return {name: own, "weather": weather}


def _target(panel: xr.Dataset, own: list[str], target: str | None, data: Path) -> str:
    if target is None:
        return own[0]
    if target not in panel.data_vars:
        raise SettingsError(f"no variable {target!r}", where=str(data), expected="one of " + ", ".join(own),
                            remedy="name one of them with --target")
    return target


def _times(step: pd.Timedelta) -> dict[str, str]:
    """Times that fit the step: a day ahead for hourly data, 24 steps for minutes, 7 or 4 steps for days or weeks."""
    if step >= MONTH:
        horizon, cadence, history, first = max(6 * MONTH // step, 2) * step, step, 48 * step, 96 * step
    elif step >= pd.Timedelta("7D"):
        horizon, cadence, history, first = 4 * step, step, 52 * step, 156 * step
    elif step >= pd.Timedelta("1D"):
        horizon, cadence, history, first = 7 * step, step, 60 * step, pd.Timedelta("730D")
    elif step >= pd.Timedelta("30min"):
        horizon, cadence, history, first = (pd.Timedelta("1D"), pd.Timedelta("6h"), pd.Timedelta("7D"),
                                            pd.Timedelta("365D"))
    else:
        horizon, cadence, history, first = 12 * step, 3 * step, 288 * step, 1152 * step
    spans = {"step": step, "horizon": horizon, "cadence": cadence, "history": history,
             "patience": max(2 * horizon, step), "first_fit": first}
    # One false alarm a month is one in thirty looks where a day is looked at as a whole; longer steps keep that share.
    alarms = 1.0 if step <= DAY else round(DAY / step, 2)
    return {name: in_words(length) for name, length in spans.items()} | {"alarms": f"{alarms:g}"}


def _clock_lines(clock: Clock) -> str:
    """What is written of a source's clock: the step, and what is not plain about it."""
    told = clock.attrs
    lines = [f'step = "{in_words(span(told["step"]))}"']
    if "anchor" in told:
        lines.append(f'anchor = "{told["anchor"]}"   # one stamp of the clock, UTC: the others lie whole steps away')
    if "calendar" in told:
        what = "steps are calendar months" if clock.calendar == "month" else "days are counted in this time zone"
        lines.append(f'calendar = "{told["calendar"]}"   # {what}')
    return "".join(f"{line}\n" for line in lines)
