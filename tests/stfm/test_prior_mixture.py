"""Worlds: the same seed gives the same world; every one is a sound panel; gaps, steps and drivers vary."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stfm.prior.mixture import FAMILIES, MAKERS, WorldError, sample_world
from terracast.stfm.prior.world import World
from terracast.streams.panel import check_panel, step_of

ROOT = Path(__file__).parents[2]


def _digest(world: World) -> str:
    digest = hashlib.sha256()
    for name in sorted({*world.panel.data_vars, *world.panel.coords}):
        values = world.panel[name].values
        digest.update(name.encode() + (str(values.tolist()).encode() if values.dtype.kind == "U" else values.tobytes()))
    digest.update(b"" if world.graph is None else world.graph.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_makes_sound_panels(family: str) -> None:
    for seed in range(6):
        world = sample_world(seed, steps=200, nodes=5, families=[family])
        panel = check_panel(world.panel)
        assert (np.diff(panel["time"].values) == step_of(panel)).all()
        values = panel[world.target].values
        assert 1 <= values.shape[1] <= 5 and len(values) == 200
        assert np.nanmax(np.abs(values)) < 1e12 and np.isfinite(values).mean() >= 0.2 and np.nanstd(values) > 0
        if world.graph is not None:
            assert world.graph.shape == (values.shape[1],) * 2
            assert np.isfinite(world.graph).all() and (world.graph >= 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_world_to_the_bit(family: str) -> None:
    one, two = (sample_world(5, steps=128, nodes=4, families=[family]) for _ in range(2))
    assert _digest(one) == _digest(two)
    assert _digest(one) != _digest(sample_world(6, steps=128, nodes=4, families=[family]))


@pytest.mark.integration
def test_same_world_in_another_process_with_other_threads() -> None:
    code = ("from tests.stfm.test_prior_mixture import _digest, sample_world, FAMILIES\n"
            "print(*[_digest(sample_world(3, steps=96, nodes=8, families=[name])) for name in FAMILIES])")
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                           env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2",
                                "NUMBA_NUM_THREADS": "2"})
    assert found.stdout.split() == [_digest(sample_world(3, steps=96, nodes=8, families=[name])) for name in FAMILIES]


@given(seed=st.integers(0, 2**62), steps=st.integers(32, 160), nodes=st.integers(1, 12))
@settings(max_examples=60)
def test_any_seed_and_size(seed: int, steps: int, nodes: int) -> None:
    world = sample_world(seed, steps=steps, nodes=nodes)
    panel = check_panel(world.panel)
    assert panel.sizes["time"] == steps and panel.sizes["node"] <= nodes
    assert panel[world.target].attrs["role"] == "target"
    others = [panel[name] for name in panel.data_vars if name != world.target]
    assert len(others) <= 3
    assert all(one.attrs["role"] in ("past_driver", "future_driver") for one in others)
    assert all(one.attrs.get("lag", 0) >= 0 for one in others)


def test_the_mixture_is_broad() -> None:
    """Of 150 worlds: many steps, gaps in some and none in many, drivers, graphs, moving nodes, counts, one node."""
    worlds = [sample_world(seed, steps=128, nodes=4) for seed in range(150)]
    steps = {world.panel.attrs["step"] for world in worlds}
    assert {"5min", "15min", "1h", "6h", "1D", "7D"} <= steps
    gaps = np.array([np.isnan(world.panel[world.target].values).mean() for world in worlds])
    assert 0.3 < (gaps == 0).mean() < 0.8 and (gaps > 0.1).any()
    assert 0.2 < np.mean([len(world.panel.data_vars) > 1 for world in worlds]) < 0.9
    assert 0.05 < np.mean([world.graph is not None for world in worlds]) < 0.7
    assert {world.panel.attrs["kind"] for world in worlds} == {"sensor", "event", "point"}
    assert any(world.panel.sizes["node"] == 1 for world in worlds)
    years = [int(str(world.panel["time"].values[0])[:4]) for world in worlds]
    assert min(years) < 1965 and max(years) > 2030 and min(years) >= 1949


def test_the_driver_leads_by_its_lag() -> None:
    """Where a Gaussian world shows a component early, correlation with the target peaks near the told lag."""
    hits, tried = 0, 0
    for seed in range(120):
        world = sample_world(seed, steps=512, nodes=1, families=["gaussian"])
        target = world.panel[world.target].values[:, 0]
        for name in world.panel.data_vars:
            lag = world.panel[name].attrs.get("lag")
            cause = world.panel[name].values[:, 0]
            if lag is None or not np.isfinite(target).all() or not np.isfinite(cause).all():
                continue
            moved = [abs(np.corrcoef(np.diff(cause[:500 - k]), np.diff(target[k:500]))[0, 1]) for k in range(26)]
            if max(moved) > 0.3:
                tried, hits = tried + 1, hits + (abs(int(np.argmax(moved)) - lag) <= 1)
    assert tried >= 8 and hits / tried > 0.8


def test_what_cannot_be_made_is_named() -> None:
    with pytest.raises(WorldError, match="no world family \\['volcano'\\]"):
        sample_world(0, families=["volcano"])
    with pytest.raises(WorldError, match="at least 32 steps"):
        sample_world(0, steps=3)
    assert set(MAKERS) == set(FAMILIES) and abs(sum(FAMILIES.values()) - 1) < 1e-9
