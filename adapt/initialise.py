"""The beginning of service: fit the base on what is known, and the monitor on residuals it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.candidate import Candidate
from terracast.adapt.clock import Moment
from terracast.adapt.correction.hindcasts import Hindcasts
from terracast.adapt.correction.no_harm_guard import NoHarmGuard
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.adapt.correction.rehearsal import begin_rehearsed
from terracast.adapt.correction.residual_ridge import ResidualRidge
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.learning_monitor import (
    LearningMonitor,
    MonitorPlan,
    learnt_from,
    monitor_of,
    steps_of_block,
)
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.channels.covariate_shift import Contexts
from terracast.adapt.monitoring.channels.observed_level import levels_of
from terracast.adapt.monitoring.detection.alarm_threshold import COOLDOWN_BLOCKS
from terracast.adapt.monitoring.episodes.alarm_text import Subject
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import DAY, FEWEST_BLOCKS
from terracast.adapt.promotion.policy import Policy
from terracast.adapt.reference import PastForecasts, hindcast
from terracast.adapt.task import ALWAYS, ForecastTask
from terracast.stfm.bases import Progress
from terracast.stfm.forecaster import Forecaster
from terracast.streams.errors import TerracastError

SKIPPED = 5  # of the past, the part with windows that are shorter than the forecaster's, at most

Fit = Callable[[xr.Dataset, int], Forecaster]


class ServiceError(TerracastError):
    """Service cannot begin."""


@dataclass(frozen=True)
class ServiceInit:
    """A fitted base, the cross-fitted residuals (time, node) that the monitor's reference is made from, the state of
    a ridge that learnt from the same cross-fitted forecasts (None: serve without), and the target (time, node) as
    known then, which a mixture's experts learn from (None: serve without), and the panel
    of target and drivers as known then, by which lost drivers and other wiring are told (None: they are not). Of the
    same forecasts: where in them the labels fell, ``pits`` (time, node), and the contexts they were made from,
    ``inputs`` (None: intervals, or contexts, are not watched). ``beside``: what a mixture reads beside the target
    (time, variable, node) as known then (None: nothing). ``hindcasts``: what the forecasts said, by which a mixture
    rehearses (None: it begins with even weights). ``outside``: weather and calendar (time, variable, node) as known
    then (None: nothing)."""

    base: Forecaster
    times: np.ndarray
    residuals: np.ndarray
    residual_ridge: dict[str, object] | None = None
    known: xr.DataArray | None = None
    panel: xr.Dataset | None = None
    pits: np.ndarray | None = None
    inputs: Contexts | None = None
    beside: xr.DataArray | None = None
    hindcasts: Hindcasts | None = None
    outside: xr.DataArray | None = None

    @property
    def first(self) -> np.datetime64:
        """The first stamp that it knows of."""
        return np.datetime64((self.times if self.known is None else self.known["time"].values)[0], "ns")


def begin(watched: ForecastTask, moment: Moment, fit: Fit, *, seed: int, zero_shot: bool = False,
          progress: Callable[[float], None] = lambda share: None) -> ServiceInit:
    """Fit the base on all that is known at ``moment``, and learn what is normal from forecasts of the past.

    Parameters
    ----------
    watched : ForecastTask
        What is forecast.
    moment : Moment
        What is known.
    fit : callable
        Makes the base from a panel and a seed.
    seed : int
        Of the fit.
    zero_shot : bool
        Whether the base learns nothing from the panel: then one value is enough to begin with. Else it is fitted on
        each half, too, for the residuals of the other: those of a fit's own data are too small for any threshold.
    progress : callable, optional
        Hears the share of the past forecasts that are made, after the fits.

    Raises
    ------
    ServiceError
        Where too little is known to begin.
    """
    panel = watched.panel(moment, ALWAYS)
    _refuse_too_little(watched, moment, panel, zero_shot)
    ridge = ResidualRidge.for_target(panel[watched.request.target].values, watched.request.horizon, watched.cadence)
    variables = (watched.request.target, *(str(name) for name in panel.data_vars if name != watched.request.target))
    learnt = _one_pass if zero_shot else _cross_fitted
    base, reference = learnt(watched, moment, panel, lambda part: fit(part, seed), ridge, variables, progress)
    return ServiceInit(base, reference.times, reference.residuals, ridge.state(),
                       panel[watched.request.target].transpose("time", "node"), panel, reference.pits,
                       reference.contexts(variables), watched.covariates(moment, ALWAYS), reference.hindcasts,
                       watched.values_outside(moment, ALWAYS))


def _one_pass(watched: ForecastTask, moment: Moment, panel: xr.Dataset, fit: Callable[[xr.Dataset], Forecaster],
              ridge: ResidualRidge, variables: tuple[str, ...], progress: Progress) -> tuple[Forecaster, PastForecasts]:
    """The base as it is, and what its forecasts of the past show."""
    time, base = panel["time"].values, fit(panel)
    start = time[0] + min(watched.history, (time[-1] - time[0]) // SKIPPED)
    start = max(start, min(learnt_from(watched.request.step, time[0]), time[0] + watched.history))
    return base, hindcast(watched, moment, base, start, time[-1] - watched.cadence, ridge, variables, progress)


def _cross_fitted(watched: ForecastTask, moment: Moment, panel: xr.Dataset, fit: Callable[[xr.Dataset], Forecaster],
                  ridge: ResidualRidge, variables: tuple[str, ...], progress: Progress
                  ) -> tuple[Forecaster, PastForecasts]:
    """The base fitted on all, and what forecasts of each half by a fit on the other show."""
    time = panel["time"].values
    middle = time[len(time) // 2]
    first, second = fit(panel.sel(time=slice(None, middle))), fit(panel.sel(time=slice(middle, None)))
    base = fit(panel)
    return base, hindcast(
        watched, moment, second, time[0] + watched.history, middle, ridge, variables,
        lambda share: progress(share / 2)) + hindcast(
        watched, moment, first, middle + watched.history, time[-1] - watched.cadence, ridge, variables,
        lambda share: progress((1 + share) / 2))


def _refuse_too_little(watched: ForecastTask, moment: Moment, panel: xr.Dataset, zero_shot: bool) -> None:
    """Raise ``ServiceError`` where what is known is too little for such a base."""
    time, now = panel["time"].values, np.datetime_as_string(moment.now, "h")
    if zero_shot:
        if not np.isfinite(panel[watched.request.target].values).any():
            raise ServiceError(f"no value of {watched.domain} known at {now}", where=watched.domain,
                               expected="one value to begin with", remedy="begin later or ingest more of the past")
        return
    needed = past_needed(watched.request.step, watched.cadence, watched.history, watched.request.leads[-1])
    if len(time) < 2 or time[-1] - time[0] < needed:
        have = days(time[-1] - time[0]) if len(time) else 0.0
        raise ServiceError(f"{have:.1f} days of {watched.domain} known at {now}", where=watched.domain,
                           expected=f"at least {days(needed):.1f} days to begin with",
                           remedy="begin later or ingest more of the past")


def past_needed(step: np.timedelta64, cadence: np.timedelta64, history: np.timedelta64,
                horizon: np.timedelta64) -> np.timedelta64:
    """The past that service needs to begin: each half must hold a history and a horizon twice, and both together the
    blocks that the monitor is calibrated on, behind a history and a started day each."""
    day, block = max(DAY, step), max(np.timedelta64(1, "h"), step)
    if step < np.timedelta64(1, "m"):  # of steps of seconds a day is no unit: the monitor's blocks are single steps
        day, block = step, step
    blocks = 2 * (history + day) + cadence + FEWEST_BLOCKS * block
    return max(4 * (history + horizon), blocks)


def serve(watched: ForecastTask, policy: Policy, beginning: ServiceInit, version: str, start: np.datetime64, *,
          false_alarms_per_month: float, cooldown: np.timedelta64, seed: int, detector: str = "scan",
          progress: Progress = lambda share: None) -> Loop:
    """A fresh loop around the base, its monitor calibrated to the stated false alarms; ``detector``: what flags a
    change in it (``adapt.monitoring.detection.detector``). ``progress`` hears the share of the past that the mixture
    has gone through."""
    champion = Candidate(version, beginning.base, None, watched.request)
    if policy.calibrates:
        request = watched.request
        champion.calibration = QuantileTracker(len(watched.nodes), request.horizon, request.quantiles)
        if beginning.residual_ridge is not None and not policy.mixes:  # a mixture has such a corrector of its own
            champion.residual_ridge = ResidualRidge.restore(beginning.residual_ridge)
        champion.guard = NoHarmGuard(request.quantiles, len(watched.nodes))
    if policy.mixes and beginning.known is not None:
        champion.mixture = begin_rehearsed(beginning.known, watched.request.at(start),
                                           per_issue=max(1, round(watched.cadence / watched.request.step)),
                                           beside=beginning.beside, hindcasts=beginning.hindcasts, progress=progress)
    step, known = watched.request.step, beginning.known
    off = watched.is_off(beginning.times)[:, None]
    residuals = np.where(off, np.nan, beginning.residuals)
    first = beginning.first - (watched.history if known is None else np.timedelta64(0, "ns"))
    plan = MonitorPlan(false_alarms_per_month, seed, detector, watched.nodes,
                       () if beginning.inputs is None else beginning.inputs.variables)
    monitor, young = monitor_of(
        LearningMonitor(plan, step, first, first + watched.history), beginning.times, residuals,
        None if known is None else known.values,
        None if known is None else levels_of(watched.ordinary(known), beginning.outside, beginning.times, step,
                                             watched.history),
        pits=None if beginning.pits is None else np.where(off, np.nan, beginning.pits),
        contexts=None if beginning.inputs is None else beginning.inputs.since(first + watched.history))
    named = {} if beginning.known is None else beginning.known.attrs
    subject = Subject(str(named.get("long_name", watched.request.target)), str(named.get("units", "")),
                      len(watched.nodes), false_alarms_per_month, watched.zone)
    steps = steps_of_block(monitor)
    # The promise counts alarms within a week of blocks as one: no second change opens within it.
    apart = max(cooldown // 2, COOLDOWN_BLOCKS * steps * step)
    episodes = Episodes(cooldown, name=f"{watched.domain}-{watched.request.target}", watched=monitor.kinds,
                        subject=subject, apart=apart)
    loop = Loop(watched, policy, champion, monitor, episodes, start)
    loop.young = young
    seen = np.isfinite(beginning.residuals if beginning.known is None else beginning.known.values)
    loop.faults = DataFaults(
        ReportWatch.fit(watched.nodes, step, seen, steps),
        FlagTickets(watched.domain, watched.request.target, watched.nodes))
    if beginning.panel is not None:
        loop.faults.watching(beginning.panel)
    return loop


def days(span: np.timedelta64) -> float:
    """A span in days."""
    return float(span / np.timedelta64(1, "D"))
