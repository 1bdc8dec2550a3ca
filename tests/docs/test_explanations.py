"""What ``discover`` and ``why`` say: sentences of 25 words at most, whole, and without private words.

The templates are read in the source, whole sentences are made of every branch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from terracast.causal.graph.assumptions import assumptions_of
from terracast.causal.graph.changes import sentence_of
from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.graph.sentences import sentence
from terracast.causal.knowledge import Knowledge
from terracast.causal.settings import Search
from terracast.drivers.selection import AblationResult, _sentence
from terracast.registry.lineage import Lineage, Version, tell
from tests.docs.prose import ROOT, sentences, words
from tests.docs.test_error_sentences import FILLED, MOST, _text

SPEAKING = sorted([*(ROOT / "causal").rglob("*.py"), *(ROOT / "drivers").rglob("*.py"),
                   *(ROOT / "flows" / "discovery").rglob("*.py"), ROOT / "flows" / "discover.py",
                   ROOT / "registry" / "lineage.py", ROOT / "adapt" / "promotion" / "verdict.py"])
TRAFFIC, RAIN = Series("traffic", "vehicle_count"), Series("weather", "hourly_precipitation")
AT = np.datetime64("2024-06-19T23", "ns")


def templates(path: Path) -> Iterator[str]:
    """Every text of a file that is no docstring, a value that is filled in counting for one word."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):  # outer before inner
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and id(node) not in skipped:
            skipped |= {id(part) for part in ast.walk(node)}
            yield _text(node).replace(FILLED, "x1")


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_templates_are_short(path: Path) -> None:
    assert not [one for text in templates(path) for one in sentences(text) if len(words(one)) > MOST]


def graph(*links: Link) -> CausalGraph:
    return CausalGraph((TRAFFIC, RAIN), links, "1h", "PCMCI+", 900)


def of_discover() -> Iterator[str]:
    plain = Link(RAIN, TRAFFIC, 3, -0.31, 1e-9, stability=0.92)
    links = [plain, replace(plain, lag=0), replace(plain, lag=0, oriented=False), replace(plain, known=True),
             replace(plain, cause=TRAFFIC, strength=0.4)]
    yield from (sentence(one, graph(one)) for one in links)
    yield from (sentence_of(change, before, after, graph(plain)) for change, before, after in product(
        ("appeared", "vanished", "turned", "changed lag", "changed sign", "changed strength", "direction found",
         "direction lost"), (plain, links[2]), (plain, links[1])))
    for method, test, correction in product(("PCMCI", "PCMCI+"), ("ParCorr", "RobustParCorr", "CMIknn", "GPDC"),
                                            ("none", "fdr_bh")):
        yield from assumptions_of(Search(24, method=method, test=test, correction=correction), graph())
    knowledge = "\n".join(f"weather.hourly_precipitation {verb} traffic.vehicle_count{lag}" for verb, lag in (
        ("never causes", ""), ("may cause", ""), ("causes", " at lag 3"), ("causes", " at lag 9")))
    for line in knowledge.splitlines():
        for found in (graph(plain), graph()):
            yield from Knowledge.parse(line).sentences(found)


def of_ablation() -> Iterator[str]:
    fields = dict.fromkeys(AblationResult.__dataclass_fields__)
    for accepted, gain, blocks in product((True, False), (0.034, -0.021), (2, 40)):
        made = AblationResult(**{**fields, "accepted": accepted, "gain": gain, "blocks": blocks, "block": 24,
                                 "e_value": 31.2, "needed": 120.0})
        yield _sentence(made, "hourly precipitation").capitalize() + "."


def of_why() -> Iterator[str]:
    bare = Lineage("base", "SNAP1")
    full = Lineage("E7-fine-tune", "SNAP1", parent="1", episode_id="air-2024-06-19T23", alarm_kind="level",
                   policy_rung="fine-tune", graph_digest="0123456789abcdef", config_digest="0123456789abcdef",
                   known_at=AT, seed=3, reference=(AT, AT), base="shipped", command="terracast adapt")
    tags = {"gain_in_service": "better by 3.1 %", "rolled_back_to": "1", "rollback_reason": "It lost in service."}
    for lineage, aliases, held in product((bare, full), ((), ("champion", "previous")), ({}, tags)):
        version = Version("3", aliases, lineage, {"crps": 1.234, "mae": 2.3}, AT, "run", held)
        for ancestors, decision in product(((), ("2", "1")), (None, {"verdict": "accept", "e_value": 31.2})):
            yield from tell("air-no2", version, ancestors, decision).sentences


@pytest.mark.parametrize("said", [of_discover, of_ablation, of_why])
def test_sentences_are_short_and_whole(said: object) -> None:
    made = list(said())  # type: ignore[operator]
    assert len(made) >= 8
    for text in made:
        for one in sentences(text):
            assert len(words(one)) <= MOST, one
            assert "None" not in one and "nan" not in one.split() and "{" not in one, one
            assert not {"told", "sort", "wish", "shelf", "tape"} & set(one.lower().split()), one
