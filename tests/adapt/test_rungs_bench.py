"""The benches of the rungs on a small file: rows, ratios and the summary hang together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.adapt.rungs.cavia import Directions
from terracast.adapt.rungs.meta_context import ContextPlan
from terracast.adapt.rungs.meta_init import FILE, load_start, plan_of, save_start, shipped_directions
from terracast.benchmarks.adapt.new_node import MARKS, NewNodeError, bench_new_node, new_nodes, summary
from terracast.benchmarks.adapt.rungs import bench_rungs, situation
from terracast.benchmarks.base.data import cases_of
from terracast.flows.learn_directions import learn_directions
from terracast.stfm.base.model import Base


@pytest.fixture
def file(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    hours = np.arange(24 * 120)
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=len(hours), freq="h"), "load":
                          10 + np.sin(hours * 2 * np.pi / 24) + 0.3 * draws.normal(size=len(hours))})
    path = tmp_path / "load.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return save_start(Directions.random(128).values, Base.shipped(), {}, tmp_path / "start.safetensors")


def test_the_summary_counts_steps_to_what_plain_fine_tuning_reached() -> None:
    falling = 1 - 0.01 * np.arange(len(MARKS)) / (len(MARKS) - 1)
    fast = np.where(np.array(MARKS) >= 5, 0.97, 1.0)
    told = summary({"plain 0.001": [falling], "terracast": [fast]})
    assert told["plain_steps"] == MARKS[-1] and told["meta_steps"] == 5 and told["share_of_cases_won_after_5"] == 1.0


def test_a_situation_holds_only_what_its_name_says(file: Path) -> None:
    case = cases_of(file)[0][0]
    row = 24 * 80
    known = {name: situation(case, name, row, 1) for name in ("before labels", "a week", "four weeks")}
    for name, rows in (("before labels", 24), ("a week", 7 * 24), ("four weeks", 28 * 24)):
        one = known[name]
        assert int((one.panel["time"].values <= one.now).sum()) == rows and (one.later > one.now).all()
    nodes = new_nodes(case)
    assert nodes and all(one.now == 7 * 24 - 1 and (one.later > one.now).all() for one in nodes)


def test_the_shipped_directions_belong_to_the_shipped_base_and_are_small() -> None:
    from terracast.stfm.base.model import SHIPPED

    found = shipped_directions()
    assert found is not None and found.count == 16 and (SHIPPED / FILE).stat().st_size < 2**20
    assert {"seed", "tasks", "steps"} <= set(plan_of())


def test_the_command_learns_and_writes_directions(tmp_path: Path) -> None:
    answer = learn_directions(ContextPlan(tasks=2, together=1, steps=1), tmp_path)
    assert set(load_start(Base.shipped(), tmp_path / FILE)) == {"add", "scale", "rate"} and answer["tasks"] == 2


@pytest.mark.slow
def test_the_benches_answer(file: Path, start: Path, tmp_path: Path) -> None:
    answer = bench_rungs([file], "again", start=start, nodes=1, nows=1, situations=("before labels", "a week"))
    assert {row["situation"] for row in answer["rows"]} == {"before labels", "a week"}
    assert all(0.5 < row["crps_ratio"] < 2 for row in answer["rows"])
    steps = bench_new_node([file], "again", start=start, nodes=1)
    assert {row["method"] for row in steps["rows"]} == {"plain 0.0003", "plain 0.001", "simulated", "terracast"}
    assert all(row["after_0"] == pytest.approx(1.0) for row in steps["rows"] if row["method"] != "terracast")
    assert all(0.5 < row["after_0"] < 2 for row in steps["rows"])  # the start from other nodes is ahead or not taken
    short = tmp_path / "short.csv"
    pd.read_csv(file).head(400).to_csv(short, index=False)
    with pytest.raises(NewNodeError):
        bench_new_node([short], "again", start=start)
