"""``terracast pretrain --adapters``: the directions along which the base is adapted, learned on simulated worlds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from terracast.adapt.rungs.meta_context import ContextPlan, ContextProgress, meta_learn_context
from terracast.adapt.rungs.meta_init import FILE, save_start
from terracast.flows.terminal.share_shown import progress
from terracast.stfm.base.model import Base

EVERY = 40  # tasks between two files written


def learn_directions(plan: ContextPlan, folder: Path, base: Base | None = None) -> dict[str, Any]:
    """Learn, write ``folder/directions.safetensors`` (again and again), and say how it went."""
    began, own = time.process_time(), base or Base.shipped()
    path = folder / FILE
    ratio = 1.0
    with progress("tasks", plan.tasks) as advance:
        def report_progress(at: ContextProgress) -> None:
            nonlocal ratio
            ratio = at.ratio
            advance(plan.together)
            if at.done % EVERY < plan.together or at.done == at.tasks:
                save_start(at.directions.values, own, plan.as_json(), path)

        meta_learn_context(own.network, plan, report_progress)
    return {"directions": str(path), "tasks": plan.tasks, "seed": plan.seed, "adapted_over_frozen": round(ratio, 4),
            "cpu_seconds": round(time.process_time() - began, 1)}
