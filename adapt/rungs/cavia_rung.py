"""Rung 4 in service: a new node, city or regime learned as sixteen numbers along the meta-learned directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import xarray as xr

from terracast.adapt.rungs.cavia import ContextBatch, Directions, learned, merged
from terracast.adapt.rungs.meta_init import shipped_directions
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.adapt.rungs.training_windows import training_windows
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Forecaster, Request


@dataclass(frozen=True)
class ContextRung:
    """``directions``: None takes those shipped with the base. ``steps`` of plain gradient descent, each on all matured
    pairs; without any pair, on masked patches of the context. One step was best on forty simulated worlds that were
    not learned from. ``nodes``: of which labels are learned (default: all). ``unlabelled``: act on masked patches alone
    where no label has come; off, for it was measured to do harm (CRPS + 2 % on the mean of three files)."""

    directions: Directions | None = None
    steps: int = 1
    nodes: np.ndarray | None = None
    unlabelled: bool = False
    seed: int = 0
    name: str = "context-meta"
    paper: ClassVar[str] = "Finn et al. 2017 (MAML); Zintgraf et al. 2019 (CAVIA); Li et al. 2017 (Meta-SGD)"
    expiry: ClassVar[np.timedelta64 | None] = np.timedelta64(28, "D")

    @property
    def cost(self) -> str:
        """In words."""
        return (f"{self.steps} steps of about 8 ms, and 2 ms a node and issue time looked at (384 at most); serves at "
                "the base's cost")

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """A base whose heads read the states as the context moves them, kept if better on the held-back pairs, and then
        learned once more with these."""
        if not isinstance(forecaster, Base):
            raise RungError(f"{type(forecaster).__name__} has no states to move", where=self.name,
                            expected="the base model", remedy="use a rung that corrects outputs")
        directions = self.directions or shipped_directions()
        if directions is None:
            raise RungError("no directions", where=self.name, expected="a start made for this base",
                            remedy="learn one: terracast pretrain --adapters")
        taught = training_windows(known, request, nodes=self.nodes, seed=self.seed)
        lessons = taught.labelled or (taught.masked if self.unlabelled else [])
        if not lessons:
            raise RungError("nothing to learn from", where=self.name, expected="a few known values",
                            remedy="wait for more history")
        context = learned(ContextBatch(forecaster.network, lessons), directions, self.steps)[-1]
        form = "labels" if taught.labelled else "masked patches"
        adapted = judged(self, forecaster, self._served(forecaster, directions, context, request), known, request,
                         parameters=directions.count, pairs=taught.pairs,
                         why=f"{self.steps} steps from {len(lessons)} lessons of {form}")
        if adapted.kept and taught.labelled:
            whole = training_windows(known, request, nodes=self.nodes, seed=self.seed, everything=True, masked=False)
            context = learned(ContextBatch(forecaster.network, whole.labelled), directions, self.steps)[-1]
            return Adapted(self._served(forecaster, directions, context, request), adapted.receipt, forecaster)
        return adapted

    def _served(self, base: Base, directions: Directions, context: torch.Tensor, request: Request) -> Base:
        story = {"rung": self.name, "steps": self.steps, "seed": self.seed, "until": str(request.issue_time)}
        adapters = [*list(base.lineage.get("adapters", [])), story]
        return merged(base, directions, context, {"adapters": adapters})
