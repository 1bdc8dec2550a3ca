"""What a base can be taught of a panel as known now: labels as they mature, lead by lead, and masked patches where
there are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import Pairs, matured, spread
from terracast.adapt.rungs.tasks import training_window_at
from terracast.stfm.base.panel_tensors import PanelTensors, panel_tensors
from terracast.stfm.base.training_batch import TrainingWindow, hidden_by_chance
from terracast.stfm.base.window import MEMORY, PATCH
from terracast.stfm.forecaster import Request

SERIES = 48  # node windows in a lesson
MOST = 8  # lessons of each type
FEWEST = 8  # matured issues without which labels teach nothing


@dataclass(frozen=True)
class TrainingWindows:
    """``labelled``: lessons of issues whose labels have come, wholly or in part, before ``held`` began; ``masked``: the
    context's own newest patches, masked and to be told from what came before; ``held``: what is examined."""

    pairs: Pairs
    scene: PanelTensors
    labelled: list[TrainingWindow]
    masked: list[TrainingWindow]
    held: list[TrainingWindow]


def training_windows(known: xr.Dataset, request: Request, *, nodes: np.ndarray | None = None, seed: int = 0,
                     everything: bool = False, masked: bool = True) -> TrainingWindows:
    """Lessons of ``known`` at ``request.issue_time``.

    ``nodes`` (node,): of which labels are taught (default: all). ``everything``: nothing is held back, for a last
    course after the examination. Values after the issue time are never read.
    """
    pairs = matured(known, request)
    step = request.step.astype("timedelta64[ns]")
    now = request.issue_time.astype("datetime64[ns]")
    scene = panel_tensors(pairs.panel, request.target, step, until=now, ahead=0)
    rows = {name: ((stamps - scene.first) // step).astype(int) for name, stamps in
            (("learned", pairs.learned), ("held", pairs.held))}
    last = scene.target.shape[1] - 1
    matures = last if everything or not len(rows["held"]) else int(rows["held"][0])
    share = max(1, SERIES // len(scene.target))
    patches = -(-request.horizon // PATCH)
    chance = np.random.default_rng([seed, 4])
    first = int(np.isfinite(scene.target).any(0).argmax())
    least = max(4, min(48, (matures - first) // 3))  # rows of context without which little is to be learned
    eligible = np.arange(first + least, matures)  # a value or more has come since

    def made(chosen: np.ndarray, length: int, horizon: int, until: int, hide: bool) -> list[TrainingWindow]:
        parts = [chosen[start:start + share] for start in range(0, len(chosen), share)]
        hidden = [hidden_by_chance(chance, len(scene.target), MEMORY) if hide else None for _ in parts]
        lessons = [training_window_at(scene, part, length, matured=until, horizon=horizon, hidden=one)
                   for part, one in zip(parts, hidden, strict=True)]
        return [_of(one, nodes) for one in lessons]

    enough = len(pairs.learned) >= FEWEST
    taught = chance.permutation(spread(eligible, MOST * share)) if enough else eligible[:0]
    covered = chance.permutation(spread(eligible, MOST * share)) if masked else eligible[:0]
    return TrainingWindows(pairs, scene, made(taught, patches, request.horizon, matures, False),
                           made(covered, 1, PATCH, matures, True),
                           [] if everything else made(rows["held"], patches, request.horizon, last, False))


def _of(one: TrainingWindow, nodes: np.ndarray | None) -> TrainingWindow:
    if nodes is not None:
        away = np.ones(one.truth.shape[1], bool)
        away[nodes] = False
        one.truth[:, away] = np.nan
    return one
