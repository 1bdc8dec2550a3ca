"""``terracast pretrain``: weights with a card, one MLflow run however often it was resumed."""

import json

import numpy as np
import pytest

from terracast.flows.pretrain import run_pretraining
from terracast.stfm.base.model import SHIPPED, Base
from terracast.stfm.base.network import Size
from terracast.stfm.base.pretraining import Plan
from terracast.stfm.serialization import load

PLAN = Plan(steps=4, worlds=2, fresh=1, nodes=3, length=600, size=Size(width=16, layers=2, heads=2, inducing=2))


def test_a_run_leaves_weights_card_and_curve_and_goes_on_in_the_same_run(tmp_path):
    first = run_pretraining(PLAN, tmp_path, workers=0)
    again = run_pretraining(PLAN, tmp_path, workers=0)  # nothing left to do: the same weights, the same run
    assert first["run"] == again["run"]
    base = load(tmp_path / "weights")
    assert isinstance(base, Base) and base.lineage["plan"]["steps"] == 4
    card = (tmp_path / "weights" / "README.md").read_text()
    assert f"{base.parameters:,} parameters" in card and "simulated worlds only" in card
    import mlflow  # a second

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(first["run"])
    assert run.info.status == "FINISHED" and run.data.params["seed"] == "0"
    assert np.isfinite(run.data.metrics["loss"])
    assert run.data.metrics["loss_unseen"] == pytest.approx(again["loss_unseen"])
    assert {item.path for item in client.list_artifacts(first["run"])} >= {"config.json", "weights.safetensors"}


def test_the_shipped_weights_say_how_they_were_made():
    base = Base.shipped()
    plan = Plan(**{**base.lineage["plan"], "size": Size(**base.lineage["plan"]["size"])})
    assert plan.size == base.network.size and 1e6 <= base.parameters <= 5e6
    assert json.loads(plan.to_json())["steps"] > 1000
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 12e6
