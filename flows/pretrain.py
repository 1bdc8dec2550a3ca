"""``terracast pretrain``: the base model from simulated worlds, resumable, with its model card."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terracast.flows.terminal.share_shown import progress
from terracast.registry.pretraining import PretrainingRun
from terracast.registry.tracking import Tracking
from terracast.stfm.base.model import Base
from terracast.stfm.base.pretraining import AVERAGED, FINAL_SHARE, PATCHES_AHEAD, POOL, Plan, Progress, examined
from terracast.stfm.base.pretraining import pretrain as train
from terracast.stfm.prior.mixture import FAMILIES
from terracast.stfm.serialization import save

EVERY = 50  # steps between points of the curve and checkpoints


def run_pretraining(plan: Plan, folder: Path, tracking: str | None = None, workers: int = 1,
                    device: str = "cpu") -> dict[str, Any]:
    """Train, save ``folder/weights`` (config, safetensors, model card), log to MLflow, and say how it went."""
    began = time.monotonic()
    where = Tracking.at(tracking or folder / "mlflow.db", None)
    shown = {name: value for name, value in asdict(plan).items() if name != "size"} | asdict(plan.size)
    with PretrainingRun(where, folder, shown) as run, progress("steps", plan.steps) as advance:
        def report_progress(at: Progress) -> None:
            advance(1)
            if at.step % EVERY == 0 or at.step == at.steps:
                hours = _spent(folder, time.monotonic() - began)
                run.tell(at.step, loss=at.loss, hours=hours)

        _spent(folder, 0.0, opening=True)
        network = train(plan, folder, report_progress, workers=workers, every=EVERY, device=device)
        unseen = examined(network, plan)
        hours = _spent(folder, time.monotonic() - began)
        lineage = {"plan": asdict(plan), "worlds": dict(FAMILIES), "hours": round(hours, 2),
                   "loss_unseen": round(unseen, 4),
                   "data": "simulated worlds only (terracast.stfm.prior); no real data, no other model's weights"}
        weights = save(Base(network, lineage), folder / "weights")
        (weights / "README.md").write_text(model_card(Base(network, lineage), plan, hours, unseen))
        run.tell(plan.steps, loss_unseen=unseen)
        run.keep(weights)
    return {"weights": str(weights), "steps": plan.steps, "hours": hours, "loss_unseen": unseen, "run": run.run_id}


def model_card(base: Base, plan: Plan, hours: float, unseen: float) -> str:
    """What the weights are, for whoever finds the folder."""
    mix = "\n".join(f"| {name} | {weight:g} |" for name, weight in FAMILIES.items())
    text = (Path(__file__).parent / "templates" / "model_card.md").read_text()
    return text.format(parameters=base.parameters, plan=plan, hours=hours, unseen=unseen, mix=mix, pool=POOL,
                       falling=FINAL_SHARE, patches=PATCHES_AHEAD, averaged=AVERAGED)


def _spent(folder: Path, seconds: float, opening: bool = False) -> float:
    """Hours trained so far, over all sittings: kept beside the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    before, now = folder / "hours_before", folder / "hours"
    if opening:
        before.write_text(now.read_text() if now.exists() else "0")
        return float(before.read_text())
    total = float(before.read_text()) + seconds / 3600
    now.write_text(str(total))
    return total
