"""What goes from MLflow by age, and what never does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from terracast.registry.expiry import expire_runs
from terracast.registry.lineage import Lineage
from terracast.registry.relocation import local_path
from terracast.registry.unversioned import record_files
from terracast.registry.versions import Registry
from terracast.stfm.mlp.forecaster import NativeModel

pytestmark = pytest.mark.integration


def graph(registry: Registry, digest: str) -> str:
    return record_files(registry, f"graph-{digest}-2024", "SNAP", {"graph.json": "{}"}, tags={"graph_digest": digest})


def test_runs_go_by_age_but_none_that_a_version_or_its_lineage_names(
        opened: Callable[..., Registry], model: NativeModel) -> None:
    registry = opened()
    named, unused, in_force, newest = (graph(registry, one) for one in ("named", "unused", "in-force", "newest"))
    number = registry.add(model, Lineage("base", "SNAP", graph_digest="named"))
    client, experiment = registry.place.client, registry.place.experiment
    foreign = client.create_run(experiment, run_name="a notebook of somebody").info.run_id
    client.set_terminated(foreign, "FINISHED")
    dead = client.create_run(experiment, tags={"terracast_version": "1", "lineage_key": "dead"}).info.run_id
    folder = local_path(client.get_run(unused).info.artifact_uri)
    assert folder is not None and folder.exists()

    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert expire_runs(registry, soon - timedelta(days=1), ["in-force"]) == (), "they are young"
    assert set(expire_runs(registry, soon, ["in-force"])) == {unused, dead}
    assert not folder.exists() and expire_runs(registry, soon, ["in-force"]) == ()
    left = {one.info.run_id for one in client.search_runs([experiment])}
    assert {named, in_force, newest, foreign} < left and len(left) == 5
    assert registry.load(number) is not None and registry.why(number)

    folder.mkdir()  # as if killed between the mark and the files
    expire_runs(registry, soon, ["in-force"])
    assert not folder.exists()
