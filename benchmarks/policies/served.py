"""What a policy's corrections make of a base, issue by issue, as service would: frozen, loop, mixture.

Training new versions is left to ``bench loop``: here the version stays, so that what is compared is what is served of
it.
"""

from __future__ import annotations

import time as stopwatch
from dataclasses import dataclass

import numpy as np

from terracast.adapt.candidate import Candidate
from terracast.adapt.correction.hindcasts import Hindcasts
from terracast.adapt.correction.no_harm_guard import NoHarmGuard
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.adapt.correction.rehearsal import begin_rehearsed
from terracast.adapt.correction.residual_ridge import WINDOW, ResidualRidge
from terracast.adapt.evaluation.scores import level
from terracast.adapt.promotion.policy import Policy, policies
from terracast.benchmarks.policies.live import LiveStream, Recited

SHOWN = ("frozen", "loop", "mixture")


@dataclass(frozen=True)
class Served:
    """Quantiles (issue, lead, node, quantile) at the issues, and the seconds that they took after the base's."""

    quantiles: np.ndarray
    seconds: float


def served_by(live: LiveStream, policy: str, base: Recited) -> Served:
    """What the policy of this name serves of what the base said."""
    begun = stopwatch.process_time()
    times, target, request = live.panel["time"].values, live.target, live.request()
    cadence = live.stream.every * live.step
    known = {one.name: one for one in policies(cadence, request.leads[-1])}[policy]
    candidate = _equipped(live, known, base)
    recent = max(WINDOW + 2, 2 * live.stream.every + request.horizon)
    said = []
    for row in map(int, live.issues):
        rows = slice(max(0, row + 1 - recent), row + 1)
        past = target.isel(time=rows)
        candidate.match_labels(times[row], past, cadence)
        beside = None if live.covariates is None else live.covariates.isel(time=rows)
        answer = candidate.issue(past.to_dataset(name=request.target), times[row], shadow=False,
                                 beside=beside if known.mixes else None)
        said.append(answer[request.target].values[0].astype("float64"))
    return Served(np.stack(said), stopwatch.process_time() - begun)


def _equipped(live: LiveStream, policy: Policy, base: Recited) -> Candidate:
    """The corrections as service begins with them (see ``adapt.initialise``)."""
    request, nodes = live.request(), live.values.shape[1]
    candidate = Candidate("base", base, None, request)
    if policy.calibrates:
        candidate.calibration = QuantileTracker(nodes, request.horizon, request.quantiles)
        candidate.guard = NoHarmGuard(request.quantiles, nodes)
        candidate.residual_ridge = None if policy.mixes else _learned_ridge(live, base)
    if policy.mixes:
        rows, before = slice(0, live.start + 1), base.issue_times < request.issue_time
        candidate.mixture = begin_rehearsed(live.target.isel(time=rows), request, per_issue=live.stream.every,
                                            beside=None if live.covariates is None else live.covariates.isel(time=rows),
                                            hindcasts=Hindcasts(base.issue_times[before], base.quantiles[before]))
    return candidate


def _learned_ridge(live: LiveStream, base: Recited) -> ResidualRidge:
    """The ridge, taught by what the base said before the start, of labels that had come by then."""
    request, times, labels = live.request(), live.panel["time"].values, live.values[:live.start + 1]
    ridge = ResidualRidge.for_target(labels, request.horizon, live.stream.every * live.step)
    for row in [int(row) for row in live.hindcasts if times[row] in base.issue_times]:
        due = row + 1 + np.arange(request.horizon)
        if due[-1] > live.start:
            break
        median = level(base.quantiles[int(np.searchsorted(base.issue_times, times[row]))], request.quantiles, 0.5)
        context = live.target.isel(time=slice(max(0, row - WINDOW), row + 1)).to_dataset(name=request.target)
        ridge.learn(ridge.features(context, request.at(times[row]), median), median, labels[due])
    return ridge
