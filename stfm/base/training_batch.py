"""Lessons: windows with what came after them, side by side in a batch, and the loss on them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from terracast.stfm.base.counts import parameters, surprise
from terracast.stfm.base.network import Batch, ForecastOutput
from terracast.stfm.base.panel_tensors import PanelTensors
from terracast.stfm.base.window import FARTHEST, MEMORY, PATCH, Window, cut
from terracast.stfm.forecaster import QUANTILES

STEEPEST = 25.0  # errors beyond this many spreads count as if at it
COUNTED = 0.1  # weight of the count head's loss


@dataclass(frozen=True)
class TrainingWindow:
    """A batch with the truth in z (W, N, lead), NaN where not known, and the units of its nodes (W, N)."""

    batch: Batch
    truth: torch.Tensor
    centre: torch.Tensor
    width: torch.Tensor
    counts: torch.Tensor


def training_window(draws: list[tuple[PanelTensors, int, np.ndarray | None, int]], patches: int) -> TrainingWindow:
    """One window per draw (scene, row, hidden, memory), all ``patches`` ahead, with the values that followed.

    Nodes and drivers are filled up to the largest of them; the filling is marked as not real.
    """
    windows = [cut(scene, row, patches * PATCH, hidden, memory) for scene, row, hidden, memory in draws]
    truths = []
    for (scene, row, _, _), window in zip(draws, windows, strict=True):
        after = scene.target[:, row + 1:row + 1 + patches * PATCH]
        after = np.pad(after, ((0, 0), (0, patches * PATCH - after.shape[1])), constant_values=np.nan)
        truths.append((after - window.centre[:, None]) / window.width[:, None])
    nodes = max(len(truth) for truth in truths)
    truth = torch.from_numpy(np.stack([_filled(one, nodes, np.nan) for one in truths])).float()
    return TrainingWindow(collated(windows), truth,
                          torch.from_numpy(np.stack([_filled(one.centre, nodes, 0.0) for one in windows])),
                          torch.from_numpy(np.stack([_filled(one.width, nodes, 1.0) for one in windows])),
                          torch.tensor([scene.counts for scene, *_ in draws]))


def collated(windows: list[Window]) -> Batch:
    """Windows side by side; ``real`` marks the nodes that are not filling."""
    nodes = max(len(one.centre) for one in windows)
    drivers = max(one.drivers.shape[1] for one in windows)
    held: dict[str, torch.Tensor] = {}
    for field in fields(Batch):
        if field.name == "real":
            continue
        parts = [getattr(one, field.name) for one in windows]
        if field.name in ("drivers", "drivers_known"):
            parts = [torch.nn.functional.pad(one, (0, 0, 0, 0, 0, drivers - one.shape[1])) for one in parts]
        if field.name != "circles":
            fill = 1.0 if field.name == "spread" else 0.0
            parts = [torch.nn.functional.pad(one, (0, 0) * (one.dim() - 1) + (0, nodes - len(one)), value=fill)
                     for one in parts]
        held[field.name] = torch.stack(parts)
    held["available"][..., 0] = True
    real = torch.stack([torch.arange(nodes) < len(one.centre) for one in windows])
    return Batch(**held, real=real)


def loss(answer: ForecastOutput, taught: TrainingWindow) -> torch.Tensor:
    """Mean pinball loss in spreads of each node (so that calm and wild series count alike), plus the count head's
    negative log-likelihood where events are counted."""
    known = taught.truth.isfinite()
    truth = taught.truth.nan_to_num(0.0).clamp(-4 * FARTHEST, 4 * FARTHEST)[..., None]
    scale = taught.batch.spread.mean(-1, keepdim=True)[..., None] + 0.01
    error = ((truth - answer.quantiles) / scale).clamp(-STEEPEST, STEEPEST)
    levels = torch.tensor(QUANTILES, device=error.device)
    pinball = torch.maximum(levels * error, (levels - 1) * error).mean(-1)
    found = (pinball * known).sum() / known.sum().clamp(min=1)
    if not taught.counts.any():
        return found
    held = taught.counts
    counts = (taught.centre[held][..., None] + taught.width[held][..., None] * taught.truth[held].nan_to_num(0.0))
    mean, dispersion, zeros = parameters(answer.counts[held], taught.batch.readings[held], taught.centre[held],
                                         taught.width[held])
    likely = surprise(counts.round().clamp(min=0), mean, dispersion, zeros) * known[held]
    return found + COUNTED * likely.sum() / known.sum().clamp(min=1)


def hidden_by_chance(chance: np.random.Generator, nodes: int, memory: int = MEMORY) -> np.ndarray | None:
    """Gaps as networks have them (node, memory): late reports, outages of a node or of all, lost values."""
    if chance.random() < 0.4:
        return None
    hidden = np.zeros((nodes, memory), bool)
    if chance.random() < 0.5:
        hidden[:, memory - chance.integers(1, 5):] = True
    if chance.random() < 0.3:
        hidden |= chance.random((nodes, memory)) < chance.uniform(0, 0.3)
    for node in np.flatnonzero(chance.random(nodes) < 0.15):
        length = int(np.exp(chance.uniform(0, np.log(memory / 2))))
        start = memory - length - int(chance.random() ** 2 * (memory - length))
        hidden[node, start:start + length] = True
    return hidden


def _filled(values: np.ndarray, nodes: int, fill: float) -> np.ndarray:
    pad = [(0, nodes - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, pad, constant_values=fill)
