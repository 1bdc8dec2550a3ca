"""Pre-training on simulated worlds only: every real panel stays out of distribution, and no data licence binds.

What batch k holds depends on the seed and k alone, so a run that was killed goes on from its last checkpoint as if
nothing had happened (to the rounding of one number of threads).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch.utils.data import DataLoader, Dataset

from terracast.stfm.base.network import BaseNetwork, Batch, Size
from terracast.stfm.base.panel_tensors import PanelTensors, panel_tensors
from terracast.stfm.base.training_batch import TrainingWindow, hidden_by_chance, loss, training_window
from terracast.stfm.base.window import MEMORY, PATCH
from terracast.stfm.forecaster import ForecastError
from terracast.stfm.prior.mixture import sample_world

PATCHES_AHEAD = (1, 1, 2, 3, 6)  # drawn evenly: horizons of 32 to 192 steps
LATEST = 200  # the first issue time of a world is no later than this row
POOL = 400  # worlds from which a batch draws: each is seen several times, at other issue times and with other gaps
FINAL_SHARE = 0.25  # of the steps, in which the rate falls to nothing
AVERAGED = 0.998  # the weights in service are a running mean over some 500 steps
OPTIMISER = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Plan:
    """What is trained, on what, for how long; kept beside the weights."""

    steps: int
    seed: int = 0
    rate: float = 1e-3
    worlds: int = 16
    fresh: int = 4
    nodes: int = 8
    length: int = 1664
    size: Size = field(default_factory=Size)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """What ``to_json`` wrote."""
        raw = json.loads(text)
        return cls(**{**raw, "size": Size(**raw["size"])})

    def to_json(self) -> str:
        """The plan as a JSON object."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True)
class Progress:
    """Where a run is: ``step`` of ``steps``, the running mean of its loss."""

    step: int
    steps: int
    loss: float


class Worlds(Dataset[TrainingWindow]):
    """Batches of simulated worlds by number: batch k is the same whenever and wherever it is made."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scenes: dict[int, PanelTensors] = {}

    def __len__(self) -> int:
        return self._plan.steps

    def __getitem__(self, number: int) -> TrainingWindow:
        plan = self._plan
        chance = np.random.default_rng([plan.seed, 1, number])
        newest = (number + 1) * plan.fresh + plan.worlds
        oldest = max(0, newest - POOL)
        patches = int(chance.choice(PATCHES_AHEAD))
        draws = []
        for world in chance.choice(np.arange(oldest, newest), plan.worlds, replace=False):
            scene = self._scene(int(world))
            length = scene.target.shape[1]
            first = min(LATEST, length // 2)
            row = int(chance.integers(first, max(first + 1, length - patches * PATCH)))
            memory = MEMORY if chance.random() < 0.5 else int(np.exp(chance.uniform(np.log(24), np.log(MEMORY))))
            draws.append((scene, row, hidden_by_chance(chance, len(scene.target)), memory))
        for gone in [held for held in self._scenes if held < oldest]:
            del self._scenes[gone]
        return training_window(draws, patches)

    def _scene(self, world: int) -> PanelTensors:
        if world not in self._scenes:
            made = sample_world(self._plan.seed * 10**8 + world, steps=self._plan.length, nodes=self._plan.nodes)
            last = made.panel["time"].values[-1]
            step = np.diff(made.panel["time"].values[:2])[0]
            self._scenes[world] = panel_tensors(made.panel, made.target, step, until=last, ahead=0, graph=made.graph)
        return self._scenes[world]


def pretrain(plan: Plan, folder: Path, tell: Callable[[Progress], None] | None = None, *, workers: int = 1,
             every: int = 100, device: str = "cpu") -> BaseNetwork:
    """Train to the plan's last step and return the averaged network; goes on from ``folder``'s checkpoint if there.

    ``workers`` processes make worlds; a checkpoint (safetensors) is written every ``every`` steps. Raises
    ``ForecastError`` where the folder holds another plan. About 0.8 s a step on one core with the default size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_plan(plan, folder / "plan.json")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = BaseNetwork(plan.size).to(device)
    mean = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.05, betas=(0.9, 0.98))
    done = _resumed(folder, network, mean, optimiser)
    running = math.nan
    for step, taught in enumerate(_batches(plan, done, workers), start=done + 1):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * rate_at(step, plan.steps)
        there = _moved(taught, device)
        found = loss(network(there.batch), there)
        optimiser.zero_grad()
        found.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        _follow(mean, network, min(AVERAGED, step / (step + 10)))
        value = float(found.detach())
        running = value if math.isnan(running) else 0.98 * running + 0.02 * value
        if step % every == 0 or step == plan.steps:
            _checkpoint(folder, step, network, mean, optimiser)
        if tell is not None:
            tell(Progress(step, plan.steps, running))
    return mean.cpu()


def examined(network: BaseNetwork, plan: Plan, batches: int = 20) -> float:
    """Mean loss on worlds that the plan never trains on (another seed)."""
    unseen = Worlds(replace(plan, seed=plan.seed + 1, steps=batches, fresh=plan.worlds))
    with torch.inference_mode():
        return float(np.mean([float(loss(network(taught.batch), taught)) for taught in
                              (unseen[number] for number in range(batches))]))


def rate_at(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: up over 200 steps, constant, down to nothing over the last quarter.

    >>> [rate_at(step, 1000) for step in (100, 500, 1000)]
    [0.5, 1.0, 0.0]
    """
    falling = max(1, round(steps * FINAL_SHARE))
    return min(1.0, step / 200, (steps - step) / falling)


def _batches(plan: Plan, done: int, workers: int) -> Iterator[TrainingWindow]:
    return iter(DataLoader(Worlds(plan), batch_size=None, sampler=range(done, plan.steps), num_workers=workers,
                           prefetch_factor=4 if workers else None))


def _check_plan(plan: Plan, path: Path) -> None:
    if not path.exists():
        path.write_text(plan.to_json())
    elif Plan.from_json(path.read_text()) != plan:
        raise ForecastError("the folder holds a run of another plan", where=str(path), expected=plan.to_json(),
                            remedy="give another folder, or the plan that is there")


def _resumed(folder: Path, network: BaseNetwork, mean: BaseNetwork, optimiser: torch.optim.Optimizer) -> int:
    """Put back the last checkpoint, if any, and return the steps done."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return 0
    held = safetensors.torch.load_file(path)
    network.load_state_dict({name[8:]: value for name, value in held.items() if name.startswith("network/")})
    mean.load_state_dict({name[5:]: value for name, value in held.items() if name.startswith("mean/")})
    for place, parameter in enumerate(network.parameters()):
        if f"optimiser/{place}/step" in held:  # absent: a parameter that never had a gradient
            state = {name: held[f"optimiser/{place}/{name}"] for name in OPTIMISER}
            optimiser.state[parameter] = {name: value if name == "step" else value.to(parameter.device)
                                          for name, value in state.items()}
    return int(held["done"])


def _checkpoint(folder: Path, step: int, network: BaseNetwork, mean: BaseNetwork,
                optimiser: torch.optim.Optimizer) -> None:
    """Write everything needed to go on, beside the old one, then over it."""
    held = {"done": torch.tensor(step)}
    held |= {f"network/{name}": value for name, value in network.state_dict().items()}
    held |= {f"mean/{name}": value for name, value in mean.state_dict().items()}
    for place, parameter in enumerate(network.parameters()):
        state = optimiser.state.get(parameter, {})
        held |= {f"optimiser/{place}/{name}": state[name] for name in OPTIMISER if name in state}
    partial = folder / "checkpoint.partial"
    safetensors.torch.save_file({name: value.detach().cpu().contiguous() for name, value in held.items()}, partial)
    partial.replace(folder / "checkpoint.safetensors")


def _moved(taught: TrainingWindow, device: str) -> TrainingWindow:
    if device == "cpu":
        return taught
    batch = Batch(**{name: value.to(device) for name, value in vars(taught.batch).items()})
    return TrainingWindow(batch,
                          *(value.to(device) for value in (taught.truth, taught.centre, taught.width, taught.counts)))


def _follow(mean: BaseNetwork, network: BaseNetwork, keep: float) -> None:
    with torch.no_grad():
        for average, newest in zip(mean.parameters(), network.parameters(), strict=True):
            average.lerp_(newest, 1 - keep)
