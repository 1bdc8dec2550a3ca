"""A search spread over processes or a cluster, or cut off and taken up again, finds the identical graph."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causal.discover import DiscoverError, discover
from causal.graph import CausalGraph, Series
from causal.methods.ledger import Ledger
from causal.prepare import Prepared
from causal.search import Search
from causal.workers import Cluster, Here, Processes

NAMES = tuple(Series("air", f"s{one}") for one in range(5))


def world(rows: int = 400, gaps: float = 0.0) -> Prepared:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, 5))
    for row in range(2, rows):
        values[row] += 0.4 * values[row - 1] + 0.5 * np.roll(values[row - 2], 1) * [1, 0, 1, 0, 1]
    values[:, 4] += 0.6 * values[:, 0]
    values[rng.random(values.shape) < gaps] = np.nan
    return Prepared(values, NAMES, "1h", np.arange(rows))


SEARCHES = {
    "pcmci": Search(2, 0.05, "PCMCI"), "pcmci+": Search(2, 0.05, "PCMCI+"),
    "corrected": Search(2, 0.05, "PCMCI", correction="fdr_bh"),
    "robust": Search(2, 0.05, "PCMCI", test="RobustParCorr"),
    "upstream": Search(2, 0.05, "PCMCI+", engine="tigramite"),
    "shuffles": Search(1, 0.05, "PCMCI", test="CMIknn", shuffles=20)}


def plain(name: str, data: Prepared) -> CausalGraph:
    return discover(data, max_lag=2, search=SEARCHES[name])


@pytest.mark.parametrize("name", [one for one in SEARCHES if one != "shuffles"])
@pytest.mark.parametrize("gaps", [0.0, 0.01])
def test_target_by_target_is_the_same_graph(name: str, gaps: float) -> None:
    data = world(gaps=gaps)
    alone = plain(name, data)
    assert len(alone.links) > 8
    assert discover(data, max_lag=2, search=SEARCHES[name], workers=Here()) == alone


def test_processes_find_the_same_graph() -> None:
    told: list[float] = []
    data = world(60)
    spread = discover(data, max_lag=1, search=SEARCHES["shuffles"], workers=Processes(2),
                      progress=lambda share, words: told.append(share))
    assert spread == plain("shuffles", data)
    assert told == sorted(told) and len(told) > 5


@pytest.mark.slow
def test_a_dask_cluster_finds_the_same_graph() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:
        workers = Cluster(client)
        assert workers.count == 2
        for name in ("pcmci", "pcmci+", "corrected"):
            assert discover(world(), max_lag=2, search=SEARCHES[name], workers=workers) == plain(name, world())


def test_what_a_folder_keeps_is_not_done_again(tmp_path: Path) -> None:
    class Refusing(Here):
        def at(self, work: Any) -> Any:
            raise AssertionError("asked to work")

    class Counting(Here):
        def at(self, work: Any) -> Any:
            asked.append(work)
            return super().at(work)

    asked: list[Any] = []
    data = world()
    first = discover(data, max_lag=2, search=SEARCHES["pcmci"], folder=tmp_path, workers=Counting())
    assert first == plain("pcmci", data) and len(asked) == 1
    assert len(list(tmp_path.glob("parents-*.npz"))) == len(list(tmp_path.glob("links-*.npz"))) == 5
    (tmp_path / "links-00003.npz").unlink()
    (tmp_path / "links-00001.tmp").write_bytes(b"torn")
    assert discover(data, max_lag=2, search=SEARCHES["pcmci"], folder=tmp_path) == first
    with pytest.raises(DiscoverError, match="keeps another search"):
        discover(data, max_lag=2, search=SEARCHES["pcmci+"], folder=tmp_path)
    with pytest.raises(DiscoverError, match="keeps another search"):
        discover(world(399), max_lag=2, search=SEARCHES["pcmci"], folder=tmp_path)


def test_a_torn_line_of_the_ledger_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "tests.jsonl"
    Ledger(path).add([1, 0, 1], 0.1 + 0.2, 1e-300)
    with path.open("a") as file:
        file.write("[[1, 2], 0.")
    again = Ledger(path)
    assert again.get([1, 0, 1]) == (0.1 + 0.2, 1e-300) and again.get([1, 2]) is None
    again.add([1, 2], 0.5, 0.5)
    assert Ledger(path).get([1, 2]) == (0.5, 0.5)


CUT_OFF = """
import os, signal, sys
from pathlib import Path
import numpy as np
from causal.discover import discover
from causal.graph import Series
from causal.prepare import Prepared
from causal.search import Search
values = np.load(sys.argv[1])
series = tuple(Series("air", f"s{one}") for one in range(values.shape[1]))
heard = []
def told(share, words):
    heard.append(share)
    if len(heard) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
graph = discover(Prepared(values, series, "1h", np.arange(len(values))), max_lag=2, progress=told,
                 search=Search(**__import__("json").loads(sys.argv[3])), folder=sys.argv[2])
Path(sys.argv[2], "graph.json").write_text(graph.to_json())
"""


@pytest.mark.parametrize(("method", "test", "after"), [
    ("PCMCI", "RobustParCorr", 9), ("PCMCI+", "RobustParCorr", 8),
    pytest.param("PCMCI", "ParCorr", 4, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_identical_graph(method: str, test: str, after: int, tmp_path: Path) -> None:
    data = world(300)
    np.save(tmp_path / "values.npy", data.values)
    settings = {"max_lag": 2, "alpha": 0.05, "method": method, "test": test}
    command = [sys.executable, "-c", CUT_OFF, str(tmp_path / "values.npy"), str(tmp_path / "kept"),
               json.dumps(settings), str(after)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == -signal.SIGKILL
    kept = tmp_path / "kept"
    assert not (kept / "graph.json").exists() and any(kept.iterdir())
    search = Search(**settings)  # type: ignore[arg-type]
    again = discover(data, max_lag=2, search=search, folder=kept)
    assert again == discover(data, max_lag=2, search=search) and len(again.links) > 8
