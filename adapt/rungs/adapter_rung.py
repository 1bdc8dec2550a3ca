"""Rung 3: an adapter of the base learned while it serves, from zeros or from a start that was meta-learned.

Learned from labels as they mature, lead by lead, and from masked patches of the context (which need no label), against
forgetting with a pull to the start. Papers: LoRA (Hu et al. 2022), Tent (Wang et al. 2021),
masked test-time training (Gandelsman et al. 2022), L2-SP (Xuhong et al. 2018), MAML (Finn et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import xarray as xr

from terracast.adapt.rungs.adapter import Adapter, Values
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, order, train_adapter
from terracast.adapt.rungs.dann import DomainAdversary
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.adapt.rungs.training_windows import TrainingWindows, training_windows
from terracast.stfm.base.model import Base
from terracast.stfm.base.training_batch import TrainingWindow
from terracast.stfm.forecaster import Forecaster, Request

EXPLODED = 4.0  # a course whose examined loss grows by this factor is stopped
UNLABELLED = 8  # steps at most where no label has come, so that nothing can be examined


@dataclass(frozen=True)
class Tuned:
    """What a course led to: the adapter at its best examination, after how many steps, and what was examined."""

    adapter: Adapter
    steps: int
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class AdapterRung:
    """``start``: where the adapter begins (``start_of_nodes`` finds one); None: zeros, which are the base itself.
    ``masked``: weight of the masked patches beside labels (alone where there are no labels; 0: never).
    ``again``: when kept, learn once more with the held-back pairs too.
    ``unlabelled``: act on masked patches alone where no label has come; off: CRPS fell by 0.1 %, which is chance.
    ``alike``: how hard the body is driven to states that do not tell the node (``DomainAdversary``); 0: not at all."""

    effort: AdapterEffort = field(default_factory=AdapterEffort)
    steps: int = 40
    start: Adapter | None = None
    masked: float = 0.3
    nodes: np.ndarray | None = None
    again: bool = True
    unlabelled: bool = False
    alike: float = 0.0
    seed: int = 0
    name: str = "adapter"
    expiry: np.timedelta64 | None = np.timedelta64(28, "D")  # noqa: RUF009 - a value, not a factory

    @property
    def paper(self) -> str:
        """Where it comes from."""
        return "Hu et al. 2022 (LoRA); Raghu et al. 2020 (ANIL); Xuhong et al. 2018 (L2-SP)"

    @property
    def cost(self) -> str:
        """In words."""
        each = "5 ms a step" if self.effort.heads else "5 ms a step and node window (48)"
        return f"{self.steps} steps, about {each}, and 2 ms a node and issue time looked at; serves at the base's cost"

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """A base of its own with the adapter in its weights, kept if better on the held-back pairs."""
        if not isinstance(forecaster, Base):
            raise RungError(f"{type(forecaster).__name__} has no weights to adapt", where=self.name,
                            expected="the base model", remedy="use a rung that corrects outputs")
        start = self.start or Adapter.zero(forecaster.network, seed=self.seed)
        taught = training_windows(known, request, nodes=self.nodes, seed=self.seed, masked=self.masked > 0)
        if not taught.labelled and not (taught.masked and self.unlabelled):
            raise RungError("nothing to learn from", where=self.name, expected="a few known values",
                            remedy="wait for more history")
        found = self.tuned(forecaster, start, taught)
        if self.again and found.steps and taught.held:
            whole = training_windows(known, request, nodes=self.nodes, seed=self.seed, masked=self.masked > 0,
                                     everything=True)
        else:
            whole = None
        after = self._merged(forecaster, found, request)
        adapted = judged(self, forecaster, after, known, request, parameters=found.adapter.numbers, pairs=taught.pairs,
                         why=f"{found.steps} steps from {len(taught.labelled)} lessons of labels and "
                             f"{len(taught.masked)} of masked patches")
        if adapted.kept and whole is not None:
            last = self.tuned(forecaster, start, whole, steps=found.steps)
            return Adapted(self._merged(forecaster, last, request), adapted.receipt, forecaster)
        return adapted

    def tuned(self, base: Base, start: Adapter, taught: TrainingWindows, steps: int | None = None) -> Tuned:
        """The course, examined at ten places if something is held back; its last adapter if not."""
        heads, network = self.effort.heads, base.network
        labelled = TrainingBatch(network, taught.labelled or taught.masked, start, heads)
        also = self._also(base, start, taught)
        exam = TrainingBatch(network, taught.held, start, heads) if taught.held else None
        most = self.steps if steps is None else steps
        if exam is None and steps is None:
            most = min(most, UNLABELLED)
        best, least, kept = start, np.inf, 0
        curve: list[tuple[int, float]] = []
        if exam is not None:
            least = exam.mean(start.values)
            curve.append((0, least))
        begun = least
        places = order(len(labelled), most, np.random.default_rng([self.seed, 6]))
        for step, adapter in enumerate(train_adapter(labelled, start, self.effort, places, also), 1):
            if exam is None:
                best, kept = adapter, step
            elif step * 10 // most > (step - 1) * 10 // most:
                now = exam.mean(adapter.values)
                curve.append((step, now))
                if now < least:
                    best, least, kept = adapter, now, step
                if not now < EXPLODED * begun:
                    break
        return Tuned(best, kept, tuple(curve))

    def _also(self, base: Base, start: Adapter, taught: TrainingWindows) -> Callable[[Values], torch.Tensor] | None:
        """Masked patches, one a step in turn, and the adversary that tells nodes apart."""
        masked: list[TrainingWindow] = taught.masked if self.masked and taught.labelled else []
        adversary = None
        if self.alike and not self.effort.heads and len(taught.scene.target) > 1:  # heads do not change the states
            adversary = DomainAdversary(base.network, taught.labelled or taught.masked, strength=self.alike,
                                        seed=self.seed)
        if not masked and adversary is None:
            return None
        also_taught = TrainingBatch(base.network, masked, start, self.effort.heads) if masked else None
        turn = [0]

        def also(values: Values) -> torch.Tensor:
            turn[0] += 1
            terms = [] if also_taught is None else [self.masked * also_taught.loss(values, turn[0] % len(also_taught))]
            return torch.stack(terms if adversary is None else [*terms, adversary(values)]).sum()

        return also

    def _merged(self, base: Base, found: Tuned, request: Request) -> Base:
        story = {"rung": self.name, "steps": found.steps, "seed": self.seed, "until": str(request.issue_time)}
        adapters = [*list(base.lineage.get("adapters", [])), story]
        return found.adapter.merged(base, {"adapters": adapters})
