"""The beginning of service: fit the base on what is known, and the monitor on residuals it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.arrivals import sees_enough
from terracast.adapt.candidate import Candidate, rows_at
from terracast.adapt.clock import Moment, clock
from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.correction.no_harm_guard import NoHarmGuard
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.adapt.correction.residual_ridge import ResidualRidge
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.evaluation.scores import level, pit, residual
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.channels.covariate_shift import Contexts, features
from terracast.adapt.monitoring.episodes.alarm_text import Subject
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import DAY, FEWEST_BLOCKS, Monitor
from terracast.adapt.promotion.policy import Policy
from terracast.adapt.task import ALWAYS, ForecastTask
from terracast.stfm.forecaster import Forecaster
from terracast.streams.errors import TerracastError

MOST_ISSUES = 3000  # forecasts of a half that what is normal is learnt from, the newest: a century of days need not be

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
    (time, variable, node) as known then (None: nothing)."""

    base: Forecaster
    times: np.ndarray
    residuals: np.ndarray
    residual_ridge: dict[str, object] | None = None
    known: xr.DataArray | None = None
    panel: xr.Dataset | None = None
    pits: np.ndarray | None = None
    inputs: Contexts | None = None
    beside: xr.DataArray | None = None


@dataclass(frozen=True)
class _Part:
    """What one half of the past says, forecast by the other: rows (time, node) at ``times``, features (issue, feature,
    node)."""

    times: np.ndarray
    residuals: np.ndarray
    pits: np.ndarray
    issued: np.ndarray
    features: np.ndarray


def begin(watched: ForecastTask, moment: Moment, fit: Fit, *, seed: int,
          progress: Callable[[float], None] = lambda share: None) -> ServiceInit:
    """Fit the base on all that is known at ``moment``; fit it on each half for the residuals of the other.

    In-sample residuals are too small and would make every threshold wrong, hence the two extra fits. ``progress``
    hears the share of the residuals that are there, after the three fits.
    """
    panel = watched.panel(moment, ALWAYS)
    time = panel["time"].values
    needed = past_needed(watched.request.step, watched.cadence, watched.history, watched.request.leads[-1])
    if len(time) < 2 or time[-1] - time[0] < needed:
        have = days(time[-1] - time[0]) if len(time) else 0.0
        raise ServiceError(f"{have:.1f} days of {watched.domain} known at {np.datetime_as_string(moment.now, 'h')}",
                           where=watched.domain, expected=f"at least {days(needed):.1f} days to begin with",
                           remedy="begin later or ingest more of the past")
    middle = time[len(time) // 2]
    first = fit(panel.sel(time=slice(None, middle)), seed)
    second = fit(panel.sel(time=slice(middle, None)), seed)
    base = fit(panel, seed)
    ridge = ResidualRidge.for_target(panel[watched.request.target].values, watched.request.horizon, watched.cadence)
    variables = (watched.request.target, *(str(name) for name in panel.data_vars if name != watched.request.target))
    parts = (
        _crossed(watched, moment, second, time[0] + watched.history, middle, ridge, variables,
                 lambda share: progress(share / 2)),
        _crossed(watched, moment, first, middle + watched.history, time[-1] - watched.cadence, ridge, variables,
                 lambda share: progress((1 + share) / 2)),
    )
    times, residuals, pits, issued, seen = (np.concatenate([getattr(part, name) for part in parts])
                                            for name in ("times", "residuals", "pits", "issued", "features"))
    return ServiceInit(base, times, residuals, ridge.state(),
                       panel[watched.request.target].transpose("time", "node"),
                       panel, pits, Contexts(issued, seen, variables), watched.covariates(moment, ALWAYS))


def past_needed(step: np.timedelta64, cadence: np.timedelta64, history: np.timedelta64,
                horizon: np.timedelta64) -> np.timedelta64:
    """The past that service needs to begin: each half must hold a history and a horizon twice, and both together the
    blocks that the monitor is calibrated on, behind a history and a started day each."""
    day, block = max(DAY, step), max(np.timedelta64(1, "h"), step)
    if step < np.timedelta64(1, "m"):  # of steps of seconds a day is no unit: the monitor's blocks are single steps
        day, block = step, step
    blocks = 2 * (history + day) + cadence + FEWEST_BLOCKS * block
    return max(4 * (history + horizon), blocks)


def _crossed(watched: ForecastTask, moment: Moment, model: Forecaster, start: np.datetime64, stop: np.datetime64,
             residual_ridge: ResidualRidge, variables: tuple[str, ...], progress: Callable[[float], None]) -> _Part:
    """What the short leads of forecasts issued from ``start`` to ``stop`` show, as the loop will feed it to the
    monitor; ``residual_ridge`` learns from all leads."""
    short = max(1, int(watched.cadence / watched.request.step))
    labels = watched.labels(moment, start)
    morning = start.astype("datetime64[D]").astype("datetime64[ns]") + np.timedelta64(1, "D")
    if 2 * (morning - start) > stop - start:  # of so short a past a day cannot be spared to begin at midnight
        morning = start + watched.cadence
    first = moment.now - (moment.now - morning) // watched.cadence * watched.cadence  # on the ticks that service has
    last = first + (stop - first) // watched.cadence * watched.cadence
    first = max(first, last - (MOST_ISSUES - 1) * watched.cadence)
    times, rows, pits, seen = [], [], [], []
    for then in clock(_Earlier(moment), first, stop, watched.cadence):
        context, request = watched.context(then), watched.request.at(then.now)
        seen.append(features(context, variables))
        times.append(request.valid_times[:short])
        progress(min(1.0, float((then.now - first) / max(stop - first, watched.cadence))))
        if not sees_enough(then, watched):  # service issues no forecast from nothing, either
            rows.append(np.full((short, len(watched.nodes)), np.nan))
            pits.append(np.full((short, len(watched.nodes)), np.nan))
            continue
        values = model.forecast(context, request)[request.target].values[0].astype("float64")
        known, median = rows_at(labels, request.valid_times), level(values, request.quantiles, 0.5)
        residual_ridge.learn(residual_ridge.features(context, request, median), median, known)
        rows.append(residual(values[:short], known[:short], request.quantiles))
        pits.append(pit(values[:short], known[:short], request.quantiles))
    return _Part(np.concatenate(times), np.concatenate(rows), np.concatenate(pits),
                 np.array([one[0] for one in times]), np.stack(seen))


class _Earlier:
    """A history that looks through a moment, so that the reference cannot read past it either."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self.domains = moment.domains

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        return self._moment.earlier(now).known(domain, since)


def serve(watched: ForecastTask, policy: Policy, beginning: ServiceInit, version: str, start: np.datetime64, *,
          false_alarms_per_month: float, cooldown: np.timedelta64, seed: int, detector: str = "scan") -> Loop:
    """A fresh loop around the base, its monitor calibrated to the stated false alarms; ``detector``: what flags a
    change in it (``adapt.monitoring.detection.detector``)."""
    champion = Candidate(version, beginning.base, None, watched.request)
    if policy.calibrates:
        request = watched.request
        champion.calibration = QuantileTracker(len(watched.nodes), request.horizon, request.quantiles)
        if beginning.residual_ridge is not None and not policy.mixes:  # a mixture has such a corrector of its own
            champion.residual_ridge = ResidualRidge.restore(beginning.residual_ridge)
        champion.guard = NoHarmGuard(request.quantiles, len(watched.nodes))
    if policy.mixes and beginning.known is not None:
        champion.mixture = Mixture.begin(beginning.known, watched.request.at(start),
                                         per_issue=max(1, round(watched.cadence / watched.request.step)),
                                         beside=beginning.beside)
    monitor = Monitor.fit(beginning.residuals, beginning.times, false_alarms_per_month, seed=seed,
                          nodes=watched.nodes, values=None if beginning.known is None else beginning.known.values,
                          inputs=beginning.inputs, pits=beginning.pits, detector=detector)
    named = {} if beginning.known is None else beginning.known.attrs
    subject = Subject(str(named.get("long_name", watched.request.target)), str(named.get("units", "")),
                      len(watched.nodes), false_alarms_per_month)
    episodes = Episodes(cooldown, name=f"{watched.domain}-{watched.request.target}", watched=monitor.kinds,
                        subject=subject)
    loop = Loop(watched, policy, champion, monitor, episodes, start)
    loop.faults = DataFaults(ReportWatch.fit(watched.nodes, beginning.times, np.isfinite(beginning.residuals),
                                             monitor.calibration.block),
                             FlagTickets(watched.domain, watched.request.target, watched.nodes))
    if beginning.panel is not None:
        loop.faults.watching(beginning.panel)
    return loop


def days(span: np.timedelta64) -> float:
    """A span in days."""
    return float(span / np.timedelta64(1, "D"))
