"""The speed bench answers in the one form, and both engines agree."""

from __future__ import annotations

import json

from terracast.benchmarks.causal.speed import SpeedBench, answer


def test_small_worlds_agree_and_are_faster() -> None:
    told: list[str] = []
    result = answer(SpeedBench(variables=6, steps=400, lags=2, compared=5, sampled=60, full=True), told.append)
    assert result.keys() == {"bench", "data", "protocol", "rows", "summary", "command"} and json.dumps(result)
    summary = result["summary"]
    assert summary["pcmci_graph_identical"] and summary["pcmciplus_graph_identical"]
    assert summary["pcmci_identity"]["max_p_difference"] < 1e-8 and summary["pcmciplus_gaps_graph_identical"]
    assert {row["method"] for row in result["rows"]} == {"terracast", "tigramite-pcmci", "tigramite-pcmciplus"}
    assert len(told) == 5 and result["command"].endswith("--full")


def test_the_cost_of_upstream_can_be_sampled() -> None:
    result = answer(SpeedBench(variables=6, steps=400, lags=2, compared=4, sampled=60))
    peer = next(row for row in result["rows"] if row["method"] == "tigramite-pcmci")
    timed, tests = (int(word) for word in peer["measured"].split() if word.isdigit())
    assert tests == peer["tests"] and 60 <= timed <= tests and peer["cpu_seconds"] > 0
    assert result["summary"]["pcmci_graph_as_tigramite_loops"]
