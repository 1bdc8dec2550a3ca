"""What is normal, learnt from forecasts of the past that are made as they would have been made then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.arrivals import is_enough
from terracast.adapt.candidate import bounds, rows_at
from terracast.adapt.clock import Moment, clock
from terracast.adapt.correction.hindcasts import Hindcasts, most_issues
from terracast.adapt.correction.residual_ridge import ResidualRidge
from terracast.adapt.evaluation.scores import level, pit, residual
from terracast.adapt.learning_monitor import natural_block
from terracast.adapt.monitoring.channels.covariate_shift import Contexts, features
from terracast.adapt.monitoring.statistics.reference_period import FEWEST_BLOCKS
from terracast.adapt.task import ForecastTask
from terracast.stfm.bases import Progress
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.wall_clock import forecast_by_clock

MOST_ISSUES = 3000  # forecasts of a part that what is normal is learnt from, the newest: a century of days need not be
MOST_FORECASTS = 100_000  # of single nodes: some three minutes of computing


@dataclass(frozen=True)
class PastForecasts:
    """What the short leads of past forecasts show.

    Attributes
    ----------
    times : ndarray of datetime64, shape (time,)
        Rising.
    residuals, pits : ndarray of float, shape (time, node)
        (label - median) / spread, and where in the forecasts the labels fell; NaN: no label, or no forecast.
    issued : ndarray of datetime64, shape (issue,)
        When they were made.
    features : ndarray of float, shape (issue, feature, node)
        Of the contexts they were made from.
    hindcasts : Hindcasts
        What the newest of them said.
    """

    times: np.ndarray
    residuals: np.ndarray
    pits: np.ndarray
    issued: np.ndarray
    features: np.ndarray
    hindcasts: Hindcasts

    def __add__(self, other: PastForecasts) -> PastForecasts:
        """What follows, behind it."""
        pairs = ((getattr(self, name), getattr(other, name))
                 for name in ("times", "residuals", "pits", "issued", "features"))
        times, residuals, pits, issued, seen = (np.concatenate(pair) for pair in pairs)
        return PastForecasts(times, residuals, pits, issued, seen, self.hindcasts + other.hindcasts)

    def contexts(self, variables: tuple[str, ...]) -> Contexts:
        """What the forecasts were made from."""
        return Contexts(self.issued, self.features, variables)


def hindcast(watched: ForecastTask, moment: Moment, model: Forecaster, start: np.datetime64, stop: np.datetime64,
             residual_ridge: ResidualRidge, variables: tuple[str, ...], progress: Progress = lambda share: None
             ) -> PastForecasts:
    """What forecasts of ``model`` issued from ``start`` to ``stop`` show, as the loop will feed it to the monitor, and
    what they said; ``residual_ridge`` learns from all leads. Each reads what was known at its instant."""
    short, nodes = max(1, int(watched.cadence / watched.request.step)), len(watched.nodes)
    labels, judged = watched.labels(moment, start), _Judged(residual_ridge, nodes)
    first, last = _ticks(watched, moment, start, stop)
    times, rows, pits, seen = [], [], [], []
    for then in clock(_Earlier(moment), first, stop, watched.cadence) if first <= last else ():
        context, request = watched.context(then), watched.request.at(then.now)
        seen.append(features(watched.ordinary_rows(context), variables))
        times.append(request.valid_times[:short])
        progress(min(1.0, float((then.now - first) / max(stop - first, watched.cadence))))
        if not is_enough(context[watched.request.target]):  # service issues no forecast from nothing, either
            rows.append(np.full((short, nodes), np.nan))
            pits.append(np.full((short, nodes), np.nan))
            continue
        values = forecast_by_clock(model, context, request)[request.target].values[0].astype("float64")
        values = np.clip(values, *bounds(context[request.target], request.step))
        known = rows_at(labels, request.valid_times)
        judged.take(values, context, request, known)
        rows.append(residual(values[:short], known[:short], request.quantiles))
        pits.append(pit(values[:short], known[:short], request.quantiles))
    judged.learn(None)
    if not times:
        return nothing(watched, moment, variables)
    return PastForecasts(np.concatenate(times), np.concatenate(rows), np.concatenate(pits),
                     np.array([one[0] for one in times]), np.stack(seen), judged.hindcasts(watched))


class _Judged:
    """The newest forecasts of the past, and a ridge that learns of each once its last label was due."""

    def __init__(self, ridge: ResidualRidge, nodes: int) -> None:
        self._ridge = ridge
        self._waiting: deque[tuple[np.datetime64, np.ndarray, np.ndarray, np.ndarray]] = deque()
        self._newest: deque[tuple[np.datetime64, np.ndarray]] = deque(maxlen=most_issues(nodes))

    def take(self, values: np.ndarray, context: xr.Dataset, request: Request, known: np.ndarray) -> None:
        """One more: quantiles ``values`` (lead, node, quantile), and the labels ``known`` (lead, node) that came."""
        self.learn(request.issue_time)
        median = level(values, request.quantiles, 0.5)
        read = self._ridge.features(context, request, median)
        self._newest.append((request.issue_time, values.astype("float32")))
        self._waiting.append((request.valid_times[-1], read, median, known))

    def learn(self, now: np.datetime64 | None) -> None:
        """Let the ridge learn of those that were over at ``now``; None: of all."""
        while self._waiting and (now is None or self._waiting[0][0] <= now):
            self._ridge.learn(*self._waiting.popleft()[1:])

    def hindcasts(self, watched: ForecastTask) -> Hindcasts:
        """The newest of them."""
        if not self._newest:
            return Hindcasts.none(watched.request, len(watched.nodes))
        return Hindcasts(np.array([time for time, _ in self._newest]), np.stack([one for _, one in self._newest]))


def nothing(watched: ForecastTask, moment: Moment, variables: tuple[str, ...]) -> PastForecasts:
    """What is shown where no forecast could have been judged yet."""
    shape = features(watched.context(moment), variables).shape
    none, rows = np.array([], "datetime64[ns]"), np.zeros((0, len(watched.nodes)))
    return PastForecasts(none, rows, rows.copy(), none.copy(), np.zeros((0, *shape)),
                     Hindcasts.none(watched.request, len(watched.nodes)))


def _ticks(watched: ForecastTask, moment: Moment, start: np.datetime64, stop: np.datetime64
           ) -> tuple[np.datetime64, np.datetime64]:
    """First and last issue from ``start`` to ``stop``, on the ticks that service has; from midnight on, where the past
    can spare a day."""
    morning = start.astype("datetime64[D]").astype("datetime64[ns]") + np.timedelta64(1, "D")
    if 2 * (morning - start) > stop - start:
        morning = start + watched.cadence
    first = moment.now - (moment.now - morning) // watched.cadence * watched.cadence
    last = first + (stop - first) // watched.cadence * watched.cadence
    # Ticks are counted, not subtracted: three thousand years are more than an instant in nanoseconds can hold.
    enough = 2 * FEWEST_BLOCKS * max(1, int(natural_block(watched.request.step) / watched.cadence))
    most = min(MOST_ISSUES, max(enough, MOST_FORECASTS // max(1, len(watched.nodes))))
    return first + max(0, int((stop - first) // watched.cadence) - most + 1) * watched.cadence, last


class _Earlier:
    """A history that looks through a moment, so that the reference cannot read past it either."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self.domains = moment.domains

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        return self._moment.earlier(now).known(domain, since)
