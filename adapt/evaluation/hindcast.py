"""Hindcast: the scores a forecaster would have had at given issue times, read through the clock like all else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.stfm.forecaster import Forecaster
from terracast.streams.bitemporal import History


def hindcast(model: Forecaster, version: str, watched: ForecastTask, history: History,
             issue_times: Sequence[np.datetime64], until: np.datetime64) -> list[Score]:
    """Forecast at each issue time as known then, and score by the labels known at ``until``."""
    contender = Candidate(version, model, None, watched.request)
    for issue_time in issue_times:
        moment = Moment(issue_time, history)
        contender.issue(watched.panel(moment, moment.now - watched.history), issue_time, shadow=True)
    if not len(issue_times):
        return []
    labels = watched.labels(Moment(until, history), min(issue_times))
    return contender.match_labels(until, labels, np.timedelta64(0, "ns"))
