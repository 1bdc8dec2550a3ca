"""A bounded memory of lessons, each ever offered being kept with the same chance (Vitter 1985, algorithm R), so that
learning the newest does not wipe out the old (experience replay: Chaudhry et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from stfm.base.lesson import Lesson
from stfm.base.network import Batch


@dataclass
class ReplayBuffer:
    """At most ``most`` lessons; ``seed`` decides which. About 10 kB a node and lesson.

    >>> from adapt.rungs.tasks import task
    >>> buffer = ReplayBuffer(most=2)
    >>> for number in range(3):
    ...     buffer.offer(task(0, number, steps=400).query)
    >>> len(buffer.lessons), buffer.offered
    (2, 3)
    """

    most: int = 16
    seed: int = 0
    offered: int = 0
    lessons: list[Lesson] = field(default_factory=list)

    def offer(self, one: Lesson) -> None:
        """Keep it or not: by chance, the same for the same seed and number."""
        place = int(np.random.default_rng([self.seed, 5, self.offered]).integers(0, self.offered + 1))
        self.offered += 1
        if len(self.lessons) < self.most:
            self.lessons.append(one)
        elif place < self.most:
            self.lessons[place] = one

    def state(self) -> dict[str, Any]:
        """All lessons as arrays."""
        return {"most": self.most, "seed": self.seed, "offered": self.offered,
                "lessons": [_arrays(one) for one in self.lessons]}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ReplayBuffer:
        """Go on to the bit where ``state`` was taken."""
        return cls(int(state["most"]), int(state["seed"]), int(state["offered"]),
                   [_lesson(one) for one in state["lessons"]])


def _arrays(one: Lesson) -> dict[str, np.ndarray]:
    told = {f"batch/{name}": value.numpy().copy() for name, value in vars(one.batch).items()}
    return told | {name: getattr(one, name).numpy().copy() for name in ("truth", "centre", "width", "counts")}


def _lesson(arrays: Mapping[str, np.ndarray]) -> Lesson:
    batch = Batch(**{part.name: torch.from_numpy(np.array(arrays[f"batch/{part.name}"])) for part in fields(Batch)})
    rest = {name: torch.from_numpy(np.array(arrays[name])) for name in ("truth", "centre", "width", "counts")}
    return Lesson(batch, **rest)
