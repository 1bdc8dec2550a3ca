"""Settings: one TOML file a watched stream, parsed once into frozen values; an unknown key is refused.

Addresses of an outside MLflow or object store may also come from the environment (``MLFLOW_TRACKING_URI``,
``AWS_*``); secrets never stand in the file.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from adapt.monitoring.detector import DETECTORS, names
from flows.names import domain_name, stream_name, variable_name
from flows.secrets import from_environment, refuse_secrets
from stfm.forecaster import QUANTILES
from streams.clock import span, span_text
from streams.errors import TerracastError
from streams.panel import KINDS


class SettingsError(TerracastError):
    """A settings file that is missing, broken, or says something unknown."""


def _duration(value: Any) -> pd.Timedelta:
    try:
        length = span(value)
    except (ValueError, TypeError):
        raise ValueError(f"{value!r} is not a duration such as '6h', '7d' or '1mo'") from None
    if length <= pd.Timedelta(0):
        raise ValueError(f"{value!r} is not a positive duration")
    return length


def _stamp(value: Any) -> str:
    try:
        return str(pd.Timestamp(value).isoformat())
    except (ValueError, TypeError):
        raise ValueError(f"{value!r} is not a stamp such as 2019-01-07T00:00") from None


def _calendar(value: str) -> str:
    try:
        if value != "month":
            pd.DatetimeIndex([]).tz_localize(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is neither month nor a time zone such as Europe/Berlin") from None
    return value


def _detector(value: str) -> str:
    if value not in DETECTORS and ":" not in value and value not in (known := names()):
        raise ValueError(f"{value!r} is not one of {', '.join(known)}, or module:Class")
    return value


def in_words(length: pd.Timedelta) -> str:
    """A duration as it stands in the settings."""
    return span_text(length).lower()


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"{value!r} is not one of {', '.join(KINDS)}")
    return value


Duration = Annotated[pd.Timedelta, PlainValidator(_duration), PlainSerializer(in_words, return_type=str)]
Stamp = Annotated[str, PlainValidator(_stamp)]
Calendar = Annotated[str, AfterValidator(_calendar)]
Kind = Annotated[str, AfterValidator(_kind)]
StreamName = Annotated[str, AfterValidator(stream_name)]
DomainName = Annotated[str, AfterValidator(domain_name)]
VariableName = Annotated[str, AfterValidator(variable_name)]
Model = Literal["native", "shipped"]


class Frozen(BaseModel):
    """A small frozen value; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class SourceSettings(Frozen):
    """Where a domain's data come from, which stamps they have, and when their values became known.

    ``step``, ``anchor`` (one stamp, UTC) and ``calendar`` ("month", or a time zone whose days are counted) are the
    domain's clock; what is not given is found in the data.

    ``sort``: ``files`` (``path``: a file, a folder, a pattern), ``mqtt`` (``topics`` at ``host``), ``push`` (what was
    posted to ``terracast listen``) or ``sql`` (``url``, growing ``column``, ``table`` or ``query``).
    """

    domain: DomainName
    sort: Literal["files", "mqtt", "push", "sql"] = "files"
    kind: Kind = "sensor"
    variables: tuple[VariableName, ...] = ()
    units: dict[str, str] = Field(default_factory=dict)
    step: Duration | None = None
    anchor: Stamp | None = None
    calendar: Calendar | None = None
    delay: Duration | None = None
    known_time: str | None = None
    time_zone: str | None = None
    time: str | None = None
    node: str | None = None
    lat: str | None = None
    lon: str | None = None
    # files
    path: str = ""
    wide: str | None = None
    start: str | None = None
    time_format: str | None = None
    decimal: str | None = None
    separator: str | None = None
    encoding: str | None = None
    # mqtt, push and sql: rows
    stamps: Literal["exact", "nearest", "floor"] = "nearest"
    variable: str | None = None
    value: str | None = None
    # mqtt
    topics: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = Field(default=1883, gt=0)
    client: str = "terracast"
    user: str | None = None
    password_from: str | None = None
    tls: bool = False
    # sql
    url: str = ""
    column: str = ""
    table: str | None = None
    query: str | None = None
    overlap: int | Duration = 0

    @model_validator(mode="after")
    def _has_its_place(self) -> SourceSettings:
        """Each sort needs its own place."""
        needed = {"files": ("path",), "mqtt": ("topics", "step"), "push": ("step",), "sql": ("url", "column", "step")}
        for name in needed[self.sort]:
            if not getattr(self, name):
                raise ValueError(f"a source of sort {self.sort!r} needs {name}")
        return self


class StreamSettings(Frozen):
    """What is forecast, how far ahead, how often; and how many false alarms the operator accepts."""

    name: StreamName
    domain: DomainName
    target: VariableName
    step: Duration = pd.Timedelta("1h")
    horizon: Duration = pd.Timedelta("24h")
    cadence: Duration = pd.Timedelta("6h")
    history: Duration = pd.Timedelta("7D")
    patience: Duration = pd.Timedelta("2D")
    false_alarms_per_month: float = Field(default=1.0, gt=0)
    quantiles: tuple[float, ...] = QUANTILES


class StoreSettings(Frozen):
    """Where observations, forecasts, scores and state live: a folder or s3://bucket/prefix.

    ``inbox``: the folder in which ``terracast listen`` keeps what was pushed until a step takes it.
    ``keep_observations``, ``keep_forecasts`` (scores and flags too): what ``terracast store retain`` keeps.
    """

    location: str = "store"
    inbox: str = "inbox"
    keep_observations: Duration | None = None
    keep_forecasts: Duration | None = None


class RegistrySettings(Frozen):
    """Where versions live: MLflow's tracking address (``$NAME``: the one that the environment holds) and the folder of
    artefacts."""

    tracking: str = "sqlite:///mlflow.db"
    artifacts: str = "artifacts"

    @property
    def address(self) -> str:
        """The tracking address; of ``$NAME`` what the environment says."""
        try:
            return from_environment(self.tracking)
        except LookupError as error:
            raise SettingsError(str(error), where="registry.tracking", expected="MLflow's address in it",
                                remedy=f"export {self.tracking[1:].strip('{}')}=ADDRESS") from None


class BaseSettings(Frozen):
    """The base model, how much of the past it is first fitted on, and how long.

    ``model``: ``native``, fitted anew to the stream, or ``shipped``, the pre-trained base, whose heads are continued
    on the stream. That one looks back 1,536 steps, or a fifth of ``first_fit`` if that is less, even where
    ``stream.history`` is shorter.
    """

    model: Model = "native"
    first_fit: Duration = pd.Timedelta("365D")
    steps: int = Field(default=800, gt=0)
    seed: int = 1


class MonitorSettings(Frozen):
    """What flags a change, under the one budget of false alarms (``stream.false_alarms_per_month``).

    ``detector``: ``scan`` (windows of days against the weeks before), river's ``adwin``, ``page-hinkley`` or ``kswin``,
    an entry point of the group ``terracast.detectors``, or ``module:Class`` (``adapt.monitoring.detector.Detector``).
    """

    detector: Annotated[str, AfterValidator(_detector)] = "scan"


class AdaptSettings(Frozen):
    """The policy in service, its fine-tune rung, and the ladder.

    ``rungs``: those that the policy ``ladder`` climbs, cheapest first whatever the order here (none named: those that
    are usual for the model). Intervals are always on. ``budget``: of computing for any four weeks, as the ladder
    reckons what a rung costs. ``company``: the policy ``mixture`` reads the drivers and the other variables of the
    target's domain, too.
    """

    policy: str = "loop"
    company: bool = True
    cooldown: Duration = pd.Timedelta("14D")
    window: Duration = pd.Timedelta("84D")
    steps: int = Field(default=200, gt=0)
    rungs: tuple[str, ...] = ()
    budget: Duration = pd.Timedelta("1h")


class DiscoverySettings(Frozen):
    """Causal discovery: what is known beforehand, longest lag in steps, significance, and most drivers used.

    ``trial_steps``: how long the small models are fitted that show whether forecasts with a driver lose less.
    """

    knowledge: str | None = None
    max_lag: int = Field(default=8, gt=0)
    alpha: float = Field(default=0.01, gt=0, lt=1)
    window: Duration = pd.Timedelta("365D")
    most_drivers: int = Field(default=6, ge=0)
    trial_steps: int = Field(default=200, gt=0)


class Settings(Frozen):
    """Everything in force; relative paths are taken from ``folder``, where the file lies."""

    folder: Path
    stream: StreamSettings
    sources: tuple[SourceSettings, ...]
    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    base: BaseSettings = BaseSettings()
    monitor: MonitorSettings = MonitorSettings()
    adapt: AdaptSettings = AdaptSettings()
    discovery: DiscoverySettings = DiscoverySettings()

    @model_validator(mode="after")
    def _target_has_a_source(self) -> Settings:
        """The target is a variable of a source of the stream's own domain, where the sources say what they hold."""
        stream, own = self.stream, [one for one in self.sources if one.domain == self.stream.domain]
        if not own and self.sources:
            domains = ", ".join(sorted({one.domain for one in self.sources}))
            raise ValueError(f"stream.domain is {stream.domain!r}, and no [[sources]] has it (they have {domains})")
        named = [name for one in own for name in one.variables]
        if named and stream.target not in named and all(one.variables for one in own):
            raise ValueError(f"stream.target is {stream.target!r}, and the sources of domain {stream.domain!r} hold "
                             + ", ".join(named))
        return self

    def path(self, text: str) -> Path:
        """A path of the file, taken from the folder the file lies in."""
        return (self.folder / text).resolve()

    def digest(self) -> str:
        """Names these settings in lineage; the folder does not count."""
        return hashlib.sha256(self.model_dump_json(exclude={"folder"}).encode()).hexdigest()[:12]


def read_settings(path: str | Path) -> Settings:
    """Parse ``terracast.toml``; every mistake is one line that names the key.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "terracast.toml"
    ...     _ = file.write_text('[stream]\\nname="air"\\ndomain="air"\\ntarget="no2"\\nhorizont="1h"\\n[[sources]]\\n'
    ...                         'domain="air"\\npath="x.nc"')
    ...     try:
    ...         read_settings(file)
    ...     except SettingsError as error:
    ...         print(error.what)
    stream.horizont: Extra inputs are not permitted
    """
    path = Path(path)
    if not path.exists():
        raise SettingsError("no settings file", where=str(path), expected="a terracast.toml",
                            remedy="run `terracast init NAME --from FILE` or name one with --config")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        refuse_secrets(raw)
        return Settings.model_validate({**raw, "folder": path.resolve().parent})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"not TOML: {error}", where=str(path), expected="a TOML file in UTF-8",
                            remedy="mend the line named") from None
    except ValidationError as error:
        raise _in_words(error, path) from None
    except ValueError as error:
        raise SettingsError(str(error), where=str(path), expected="no secret in the file",
                            remedy="then run it again") from None


def _in_words(error: ValidationError, path: Path) -> SettingsError:
    """The first mistake of a file that is TOML but not settings."""
    first = error.errors()[0]
    key, words = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    return SettingsError(f"{key}: {words}" if key else words, where=str(path),
                         expected="the keys that `terracast config show` prints",
                         remedy=f"mend {key or 'stream or [[sources]]'}")


def nanoseconds(span: pd.Timedelta) -> np.timedelta64:
    """A duration as numpy counts it."""
    return span.to_timedelta64().astype("timedelta64[ns]")


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they may be printed: user and password of every address are masked."""
    return dict(_masked(settings.model_dump(mode="json")))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return re.sub(r"://[^/\s@]*@", "://***@", value) if isinstance(value, str) else value
