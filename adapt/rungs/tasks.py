"""Tasks to learn to adapt from: simulated worlds of which little is known yet, and what came after.

A task is a world (``stfm.prior``) with a short history: the pairs that have matured in it (support) and issue times
after it (query). Task k of a seed is the same whenever and wherever it is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stfm.base.panel_tensors import PanelTensors, panel_tensors
from terracast.stfm.base.training_batch import TrainingWindow, training_window
from terracast.stfm.base.window import MEMORY, PATCH
from terracast.stfm.prior.mixture import sample_world

STEPS, NODES = 900, 3
SHORTEST, LONGEST = 64, 400  # steps of history
AFTER = 240  # steps after now from which queries are drawn
SUPPORT, TOGETHER, QUERY = 12, 6, 5  # issue times: learned from, in one lesson, asked


@dataclass(frozen=True)
class Task:
    """``support``: lessons of matured pairs; ``query``: one lesson of later issue times."""

    support: tuple[TrainingWindow, ...]
    query: TrainingWindow


def task(seed: int, number: int, steps: int = STEPS) -> Task:
    """The task of this number, about 0.06 s.

    >>> made = task(0, 0, steps=400)
    >>> len(made.support) >= 1 and made.query.truth.shape[2] == PATCH
    True
    """
    chance = np.random.default_rng([seed, 2, number])
    world = sample_world(seed * 10**8 + 5 * 10**7 + number, steps=steps, nodes=NODES)
    step = np.diff(world.panel["time"].values[:2])[0]
    scene = panel_tensors(world.panel, world.target, step, until=world.panel["time"].values[-1], ahead=0,
                          graph=world.graph)
    length = scene.target.shape[1]
    history = int(np.exp(chance.uniform(np.log(SHORTEST), np.log(min(LONGEST, length // 2)))))
    now = int(chance.integers(history, max(history + 1, length - PATCH - AFTER)))
    first = now - history
    rows = np.unique(np.linspace(first + 8, now - PATCH, SUPPORT).astype(int))
    rows = chance.permutation(rows[rows > first])
    later = now + 1 + chance.permutation(min(AFTER, length - now - PATCH - 1))[:QUERY]
    parts = [rows[start:start + TOGETHER] for start in range(0, len(rows), TOGETHER)]
    return Task(tuple(training_window_at(scene, part, 1, first) for part in parts),
                training_window_at(scene, np.sort(later), 1, first))


def training_window_at(scene: PanelTensors, rows: np.ndarray, patches: int, first: int = 0, *,
                       matured: int | None = None,
                       horizon: int | None = None, hidden: np.ndarray | None = None) -> TrainingWindow:
    """Issue rows side by side; nothing before row ``first`` is read.

    Labels after row ``matured`` and beyond ``horizon`` are left out; ``hidden`` as in ``stfm.base.window.cut``.
    """
    made = training_window([(scene, int(row), hidden, min(MEMORY, int(row) - first + 1)) for row in rows], patches)
    leads = np.arange(made.truth.shape[2])
    for place, row in enumerate(rows):
        gone = np.zeros(len(leads), bool) if matured is None else row + 1 + leads > matured
        if horizon is not None:
            gone |= leads >= horizon
        made.truth[place, :, gone] = np.nan
    return made
