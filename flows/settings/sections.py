"""The sections of a settings file beside its sources."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from pydantic import AfterValidator, Field

from terracast.adapt.monitoring.detection.detector import check_name as check_detector
from terracast.flows.settings.errors import SettingsError
from terracast.flows.settings.secrets import from_environment
from terracast.flows.settings.values import DomainName, Duration, Frozen, StreamName, VariableName
from terracast.stfm.bases import DEFAULT, check_name, is_zero_shot
from terracast.stfm.forecaster import QUANTILES

YEAR = pd.Timedelta("365D")


def check_holidays(told: str) -> str:
    """``told``, or why it cannot be."""
    from terracast.stats.holidays import has_holidays

    if told not in ("auto", "none") and not has_holidays(told):
        raise ValueError(f"no holidays of {told!r} are known: expected auto, none, or a country such as DE or DE-NW")
    return told


class StreamSettings(Frozen):
    """What is forecast, how far ahead, how often; and how many false alarms the operator accepts.

    ``label_timeout``: how long a late label is waited for before a forecast is scored without it.
    """

    name: StreamName
    domain: DomainName
    target: VariableName
    step: Duration = pd.Timedelta("1h")
    horizon: Duration = pd.Timedelta("24h")
    cadence: Duration = pd.Timedelta("6h")
    history: Duration = pd.Timedelta("7D")
    label_timeout: Duration = pd.Timedelta("2D")
    false_alarms_per_month: float = Field(default=1.0, gt=0)
    quantiles: tuple[float, ...] = QUANTILES


class StoreSettings(Frozen):
    """Where observations, forecasts, scores and state live: a folder or s3://bucket/prefix.

    ``inbox``: the folder in which ``terracast listen`` keeps what was pushed until a step takes it.
    ``keep_observations``, ``keep_forecasts`` (scores and flags too): how long; not given, for ever. Once a day a step
    drops what is older, as ``terracast store retain`` does at once.
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
    """The base model, how much of the past service waits for, and how long it is trained on that.

    ``model``: ``shipped``, the pre-trained base, ``counts``, a Poisson regression of counts, ``native``, a small
    network fitted anew to the stream; or a class of your own (``stfm.bases``). One that looks back far sees more than
    ``stream.history``: the shipped base 1,536 steps, or 73 days of hours, if that is less. ``steps`` of training: not
    given, the shipped base is taken as it is, and what must be trained is trained for 800. ``first_fit``: the past that
    service waits for; not given, nothing where the base is taken as it is, else a year.
    """

    model: Annotated[str, AfterValidator(check_name)] = DEFAULT
    first_fit: Duration | None = None
    steps: int | None = Field(default=None, gt=0)
    seed: int = 1

    @property
    def zero_shot(self) -> bool:
        """Whether the base is taken as it is."""
        return is_zero_shot(self.model, self.steps)

    @property
    def wait(self) -> pd.Timedelta:
        """The past that service waits for."""
        if self.first_fit is not None:
            return self.first_fit
        return pd.Timedelta(0) if self.zero_shot else YEAR


class MonitorSettings(Frozen):
    """What flags a change, under the one budget of false alarms (``stream.false_alarms_per_month``).

    ``detector``: ``scan`` (windows of days against the weeks before), river's ``adwin``, ``page-hinkley`` or ``kswin``,
    an entry point of the group ``terracast.detectors``, or ``module:Class``
    (``adapt.monitoring.detection.detector.Detector``). ``holidays``: whose days off are left out of what is compared:
    ``auto`` (of the country where the places lie, else of the one that fits best; only if they are unlike other days),
    ``none``, or a country such as ``DE``, or a part of one such as ``DE-NW``.
    """

    detector: Annotated[str, AfterValidator(check_detector)] = "scan"
    holidays: Annotated[str, AfterValidator(check_holidays)] = "auto"


class AdaptSettings(Frozen):
    """The policy in service, its fine-tune rung, and the ladder.

    ``rungs``: those that the policy ``ladder`` climbs, cheapest first whatever the order here (none named: those that
    are usual for the model). One of your own is an entry point of the group ``terracast.rungs``, or ``module:Class``.
    Intervals are always on. ``budget``: of computing for any four weeks, as the ladder reckons what a rung costs.
    ``covariates``: the policy ``mixture`` reads the drivers and the other variables of the target's domain, too.
    ``approval``: what waits for `terracast approve`: ``none``, each ``promotion``, or ``everything``, trainings, too.
    ``approval_timeout``: how long; what nobody approved by then is off.
    """

    policy: str = "mixture"
    covariates: bool = True
    cooldown: Duration = pd.Timedelta("14D")
    window: Duration = pd.Timedelta("84D")
    steps: int = Field(default=200, gt=0)
    rungs: tuple[str, ...] = ()
    budget: Duration = pd.Timedelta("1h")
    approval: Literal["none", "promotion", "everything"] = "none"
    approval_timeout: Duration = pd.Timedelta("7D")


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


class UpkeepSettings(Frozen):
    """What goes by itself, once a day, with the step.

    ``keep_runs``: how long runs stay in MLflow that no version and no causal graph in use needs. ``keep_logs``: how
    long logs that were put aside stay, and ended runs in Prefect's server with their logs and artefacts;
    ``log_megabytes``: how long a log of ``up`` may grow before it is put aside.
    """

    keep_runs: Duration = pd.Timedelta("365D")
    keep_logs: Duration = pd.Timedelta("90D")
    log_megabytes: float = Field(default=10.0, gt=0)
