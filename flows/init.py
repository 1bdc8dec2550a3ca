"""``terracast init``: look into data files and write a commented ``terracast.toml`` for them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from terracast.adapt.monitoring.detection.alarm_threshold import COOLDOWN_BLOCKS
from terracast.flows.look import refuse_undecided, understood
from terracast.flows.service.spans import YEAR, Spans, spans_for, usual_spans
from terracast.flows.settings import SettingsError, in_words
from terracast.flows.settings.names import as_domain, stream_name, variable_name
from terracast.flows.terminal.output import note
from terracast.stfm.bases import DEFAULT, check_name, is_zero_shot
from terracast.streams.clock import DAY, span
from terracast.streams.kinds.counts import is_counted
from terracast.streams.printable import printable
from terracast.streams.schema.domains import side_in, side_of_all
from terracast.streams.schema.file_schema import FileSchema, SourceSchema

COOLDOWN = pd.Timedelta("14D")
LEARNED = pd.Timedelta("84D")
CENTURY = 100 * YEAR
SEARCHED = 1461  # steps that discovery reads, at least: a year of days is too few for a dozen series
MOST_READ = 105_120  # steps that discovery or a fine-tune reads, at most: a year of five minutes
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
model = {model}        # shipped: pre-trained; counts: of events; native: fitted anew to this stream; or your own
{first_fit}seed = 1

[monitor]
detector = "scan"        # scan, adwin, page-hinkley, kswin, or module:Class; all keep false_alarms_per_month
holidays = "auto"        # days that are no news: of where the places lie, if they differ; or none, DE, DE-NW

[adapt]
policy = "mixture"       # loop with closed-form experts beside the base; or frozen, weekly, drift-only, loop, ladder
# rungs = ["output-recursive", "continue"]   # of the ladder; or module:Class; none named: the usual ones
cooldown = "{cooldown}"         # alarms of one change within this time are one episode
window = "{learned}"           # past that a fine-tune learns from
steps = 200
# approval = "promotion"   # a person must agree before a version serves; everything: before a training, too

[discovery]
# knowledge = "knowledge.txt"   # lines such as: air.* never causes weather.*
max_lag = 8
alpha = 0.01
window = "{window}"        # how much of the past a search reads
most_drivers = 6

# [alerts]               # who is told, by Apprise's addresses; try them with `terracast alerts --test`
# to = ["mailtos://ann:$MAIL_KEY@example.org"]   # $NAME: from the environment; or drift, data, graph, system = [...]
# quiet_hours = "22:00-07:00"
{sources}"""

SOURCE = """
[[sources]]
type = "files"           # or mqtt, push, sql, or one of your own
domain = {domain}
path = {path}          # a file, a folder, or a pattern
{reading}delay = {delay}             # a value is known this long after its stamp; or: known_time = "column"
"""


def write_settings(name: str, data: Path | Sequence[Path], out: Path, *, target: str | None = None,
                   model: str | None = None, reading: Mapping[str, Any] | None = None) -> Path:
    """Write ``terracast.toml`` into the folder ``out`` for files; refuses to overwrite one.

    Parameters
    ----------
    name : str
        The stream's name; the domain of the target bears it.
    data : Path or sequence of Path
        The file of the target first.
    out : Path
        The folder.
    target : str, optional
        The variable that is forecast; default the first that is neither weather nor of the calendar.
    model : str, optional
        What is forecast with: shipped, counts, native, or a base of your own; default counts where the target counts
        what happened, else shipped.
    reading : mapping, optional
        How files are read, where they do not show it (see ``flows.cli.reading_options``).
    """
    config = config_of(out, model)
    schemas = understand_all(name, [data] if isinstance(data, Path) else data, target, reading or {})
    return write_for(name, schemas, out, config, target, model, reading or {})


def config_of(out: Path, model: str | None) -> Path:
    """Where the settings will lie. Raises ``SettingsError`` where there are some, or the model is unknown."""
    config = out / "terracast.toml"
    if config.exists():
        raise SettingsError("settings are already there", where=str(config), expected="a folder without terracast.toml",
                            remedy="edit it, name another folder with --folder, or type `terracast add FILE`")
    try:
        check_name(model or DEFAULT)
    except ValueError as error:
        what, _, names = str(error).partition(": ")
        raise SettingsError(what, where="--model", expected=names, remedy="name one of them") from None
    return config


def understand_all(name: str, data: Sequence[Path], target: str | None, reading: Mapping[str, Any]) -> list[FileSchema]:
    """Every file as it is understood: the first one's own domain bears the stream's name, others that of their file, or
    the same where they hold the same."""
    _, domain = _named(name)
    schemas = [understood(data[0], reading, domain, target)]
    for path in data[1:]:
        one = understood(path, {key: value for key, value in reading.items() if key != "domain"} | _pairs_only(reading))
        schemas.append(_in_known_domains(one, schemas[0]))
    return schemas


def _pairs_only(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Domains of single variables hold for every file; one for a whole file for the first."""
    pairs = [text for text in reading.get("domain", ()) if "=" in text]
    return {"domain": pairs} if pairs else {}


def _in_known_domains(schema: FileSchema, first: FileSchema) -> FileSchema:
    """A further file of the variables and step of the first is of its domain; one of weather alone is weather."""
    held = {(tuple(map(str, one.panel.data_vars)), one.step): one.domain for one in first.sources}
    own = as_domain(schema.path.stem)
    sources = []
    for one in schema.sources:
        variables = tuple(map(str, one.panel.data_vars))
        domain = held.get((variables, one.step))
        if domain is None and one.domain == own:
            domain = side_of_all(one.panel) or None
        sources.append(one if domain is None else replace(one, domain=domain))
    return replace(schema, sources=tuple(sources))


def write_for(name: str, schemas: Sequence[FileSchema], out: Path, config: Path, target: str | None, model: str | None,
              reading: Mapping[str, Any]) -> Path:
    """Write settings for files that were understood."""
    for schema in schemas:
        refuse_undecided(schema)
        _refuse_names(schema)
    name, domain = _named(name)
    main = schemas[0].sources[0]
    chosen = _target(main.panel, schemas[0], target)
    model = model or ("counts" if is_counted(main.panel[chosen]) else DEFAULT)
    step = main.step
    time = main.panel["time"].values
    length = pd.Timedelta(time[-1] - time[0]) + step
    spans = usual_spans(step) if is_zero_shot(model, None) else spans_for(step, length)
    out.mkdir(parents=True, exist_ok=True)
    sources = "".join(source_lines(schema, source, out, reading.get("delay"))
                      for schema in schemas for source in schema.sources)
    delay = reading.get("delay") or main.options.get("delay")
    times = _times(step, spans, span(delay) if delay else step)
    config.write_text(TEMPLATE.format(name=_quoted(name), domain=_quoted(main.domain), target=_quoted(chosen),
                                      model=_quoted(model), sources=sources, first_fit=_waiting(model, spans),
                                      **times), encoding="utf-8")
    _say_what_was_chosen(name, domain, model, spans, length)
    return config


def _refuse_names(schema: FileSchema) -> None:
    """Raise ``SettingsError`` where a variable has a name that settings cannot hold, before anything is written."""
    for name in (str(one) for source in schema.sources for one in source.panel.data_vars):
        try:
            variable_name(name)
        except ValueError as error:
            raise SettingsError(str(error).partition(";")[0], where=schema.path.name,
                                expected="a name of one line, without control characters",
                                remedy="rename the column") from None


def source_lines(schema: FileSchema, source: SourceSchema, out: Path, delay: str | None = None) -> str:
    """One of [[sources]] as it is written: every option with what it was found from."""
    path = os.path.relpath(schema.path.resolve(), out.resolve())
    options = {name: value for name, value in source.options.items() if name != "delay"}
    order = ("variables", "units", "step", "anchor", "calendar")
    lines = [_option_line(name, options[name], source.why.get(name, "")) for name in order if name in options]
    lines += [_option_line(name, value, source.why.get(name, "")) for name, value in options.items()
              if name not in order]
    lines += [f"# {_option_line(name, value, why)}" for name, (value, why) in schema.proposed.items()
              if name not in options]
    held = delay or source.options.get("delay") or in_words(source.step)
    return SOURCE.format(domain=_quoted(source.domain), path=_quoted(path), reading="".join(lines),
                         delay=_quoted(held))


def _option_line(name: str, value: Any, why: str) -> str:
    text = in_words(span(value)) if name == "step" else value
    return f"{name} = {_toml(text)}" + (f"   # {printable(' '.join(why.split()))}" if why else "") + "\n"


def _toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(key))} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else _quoted(str(value))


def _named(name: str) -> tuple[str, str]:
    """The stream's name, checked, and the domain that bears it."""
    try:
        name = stream_name(name)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise SettingsError(what, where="terracast init NAME", remedy=remedy,
                            expected="letters, digits, spaces, and . , ( ) + - _") from None
    return name, as_domain(name)


def _waiting(model: str, spans: Spans) -> str:
    """The line on how long a base that must be fitted waits; nothing for one that is taken as it is."""
    if is_zero_shot(model, None):
        return ""
    waits = "" if spans.yearly else "; less than a year: yearly seasons are not known yet"
    return f'first_fit = "{in_words(spans.first_fit)}"   # past needed before service begins{waits}\n'


def _say_what_was_chosen(name: str, domain: str, model: str, spans: Spans, length: pd.Timedelta) -> None:
    if domain != name:
        note(f"the domain is {domain}: a domain's name holds no spaces or dots")
    if is_zero_shot(model, None):
        return
    if spans.first_fit > length:
        note(f"the file holds {length / DAY:.3g} days: service begins once {spans.first_fit / DAY:.3g} are known")
    elif not spans.yearly and length < YEAR - DAY:
        note(f"the file holds {length / DAY:.3g} days, less than a year: yearly seasons are not known yet")


def _target(panel: xr.Dataset, schema: FileSchema, target: str | None) -> str:
    """The variable asked for, or the first that is neither weather nor of the calendar, or the first."""
    every = [str(variable) for variable in panel.data_vars]
    if target is None:
        return next((one for one in every if not side_in(panel, one)), every[0])
    if target not in every:
        held = [str(name) for source in schema.sources for name in source.panel.data_vars]
        raise SettingsError(f"no variable {target!r}", where=str(schema.path), expected="one of " + ", ".join(held),
                            remedy="name one of them with --target")
    return target


def _times(step: pd.Timedelta, spans: Spans, delay: pd.Timedelta) -> dict[str, str]:
    # One false alarm a month is one in thirty looks where a day is looked at as a whole; longer steps keep that share.
    alarms = 1.0 if step <= DAY else float(f"{DAY / step:.1g}")
    lengths = {"step": step, "horizon": spans.horizon, "cadence": spans.cadence, "history": spans.history,
               "label_timeout": max(2 * spans.horizon, step, 2 * delay),
               "window": max(min(YEAR // step, MOST_READ) * step, min(SEARCHED, CENTURY // step) * step),
               "cooldown": max(COOLDOWN, COOLDOWN_BLOCKS * step),
               "learned": max(min(LEARNED // step, MOST_READ) * step, 2 * spans.history)}
    return {name: in_words(length) for name, length in lengths.items()} | {"alarms": f"{alarms}"}


def _quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False)
