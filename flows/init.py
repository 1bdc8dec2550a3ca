"""``terracast init``: look into a data file and write a commented ``terracast.toml`` for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from terracast.adapt.monitoring.detection.alarm_threshold import COOLDOWN_BLOCKS
from terracast.flows.cli.output import note
from terracast.flows.service.spans import YEAR, Spans, spans_for
from terracast.flows.settings import SettingsError, in_words
from terracast.flows.settings.names import as_domain, stream_name
from terracast.stfm.bases import check_name
from terracast.streams.clock import DAY, Clock, span
from terracast.streams.kinds.counts import is_counted
from terracast.streams.readers import read
from terracast.streams.sources.kind_start import KindStart, kind_start

# CF standard names of the atmosphere's own state: they drive other domains and form the domain "weather".
WEATHER = frozenset({
    "air_temperature", "air_pressure", "air_pressure_at_mean_sea_level", "surface_air_pressure",
    "dew_point_temperature", "relative_humidity", "specific_humidity", "precipitation_amount",
    "precipitation_flux", "rainfall_amount", "snowfall_amount", "wind_speed", "wind_from_direction",
    "wind_speed_of_gust", "eastward_wind", "northward_wind", "cloud_area_fraction",
    "surface_downwelling_shortwave_flux_in_air",
})

COOLDOWN = pd.Timedelta("14D")
LEARNED = pd.Timedelta("84D")
CENTURY = 100 * YEAR
SEARCHED = 1461  # steps that discovery reads, at least: a year of days is too few for a dozen series
TEMPLATE = """\
# Settings of the watched stream {name}. `terracast config show` prints every setting in force.

[stream]
name = {name}
domain = {domain}
target = {target}          # the variable that is forecast
step = "{step}"
horizon = "{horizon}"        # the largest lead
cadence = "{cadence}"         # a forecast is issued, and the loop takes a step, this often
history = "{history}"         # how much of the past the model sees
label_timeout = "{label_timeout}"   # how long a late label is waited for before a forecast is scored without it
false_alarms_per_month = {alarms}   # over the whole network: the one number behind every threshold

[store]
location = "store"       # a folder, or s3://bucket/prefix

[registry]
tracking = "sqlite:///mlflow.db"
artifacts = "artifacts"

[base]
model = {model}         # native: fitted anew to this stream; shipped: pre-trained; counts: of events; or your own
first_fit = "{first_fit}"   # past needed before service begins{waits}
steps = 800
seed = 1

[monitor]
detector = "scan"        # scan, adwin, page-hinkley, kswin, or module:Class; all keep false_alarms_per_month

[adapt]
policy = "loop"          # frozen, weekly, drift-only, loop, mixture (loop with closed-form experts), or ladder
# rungs = ["output-recursive", "continue"]   # of the ladder; none named: the usual ones, from cheap to dear
cooldown = "{cooldown}"         # alarms of one change within this time are one episode
window = "{learned}"           # past that a fine-tune learns from
steps = 200

[discovery]
# knowledge = "knowledge.txt"   # lines such as: air.* never causes weather.*
max_lag = 8
alpha = 0.01
window = "{window}"        # how much of the past a search reads
most_drivers = 6
{sources}"""

SOURCE = """
[[sources]]
type = "files"           # or mqtt, push, sql, or one of your own
domain = {domain}
path = {path}          # a file, a folder, or a pattern
variables = [{variables}]
{kind}{clock}{delay}"""
DELAY = 'delay = "{step}"             # a value is known this long after its stamp; or: known_time = "column"\n'


def write_settings(name: str, data: Path, out: Path, *, target: str | None = None, model: str | None = None,
                   kind: str | None = None) -> Path:
    """Write ``terracast.toml`` into the folder ``out`` for the file ``data``; refuses to overwrite one.

    ``model``: what is forecast with: native, shipped, counts, or a base of your own; None: counts where the target
    counts what happened, else native. ``kind``: sensor, raster, point,
    trajectory or event, where the file does not show it.

    The target and whatever is not weather become the domain that bears the stream's name, other variables whose CF
    standard name is of the atmosphere the domain ``weather``.
    """
    config = out / "terracast.toml"
    if config.exists():
        raise SettingsError("settings are already there", where=str(config), expected="a folder without terracast.toml",
                            remedy="edit it, or name another folder with --folder")
    try:
        check_name(model or "native")
    except ValueError as error:
        what, _, names = str(error).partition(": ")
        raise SettingsError(what, where="--model", expected=names, remedy="name one of them") from None
    name, domain = _named(name)
    start = kind_start(data, domain, kind)
    panel = read(data, domain=domain) if start is None else start.panel
    target = _target(panel, target, data)
    model = model or ("counts" if is_counted(panel[target]) else "native")
    domains = _domains(panel, domain, target)
    clock = Clock.of(panel.attrs)
    step = pd.Timedelta(clock.step)
    length = pd.Timedelta(panel["time"].values[-1] - panel["time"].values[0]) + step
    spans = spans_for(step, length)
    out.mkdir(parents=True, exist_ok=True)
    path = os.path.relpath(data.resolve(), out.resolve())
    delay = DELAY.format(step=in_words(step)) if start is None or "delay" not in start.keys else ""
    sources = "".join(SOURCE.format(domain=_quoted(held), path=_quoted(path), clock=_clock_lines(clock), delay=delay,
                                    kind="" if start is None else _kind_lines(start),
                                    variables=", ".join(map(_quoted, variables)))
                      for held, variables in domains.items())
    config.write_text(TEMPLATE.format(name=_quoted(name), domain=_quoted(domain), target=_quoted(target),
                                      model=_quoted(model), sources=sources, **_times(step, spans)), encoding="utf-8")
    for words in () if start is None else start.notes:
        note(words)
    _say_what_was_chosen(name, domain, spans, length)
    return config


def _named(name: str) -> tuple[str, str]:
    """The stream's name, checked, and the domain that bears it."""
    try:
        name = stream_name(name)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise SettingsError(what, where="terracast init NAME", remedy=remedy,
                            expected="letters, digits, spaces, and . , ( ) + - _") from None
    return name, as_domain(name)


def _say_what_was_chosen(name: str, domain: str, spans: Spans, length: pd.Timedelta) -> None:
    if domain != name:
        note(f"the domain is {domain}: a domain's name holds no spaces or dots")
    if spans.first_fit > length:
        note(f"the file holds {length / DAY:.3g} days: service begins once {spans.first_fit / DAY:.3g} are known")
    elif not spans.yearly and length < YEAR - DAY:
        note(f"the file holds {length / DAY:.3g} days, less than a year: yearly seasons are not known yet")


def _domains(panel: xr.Dataset, name: str, target: str) -> Mapping[str, list[str]]:
    """Variables by domain. The target stays in its own domain, weather or not, with what is not weather; where only
    weather is there, or the stream itself is called weather, it is one domain."""
    every = [str(variable) for variable in panel.data_vars]
    weather = [variable for variable in every
               if panel[variable].attrs.get("standard_name") in WEATHER and variable != target]
    own = [variable for variable in every if variable not in weather]
    if not weather or name == "weather" or all(panel[one].attrs.get("standard_name") in WEATHER for one in own):
        return {name: every}
    return {name: own, "weather": weather}


def _target(panel: xr.Dataset, target: str | None, data: Path) -> str:
    """The variable asked for, or the first that is not weather, or the first."""
    every = [str(variable) for variable in panel.data_vars]
    if target is None:
        return next((one for one in every if panel[one].attrs.get("standard_name") not in WEATHER), every[0])
    if target not in every:
        raise SettingsError(f"no variable {target!r}", where=str(data), expected="one of " + ", ".join(every),
                            remedy="name one of them with --target")
    return target


def _times(step: pd.Timedelta, spans: Spans) -> dict[str, str]:
    waits = "" if spans.yearly else "; less than a year: yearly seasons are not known yet"
    # One false alarm a month is one in thirty looks where a day is looked at as a whole; longer steps keep that share.
    alarms = 1.0 if step <= DAY else float(f"{DAY / step:.1g}")
    lengths = {"step": step, "horizon": spans.horizon, "cadence": spans.cadence, "history": spans.history,
               "label_timeout": max(2 * spans.horizon, step), "first_fit": spans.first_fit,
               "window": max(YEAR, min(SEARCHED, CENTURY // step) * step),
               "cooldown": max(COOLDOWN, COOLDOWN_BLOCKS * step), "learned": max(LEARNED, 2 * spans.history)}
    return {name: in_words(length) for name, length in lengths.items()} | {"waits": waits, "alarms": f"{alarms}"}


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


def _kind_lines(start: KindStart) -> str:
    """The keys of a source that is no table of stations, and those that may be set, as comments."""
    return "".join(f"{line}\n" for line in (f'kind = "{start.kind}"', *(f"{key} = {value}" for key, value in
                                                                      start.keys.items()),
                                            *(f"# {hint}" for hint in start.hints)))


def _quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False)
