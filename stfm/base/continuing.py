"""Continuing the base model on one panel: a step towards what was learned, as long as held-out parts agree.

By default only the heads are trained, on states that are computed once: seconds where the whole network takes
minutes, and most of the gain. ``whole`` trains every weight. The trained weights are averaged over the second half of
the course (Izmailov et al. 2018) and mixed with those it began with (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models"): the base has seen more kinds of world than any one panel shows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.stfm.base.network import BaseNetwork
from terracast.stfm.base.panel_tensors import PanelTensors, panel_tensors
from terracast.stfm.base.training_batch import TrainingWindow, hidden_by_chance, loss, training_window
from terracast.stfm.base.window import MEMORY, PATCH
from terracast.stfm.forecaster import ForecastError, Request

HELD_OUT = 0.2  # the newest share of the issue times, never trained on
EXAMINED = 32  # issue times of the last examination
LOOKED_AT = 128  # issue times that the heads are trained on
SERIES = 96  # node windows in a batch
FOLDS = 3  # parts of the past, each forecast by weights that were trained on the others
RATES = {"heads": 3e-4, "whole": 1e-4}
SHARES = (0.125, 0.25, 0.375)  # how far towards the trained weights
FAR_SHARES, FAR_GAIN = (0.5, 0.75, 1.0), 0.1  # farther only where every held-out part gains so much
TOLERATED = 0.003  # a loss in the parts that is chance as likely as not
VETO = 0.01  # ... and on the newest examination alone, which is one season



def continued(network: BaseNetwork, panel: xr.Dataset, request: Request, *, steps: int, seed: int,
              whole: bool, progress: Callable[[float], None] | None = None
              ) -> tuple[BaseNetwork, dict[str, object]]:
    """Train a copy of ``network`` on ``panel`` and return what it became, with the story.

    The newest fifth of the issue times is held out, with a horizon between; the past before it is cut in three, and
    each part is forecast by heads trained on the others: that says how far to go. Back to the beginning where no share
    keeps the loss, in the parts or on the newest fifth. (The whole network is trained once; the newest fifth alone
    says how far.) About 10 ms a step for the heads, four times over, and 2 ms per node and issue time looked at, once;
    0.5 s a step for the whole, on one core. ``progress`` hears the share that is done.
    """
    scene = panel_tensors(panel, request.target, request.step, until=panel["time"].values.max(), ahead=0)
    patches = -(-request.horizon // PATCH)
    rows = _rows(scene, request.horizon)
    newest_from = rows[int(len(rows) * (1 - HELD_OUT))]
    past, newest = rows[rows < newest_from - request.horizon], rows[rows >= newest_from]
    until = str(pd.Timestamp(panel["time"].values.max()))
    story: dict[str, object] = {"seed": seed, "until": until, "part": "whole" if whole else "heads"}
    if not len(past) or not steps:
        return network.eval(), {**story, "steps": 0, "why": "nothing to train on"}
    share = max(1, min(8, SERIES // len(scene.target)))
    done = progress or (lambda share: None)

    def training_windows(chosen: np.ndarray, first: float, last: float) -> _TrainingBatch:
        groups = [chosen[start:start + share] for start in range(0, len(chosen), share)]
        return _TrainingBatch(network, [_lesson(scene, group, patches, request.horizon, None) for group in groups],
                              not whole, [(int(group[0]), int(group[-1])) for group in groups],
                              lambda part: done(first + (last - first) * part))

    exam = training_windows(_spread(newest, EXAMINED), 0.0, 0.1)
    if whole:
        chance = np.random.default_rng(seed)

        def step_loss(trained: BaseNetwork, step: int) -> torch.Tensor:
            taught = _lesson(scene, chance.choice(past, min(share, len(past))), patches, request.horizon, chance)
            return loss(trained(taught.batch), taught)

        learned = _course(network, step_loss, steps, "whole")
        far = _chosen([_losses(network, learned, exam)])
    else:
        lessons = training_windows(_spread(past, LOOKED_AT), 0.1, 0.5)
        learned = _trained_heads(network, lessons, steps, seed)
        done(0.6)
        folds = lessons.folds(request.horizon)
        if len(folds) < 2:  # one part is one season: it would agree with anything
            return network.eval(), {**story, "steps": 0, "why": "too short to hold out parts of it"}
        far = _chosen([_losses(network, _trained_heads(network, rest, steps, seed), part) for part, rest in folds])
    before, after = exam.mean(network), exam.mean(mixed(network, learned, far))
    if not far or after > before * (1 + VETO):
        return network.eval(), {**story, "steps": 0, "loss_before": before, "loss_after": before, "share": 0.0,
                                "why": "held-out parts lose" if not far else "the newest part loses"}
    return mixed(network, learned, far).eval(), {**story, "steps": steps, "share": far, "loss_before": before,
                                                 "loss_after": after}


def mixed(network: BaseNetwork, learned: BaseNetwork, share: float) -> BaseNetwork:
    """A network ``share`` of the way from one to the other, weight by weight."""
    between = copy.deepcopy(network)
    with torch.no_grad():
        for weight, other in zip(between.parameters(), learned.parameters(), strict=True):
            weight.add_((other - weight) * share)
    return between


class _TrainingBatch:
    """Lessons in the order of time, with, if asked, the states of the network at the start: all that heads need."""

    def __init__(self, network: BaseNetwork, lessons: list[TrainingWindow], keep_states: bool,
                 spans: list[tuple[int, int]], progress: Callable[[float], None]) -> None:
        self._lessons, self._spans = lessons, spans
        self._states: list[torch.Tensor] | None = None
        if keep_states:
            self._states = []
            with torch.no_grad():
                for number, one in enumerate(lessons, start=1):
                    self._states.append(network.look(one.batch))
                    progress(number / len(lessons))

    def __len__(self) -> int:
        return len(self._lessons)

    def loss(self, network: BaseNetwork, place: int) -> torch.Tensor:
        """The loss of one batch."""
        one = self._lessons[place]
        if self._states is None:
            return loss(network(one.batch), one)
        return loss(network.tell(self._states[place], one.batch), one)

    def mean(self, network: BaseNetwork) -> float:
        """The mean loss."""
        with torch.no_grad():
            return float(np.mean([float(self.loss(network, place)) for place in range(len(self))]))

    def folds(self, gap: int) -> list[tuple[_TrainingBatch, _TrainingBatch]]:
        """Parts of time, each with all lessons that lie ``gap`` rows or more outside it."""
        found = []
        for part in np.array_split(np.arange(len(self)), FOLDS):
            if not len(part):
                continue
            first, last = self._spans[part[0]][0] - gap, self._spans[part[-1]][1] + gap
            rest = [place for place, span in enumerate(self._spans) if span[1] < first or span[0] > last]
            if rest:
                found.append((self._some(part.tolist()), self._some(rest)))
        return found

    def _some(self, places: list[int]) -> _TrainingBatch:
        some = copy.copy(self)
        some._lessons, some._spans = [self._lessons[one] for one in places], [self._spans[one] for one in places]
        some._states = None if self._states is None else [self._states[one] for one in places]
        return some


def _trained_heads(network: BaseNetwork, lessons: _TrainingBatch, steps: int, seed: int) -> BaseNetwork:
    """Heads trained on batches in random order, all once before any twice."""
    chance = np.random.default_rng(seed)
    order = np.concatenate([chance.permutation(len(lessons)) for _ in range(-(-steps // len(lessons)))])
    return _course(network, lambda trained, step: lessons.loss(trained, int(order[step - 1])), steps, "heads")


def _course(network: BaseNetwork, step_loss: Callable[[BaseNetwork, int], torch.Tensor], steps: int,
            part: str) -> BaseNetwork:
    """A copy after ``steps``: the mean of the weights over the second half."""
    learner = copy.deepcopy(network).train()
    trained = [weight for name, weight in learner.named_parameters()
               if part == "whole" or name.split(".")[0] in BaseNetwork.heads]
    optimiser = torch.optim.AdamW(trained, lr=RATES[part], weight_decay=0.0)
    mean = [torch.zeros_like(weight) for weight in trained]
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = RATES[part] * min(1.0, step / 20)
        found = step_loss(learner, step)
        optimiser.zero_grad()
        found.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if step > steps // 2:
            with torch.no_grad():
                for kept, weight in zip(mean, trained, strict=True):
                    kept.add_((weight - kept) / (step - steps // 2))
    with torch.no_grad():
        for kept, weight in zip(mean, trained, strict=True):
            weight.copy_(kept)
    return learner.eval()


def _losses(network: BaseNetwork, learned: BaseNetwork, part: _TrainingBatch) -> dict[float, float]:
    """By share the loss on a part that ``learned`` was not trained on, to that of the network it began as."""
    before = part.mean(network)
    return {share: part.mean(mixed(network, learned, share)) / before for share in SHARES + FAR_SHARES}


def _chosen(parts: list[dict[float, float]]) -> float:
    """The share that loses least over the parts; none (0) where each loses more than chance would.

    >>> better, worse = (dict.fromkeys(SHARES + FAR_SHARES, loss) for loss in (0.99, 1.1))
    >>> _chosen([better, better]), _chosen([worse, worse])
    (0.125, 0.0)
    """
    allowed = [share for share in SHARES + FAR_SHARES
               if share in SHARES or max(part[share] for part in parts) < 1 - FAR_GAIN]
    means = {share: float(np.mean([part[share] for part in parts])) for share in allowed}
    best = min(means, key=means.__getitem__)
    return best if means[best] < 1 + TOLERATED else 0.0


def _rows(scene: PanelTensors, horizon: int) -> np.ndarray:
    """Issue rows with known values before and after."""
    known = np.isfinite(scene.target).any(0).cumsum()
    rows = np.arange(min(PATCH, scene.target.shape[1] // 4), scene.target.shape[1] - horizon)
    rows = rows[(known[rows] > 0) & (known[rows + horizon] > known[rows])] if len(rows) else rows
    if not len(rows):
        raise ForecastError("no window to train on", where="panel to train on",
                            expected=f"values before and after an issue time, horizon {horizon} steps",
                            remedy="give a longer panel")
    return rows


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of the rows, spread over all of them, at any phase of a season."""
    golden = 0.6180339887498949
    places = np.arange(min(count, len(rows)))
    return rows[np.unique(((places + places * golden % 1) / max(len(places), 1) * len(rows)).astype(int))]


def _lesson(scene: PanelTensors, rows: np.ndarray, patches: int, horizon: int,
            chance: np.random.Generator | None) -> TrainingWindow:
    nodes = len(scene.target)
    draws = [(scene, int(row), None if chance is None else hidden_by_chance(chance, nodes), MEMORY) for row in rows]
    taught = training_window(draws, patches)
    taught.truth[:, :, horizon:] = torch.nan
    return taught
