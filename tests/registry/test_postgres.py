"""MLflow in a PostgreSQL database: versions and aliases, and a connection that is lost for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from terracast.registry.lineage import Lineage
from terracast.registry.promotion import promote
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.mlp.forecaster import NativeModel
from tests.streams.servers import POSTGRES, postgres_cluster

pytestmark = [pytest.mark.slow, pytest.mark.skipif(POSTGRES is None, reason="PostgreSQL is not installed")]


def test_a_database_that_is_away_for_a_while_loses_and_doubles_nothing(tmp_path: Path, model: NativeModel) -> None:
    with postgres_cluster() as cluster:
        registry = Registry(cluster.url, tmp_path / "artifacts", name="air-pm25")
        assert registry.add(model, Lineage("base", "SNAP")) == "1"
        promote(registry, "1", decision={})
        cluster.stop()
        for act in (registry.champion, lambda: registry.add(model, Lineage("E1/fine-tune", "SNAP"))):
            with pytest.raises(RegistryError) as away:
                act()
            assert "p@ss" not in str(away.value) and "\n" not in str(away.value)
        cluster.start()
        assert registry.champion() == "1", "the same object goes on"
        assert registry.add(model, Lineage("E1/fine-tune", "SNAP")) == "2"
        assert Registry(cluster.url, tmp_path / "artifacts", name="air-pm25").add(
            model, Lineage("E1/fine-tune", "SNAP")) == "2"
        assert [one.lineage.key for one in registry.versions()] == ["base", "E1/fine-tune"]
