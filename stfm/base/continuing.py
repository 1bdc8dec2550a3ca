"""Continuing the base model on one panel: early stopped on its newest part, falling back to where it began.

By default only the heads are trained, on states that are computed once: seconds where the whole network takes
minutes, and most of the gain. ``whole`` trains every weight.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import xarray as xr

from stfm.base.lesson import Lesson, hidden_by_chance, lesson, loss
from stfm.base.network import BaseNetwork
from stfm.base.scene import Scene, scene_of
from stfm.base.window import MEMORY, PATCH
from stfm.forecaster import ForecastError, Request

HELD_OUT = 0.2  # the newest share of the issue times, on which weights are compared
EXAMINATIONS = 10
EXAMINED = 32  # issue times of an examination
LOOKED_AT = 96  # issue times whose states the heads are trained on
SERIES = 96  # node windows in a batch
RATES = {"heads": 1e-3, "whole": 2e-4}
GAIN = 0.003  # smallest share of the loss that makes new weights worth having: less is chance

Told = Callable[[int], torch.Tensor]


def continued(network: BaseNetwork, panel: xr.Dataset, request: Request, *, steps: int, seed: int,
              whole: bool) -> tuple[BaseNetwork, dict[str, object]]:
    """Train ``network`` (a copy that may be changed) on ``panel`` and return the best weights met, with the story.

    The newest fifth of the issue times is held out; a horizon is left between it and what is trained on. The weights
    win that lose least there at one of ten examinations; those it began with stay unless beaten by GAIN. About 10 ms
    a step for the heads (and 2 ms per node and issue time looked at, once), 0.5 s a step for the whole, on one core.
    """
    scene = scene_of(panel, request.target, request.step, until=panel["time"].values.max(), ahead=0)
    patches = -(-request.horizon // PATCH)
    rows = _rows(scene, request.horizon)
    newest_from = rows[int(len(rows) * (1 - HELD_OUT))]
    past, newest = rows[rows < newest_from - request.horizon], rows[rows >= newest_from]
    until = str(pd.Timestamp(panel["time"].values.max()))
    if not len(past) or not steps:
        return network.eval(), {"steps": 0, "seed": seed, "until": until, "why": "nothing to train on"}
    chance = np.random.default_rng(seed)
    share = max(1, min(16, SERIES // len(scene.target)))

    def batches(chosen: np.ndarray, spoiled: bool) -> list[Lesson]:
        return [_lesson(scene, chosen[start:start + share], patches, request.horizon, chance if spoiled else None)
                for start in range(0, len(chosen), share)]

    exam = _Taught(network, batches(_spread(newest, EXAMINED), False), not whole)
    if whole:
        def told(step: int) -> torch.Tensor:
            taught = batches(chance.choice(past, min(share, len(past))), True)[0]
            return loss(network(taught.batch), taught)
    else:
        school = _Taught(network, batches(chance.permutation(_spread(past, LOOKED_AT)), False), True)

        def told(step: int) -> torch.Tensor:
            return school.loss(network, step % len(school))

    best, story = _course(network, told, exam, steps, "whole" if whole else "heads")
    return best.eval(), {**story, "seed": seed, "until": until}


class _Taught:
    """Lessons with, if asked, the states of the network at the start: what the heads alone are trained on."""

    def __init__(self, network: BaseNetwork, lessons: list[Lesson], keep_states: bool) -> None:
        self._lessons = lessons
        with torch.no_grad():
            self._states = [network.look(one.batch) for one in lessons] if keep_states else None

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


def _course(network: BaseNetwork, told: Told, exam: _Taught, steps: int,
            part: str) -> tuple[BaseNetwork, dict[str, object]]:
    """Optimise and examine; the best weights and how it went."""
    trained = [parameter for name, parameter in network.named_parameters()
               if part == "whole" or name.split(".")[0] in BaseNetwork.heads]
    optimiser = torch.optim.AdamW(trained, lr=RATES[part], weight_decay=0.01)
    best, began = copy.deepcopy(network), exam.mean(network)
    least, kept = began, 0
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = RATES[part] * min(1.0, step / 20, 1.05 - step / steps)
        found = told(step)
        optimiser.zero_grad()
        found.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if step * EXAMINATIONS // steps > (step - 1) * EXAMINATIONS // steps:
            now = exam.mean(network)
            if now < min(least, began * (1 - GAIN)):
                best, least, kept = copy.deepcopy(network), now, step
    return best, {"steps": kept, "part": part, "loss_before": began, "loss_after": least}


def _rows(scene: Scene, horizon: int) -> np.ndarray:
    """Issue rows with known values before and after."""
    known = np.isfinite(scene.target).any(0).cumsum()
    rows = np.arange(min(PATCH, scene.target.shape[1] // 4), scene.target.shape[1] - horizon)
    rows = rows[(known[rows] > 0) & (known[rows + horizon] > known[rows])] if len(rows) else rows
    if not len(rows):
        raise ForecastError("no window to train on", where="panel given to the base model",
                            expected=f"known values before and after some issue time, horizon {horizon}",
                            remedy="give a longer panel")
    return rows


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of the rows, spread over all of them, at any phase of a season."""
    golden = 0.6180339887498949
    places = np.arange(min(count, len(rows)))
    return rows[np.unique(((places + places * golden % 1) / max(len(places), 1) * len(rows)).astype(int))]


def _lesson(scene: Scene, rows: np.ndarray, patches: int, horizon: int, chance: np.random.Generator | None) -> Lesson:
    nodes = len(scene.target)
    draws = [(scene, int(row), None if chance is None else hidden_by_chance(chance, nodes), MEMORY) for row in rows]
    taught = lesson(draws, patches)
    taught.truth[:, :, horizon:] = torch.nan
    return taught
