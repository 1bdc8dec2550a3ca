"""Training the native model: pinball loss on random windows that look like live ones, gaps and delay included."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from terracast.stfm.forecaster import ForecastError
from terracast.stfm.mlp.network import Network
from terracast.stfm.mlp.scales import LARGEST
from terracast.stfm.mlp.windows import Hidden, InputLayout, InputTable, inputs_at

BATCH = 256
AVERAGED = 0.98  # weights in service are a running mean over about 50 steps
STEEPEST = 8.0  # |z| that the loss follows; beyond it errors count as if at it


@dataclass(frozen=True)
class TrainingSample:
    """What is trained on: issue rows ``first`` to ``last`` (both included) of ``table``, with values of the newest
    ``delay`` steps not yet known."""

    table: InputTable
    layout: InputLayout
    delay: int
    first: int
    last: int

    def candidates(self) -> torch.Tensor:
        """Rows of the lesson after which any target value is known."""
        known = (~self.table.target.isnan()).any(1)
        ahead = known.unfold(0, self.layout.horizon, 1).any(1)  # [i]: any of i … i + horizon - 1
        rows = torch.arange(self.first, self.last + 1)
        rows = rows[ahead[rows + 1]]
        if not len(rows):
            raise ForecastError("no window to train on", where=f"{self.last + 1 - self.first} issue times",
                                expected="known values after some issue time", remedy="give a longer panel")
        return rows


@dataclass(frozen=True)
class TrainingEffort:
    """How hard to train: optimisation steps, peak learning rate, seed."""

    steps: int
    rate: float
    seed: int


def training(network: Network, training_window: TrainingSample, effort: TrainingEffort) -> Iterator[Network]:
    """Train ``network`` in place, yielding the running mean of its weights after each step (one object, updated).

    Deterministic given ``effort.seed`` on one number of threads; no global random state is read or left changed.
    """
    chance = torch.Generator().manual_seed(effort.seed)
    rows = training_window.candidates()
    optimiser = torch.optim.AdamW(network.parameters(), lr=effort.rate, weight_decay=0.02)
    mean = copy.deepcopy(network).eval()
    for step in range(effort.steps):
        for group in optimiser.param_groups:
            group["lr"] = effort.rate * _warm_then_down(step, effort.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(effort.seed * effort.steps + step)  # dropout reads the global state
            loss = _loss(network.train(), training_window, _draw(rows, training_window, chance, BATCH), chance)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        _follow(mean, network, min(AVERAGED, step / (step + 10)))
        yield mean


def train(network: Network, training_window: TrainingSample, effort: TrainingEffort,
          progress: Callable[[float], None] | None = None) -> Network:
    """Train to the end; see ``training``. ``progress`` hears the share that is done."""
    trained = network
    for step, mean in enumerate(training(network, training_window, effort), start=1):
        trained = mean
        if progress is not None:
            progress(step / effort.steps)
    return trained


def examined(network: Network, training_window: TrainingSample, windows: int = 1024) -> float:
    """Mean pinball loss on a fixed, evenly spread set of the lesson's windows."""
    rows = training_window.candidates()
    count = training_window.table.target.shape[1]
    spread = torch.linspace(0, len(rows) - 1, windows).round().long()
    with torch.inference_mode():
        draw = rows[spread], torch.arange(windows) % count
        return float(_loss(network.eval(), training_window, draw, None))


def _draw(rows: torch.Tensor, training_window: TrainingSample, chance: torch.Generator,
          windows: int) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = rows[torch.randint(len(rows), (windows,), generator=chance)]
    return chosen, torch.randint(training_window.table.target.shape[1], (windows,), generator=chance)


def _loss(network: Network, training_window: TrainingSample, draw: tuple[torch.Tensor, torch.Tensor],
          chance: torch.Generator | None) -> torch.Tensor:
    """Mean pinball loss in widths of the node (not in z: the scores that count are in the data's own units)."""
    rows, nodes = draw
    layout, table = training_window.layout, training_window.table
    hidden = unknown_yet(layout, training_window.delay, len(rows))
    if chance is not None:
        hidden, table = _with_gaps(hidden, chance), _restated(table, chance)
    forecast = network(*inputs_at(table, layout, rows, nodes, hidden))
    truth = table.target[rows[:, None] + torch.arange(1, layout.horizon + 1), nodes[:, None]]
    known = ~truth.isnan()
    truth = truth.nan_to_num(0.0).clamp(-STEEPEST, STEEPEST).sinh()[:, :, None]
    error = truth - forecast.clamp(-STEEPEST, STEEPEST).sinh()
    levels = torch.tensor(layout.quantiles)
    pinball = torch.maximum(levels * error, (levels - 1) * error).mean(2)
    return (pinball * known).sum() / known.sum().clamp(min=1)


def unknown_yet(layout: InputLayout, delay: int, windows: int) -> Hidden:
    """Hide the newest ``delay`` steps: values not known at the issue time (delay 0 hides nothing)."""
    late = torch.arange(layout.lookback - 1, -1, -1) < delay
    newest = torch.tensor(layout.offsets) < delay
    tail = late.expand(windows, -1)
    return Hidden(tail, tail, newest.expand(windows, len(layout.drivers), -1))


def _with_gaps(hidden: Hidden, chance: torch.Generator) -> Hidden:
    """Add gaps as networks have them: late reports, broken sensors, silent nodes, a dark network, no drivers."""
    windows, lookback = hidden.target.shape

    def happens(share: float, *shape: int) -> torch.Tensor:
        return torch.rand((windows, *shape), generator=chance) < share

    age = torch.arange(lookback - 1, -1, -1)
    late = happens(0.1, 1) & (age < torch.randint(1, 13, (windows, 1), generator=chance))
    start = torch.randint(0, lookback, (windows, 1), generator=chance)
    length = torch.randint(1, max(2, lookback // 2), (windows, 1), generator=chance)
    block = happens(0.1, 1) & (age >= start) & (age < start + length)
    short = happens(0.05, 1) & (age > torch.randint(0, lookback, (windows, 1), generator=chance))
    dark = happens(0.01, 1)
    target = hidden.target | late | block | short | happens(0.03, 1) | dark
    network = hidden.network | (late & happens(0.5, 1)) | short | dark
    count = hidden.drivers.shape[1]
    silent = happens(0.1, 1, 1) | happens(0.05, count, 1) | (late[:, -1:, None] & happens(0.5, count, 1))
    return Hidden(target, network, hidden.drivers | silent)


def _restated(table: InputTable, chance: torch.Generator) -> InputTable:
    """The same history had it been somewhat larger or smaller: a year to come is not quite like the one seen."""
    factor = torch.exp(0.3 * torch.randn(1, generator=chance))
    shift = 0.1 * torch.randn(1, generator=chance)

    def restated(z: torch.Tensor) -> torch.Tensor:
        return torch.asinh(z.clamp(-LARGEST, LARGEST).sinh() * factor + shift)

    return replace(table, target=restated(table.target), network=restated(table.network))


def _warm_then_down(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: up in the first 5 %, down along a cosine."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def _follow(mean: Network, network: Network, share: float) -> None:
    with torch.no_grad():
        for kept, new in zip(mean.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, 1 - share)
