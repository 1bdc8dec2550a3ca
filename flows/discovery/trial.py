"""The leak-free trial of drivers: what they add to a model's forecasts at issue times that nothing was fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from adapt.clock import Moment
from adapt.contender import rows_at
from adapt.scores import crps, level
from adapt.watched import Watched
from causal.graph import Driver, Series
from causal.pays import LEAST_BLOCKS
from stfm.mlp.forecaster import NativeModel

JUDGED = 0.4  # the newest share of the span: models are fitted before it
MOST_ISSUES = 240
MOST_NODES = 24
AGES = (0, 1, 2, 3, 5, 8, 12, 23)  # steps before the newest known value of a driver
PENALTIES = (0.01, 0.1, 1.0, 10.0, 1e9)  # of the ridge, per row, on standardised inputs; the last one mutes a lead
FOLDS = 5
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class TrialPlan:
    """What a trial reads: fitted on issue times ``learnt``, judged at ``judged``, the first of them ``split``.

    All labels of ``learnt`` are about stamps up to the split. ``overlap``: judged issue times that a horizon spans.
    """

    start: np.datetime64
    split: np.datetime64
    learnt: np.ndarray
    judged: np.ndarray
    overlap: int

    @property
    def spacing(self) -> np.timedelta64:
        """Time between two judged issue times."""
        return np.timedelta64(self.judged[1] - self.judged[0], "ns")


def plan_trial(watched: Watched, first: np.datetime64, now: np.datetime64) -> TrialPlan | str:
    """The plan for a trial on what is known from ``first`` to ``now``, or why the span is too short, in words.

    At most ``MOST_ISSUES`` issue times in each part, spread evenly and so that every hour of the day at which
    forecasts are issued takes part.
    """
    horizon, cadence = watched.request.leads[-1], watched.cadence
    split = now - np.timedelta64(int(JUDGED * (now - first).astype("timedelta64[ns]").astype("int64")), "ns")
    split = pd.Timestamp(split).ceil(pd.Timedelta(cadence)).to_datetime64().astype("datetime64[ns]")
    begin = split - (split - first - watched.history) // cadence * cadence
    needed = 2 * watched.history + 4 * horizon, (LEAST_BLOCKS + 1) * max(horizon, cadence)
    if split - first < needed[0] or now - split < needed[1]:
        return (f"found, but not tried: {_days(now - first)} of history are too short to fit on {_days(needed[0])} "
                f"and to judge on {_days(needed[1])}, and nothing is used untried")
    judged = _spread(split, now - horizon, cadence)
    return TrialPlan(first, split, _spread(begin, split - horizon, cadence), judged,
                     math.ceil(horizon / (judged[1] - judged[0])))


def _spread(first: np.datetime64, last: np.datetime64, cadence: np.timedelta64) -> np.ndarray:
    stride = max(1, math.ceil((last - first) / cadence / MOST_ISSUES))
    a_day = max(1, round(np.timedelta64(1, "D") / cadence))
    while stride > 1 and math.gcd(stride, a_day) > 1:
        stride += 1
    return np.arange(first, last + np.timedelta64(1, "ns"), stride * cadence)


@dataclass(frozen=True)
class Part:
    """Forecasts of one part: ``values`` (issue, lead, node, quantile), ``labels`` (issue, lead, node), and ``inputs``
    by driver (issue, node, age)."""

    values: np.ndarray
    labels: np.ndarray
    inputs: dict[Series, np.ndarray]


class Trial:
    """Losses of forecasts with any set of drivers: an ``Ablation`` for ``causal.pays.paying_drivers``.

    ``watched`` holds all drivers that may be asked for. One native model without drivers is fitted for ``steps`` steps
    on what was known at the split and forecasts every issue time from what was known then. What a set of drivers adds
    is a ridge per lead from their newest known values to the model's error, fitted before the split. All sets share
    the model: two networks fitted with and without a driver differ by 1 to 2 % of their error by chance alone (seeds),
    as much as a useful driver saves, and the trial would decide nothing. Networks of more than ``MOST_NODES`` nodes
    are judged on so many, evenly picked. About 10 ms a step and 10 ms an issue time, then milliseconds a set.
    """

    def __init__(self, watched: Watched, moment: Moment, plan: TrialPlan, *, steps: int, seed: int,
                 tell: Tell = lambda share, words: None) -> None:
        self.watched = replace(watched, nodes=watched.nodes[::math.ceil(len(watched.nodes) / MOST_NODES)])
        self.plan, request = plan, self.watched.request
        tell(0.0, "fitting a small model")
        then = moment.earlier(plan.split)
        lesson = self.watched.panel(then, plan.start)
        model = NativeModel.fit(lesson, request, steps=steps, seed=seed)
        self._learnt = self._part(moment, model, plan.learnt, self.watched.labels(then, plan.start),
                                  lambda share: tell(0.3 + 0.4 * share, "forecasts to learn from"))
        self._judged = self._part(moment, model, plan.judged, self.watched.labels(moment, plan.split),
                                  lambda share: tell(0.7 + 0.3 * share, "forecasts to judge"))
        self._lead_scale = _typical(np.abs(self._errors(self._learnt)), (0, 2))[:, None]
        self._node_scale = _typical(np.abs(self._errors(self._learnt)) / self._lead_scale, (0, 1))

    def losses(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """Mean CRPS over leads and nodes at each judged issue time, each lead and node in units of its usual error;
        NaN where no label came."""
        used = sorted({one.series for one in drivers})
        known, asked = (_design(part, used) for part in (self._learnt, self._judged))
        centre, width = known.mean(axis=0), known.std(axis=0)
        known, asked = ((one - centre) / np.where(width > 0, width, 1.0) for one in (known, asked))
        scale = self._lead_scale * self._node_scale
        wanted = np.clip(self._errors(self._learnt) / scale, -4, 4).transpose(0, 2, 1).reshape(len(known), -1)
        shift = _ridge(known, wanted, asked).reshape(len(self.plan.judged), -1, len(scale)).transpose(0, 2, 1) * scale
        loss = crps(self._judged.values + shift[..., None], self._judged.labels, self.watched.request.quantiles)
        return np.array([mean_known(one) for one in loss / scale])

    def rotated(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """``losses``, but what a set adds is learnt from all issue times that are not near the one judged, later ones
        too: as much as the model in service will have learnt from. It proves nothing; it compares sets."""
        used = sorted({one.series for one in drivers})
        parts, nodes = (self._learnt, self._judged), self._judged.labels.shape[2]
        design = np.concatenate([_design(part, used) for part in parts])
        centre, width = design.mean(axis=0), design.std(axis=0)
        design = (design - centre) / np.where(width > 0, width, 1.0)
        scale = self._lead_scale * self._node_scale
        wanted = np.concatenate([np.clip(self._errors(part) / scale, -4, 4).transpose(0, 2, 1).reshape(
            -1, len(scale)) for part in parts])
        issues, first = len(self.plan.learnt) + len(self.plan.judged), len(self.plan.learnt)
        shift = np.empty((len(self.plan.judged), len(scale), nodes))
        for fold in np.array_split(np.arange(first, issues), FOLDS):
            near = (np.arange(issues) >= fold[0] - self.plan.overlap) & (
                np.arange(issues) <= fold[-1] + self.plan.overlap)
            told = _ridge(design[np.repeat(~near, nodes)], wanted[np.repeat(~near, nodes)],
                          design[np.repeat(np.isin(np.arange(issues), fold), nodes)])
            shift[fold - first] = told.reshape(len(fold), nodes, -1).transpose(0, 2, 1) * scale
        loss = crps(self._judged.values + shift[..., None], self._judged.labels, self.watched.request.quantiles)
        return np.array([mean_known(one) for one in loss / scale])

    def _errors(self, part: Part) -> np.ndarray:
        """What the median was too low by, (issue, lead, node)."""
        return part.labels - level(part.values, self.watched.request.quantiles, 0.5)

    def _part(self, moment: Moment, model: NativeModel, issue_times: np.ndarray, labels: xr.DataArray,
              tell: Callable[[float], None]) -> Part:
        request = self.watched.request
        names = [Series(domain, name) for domain, held in self.watched.drivers.items() for name in held]
        values, inputs = [], {one: np.empty((len(issue_times), len(self.watched.nodes), len(AGES))) for one in names}
        for place, issue_time in enumerate(issue_times):
            tell(place / len(issue_times))
            then = moment.earlier(issue_time)
            context = self.watched.panel(then, then.now - self.watched.history)
            values.append(model.forecast(context, request.at(issue_time))[request.target].values[0])
            for one in names:
                inputs[one][place] = _newest(context[str(one)].values)
        known = np.stack([rows_at(labels, request.at(one).valid_times) for one in issue_times])
        return Part(np.stack(values).astype("float64"), known, inputs)


def _newest(values: np.ndarray) -> np.ndarray:
    """The newest known value of each node and those ``AGES`` before it, against the node's mean; (node, age).

    A gap is filled by the value known before it; a silent driver tells nothing (0).
    """
    known = np.isfinite(values)
    place = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], 0), axis=0)
    filled = np.take_along_axis(np.where(known, values, np.nan), place, axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    last = np.where(known.any(axis=0), len(values) - 1 - known[::-1].argmax(axis=0), 0)
    rows = np.maximum(last[:, None] - np.array(AGES), 0)
    return np.nan_to_num(filled[rows, np.arange(values.shape[1])[:, None]] - mean[:, None])


def _design(part: Part, used: list[Series]) -> np.ndarray:
    """Inputs of the set, (issue × node, inputs)."""
    rows = part.labels.shape[0] * part.labels.shape[2]
    return np.concatenate([np.empty((rows, 0)), *(part.inputs[one].reshape(rows, -1) for one in used)], axis=1)


def _ridge(known: np.ndarray, wanted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predictions for ``asked`` (rows, inputs), (rows, lead), of a ridge fitted on ``known`` and ``wanted``.

    The penalty of each lead is the one that does best over folds in a row of the known part: where the inputs tell
    nothing it mutes them. The mean is not shrunk.
    """
    there = np.isfinite(wanted)
    mean = np.where(there, wanted, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    wanted = np.where(there, wanted - mean, 0.0)
    if not known.shape[1]:
        return np.broadcast_to(mean, (len(asked), len(mean))).copy()
    error = np.zeros((len(PENALTIES), wanted.shape[1]))
    for fold in np.array_split(np.arange(len(known)), FOLDS):
        rest = np.setdiff1d(np.arange(len(known)), fold)
        told = np.stack([known[fold] @ one for one in _weights(known[rest], wanted[rest])])
        error += (np.where(there[fold], wanted[fold] - told, 0.0) ** 2).sum(axis=1)
    weights = _weights(known, wanted)[error.argmin(axis=0), :, np.arange(wanted.shape[1])]
    return mean + asked @ weights.T


def _weights(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights for every penalty, (penalty, input, lead)."""
    values, vectors = np.linalg.eigh(known.T @ known)
    turned = vectors.T @ (known.T @ wanted)
    return np.stack([vectors @ (turned / (np.maximum(values, 0.0) + penalty * len(known))[:, None])
                     for penalty in PENALTIES])


def _typical(errors: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean over ``axes`` of what is known; where nothing is or it is 0, the mean of all."""
    known = np.isfinite(errors)
    means = np.where(known, errors, 0.0).sum(axis=axes) / np.maximum(known.sum(axis=axes), 1)
    usual = float(errors[known].mean()) if known.any() else 1.0
    return np.where(means > 0, means, usual or 1.0)


def mean_known(cells: np.ndarray) -> float:
    """Mean of the cells that are known, NaN where none is.

    >>> mean_known(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    known = cells[np.isfinite(cells)]
    return float(known.mean()) if len(known) else float("nan")


def _days(span: np.timedelta64) -> str:
    return f"{span / np.timedelta64(1, 'D'):.0f} days"
