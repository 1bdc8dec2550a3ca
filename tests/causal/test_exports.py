"""Exports read back by the tools they are for."""

from __future__ import annotations

import csv
import io

import networkx
import pytest

from terracast.causal.graph.exports import to_csv, to_dot, to_graphml, to_networkx
from terracast.causal.graph.graph import CausalGraph, Link, Series

RAIN, FLOW = Series("weather", "rain"), Series("traffic", "flow")
GRAPH = CausalGraph((RAIN, FLOW), (Link(RAIN, FLOW, 2, -0.4, 1e-9, 0.9), Link(RAIN, FLOW, 0, 0.1, 0.001, None, False)),
                    "1h", "PCMCI+", 900, labels={"traffic.flow": 'the "flow"'})


def test_graphml_is_read_back() -> None:
    back = networkx.parse_graphml(to_graphml(GRAPH))
    assert set(back.nodes) == {"weather.rain", "traffic.flow"}
    fields = sorted(back.edges(data=True), key=lambda edge: edge[2]["lag"])
    assert [edge[2]["lag"] for edge in fields] == [0, 2]
    assert fields[1][2]["strength"] == pytest.approx(-0.4) and fields[0][2]["oriented"] is False
    assert "stability" not in fields[0][2] and back.nodes["traffic.flow"]["label"] == 'the "flow"'


def test_networkx_keeps_every_field() -> None:
    edge = to_networkx(GRAPH).get_edge_data("weather.rain", "traffic.flow")[0]
    assert edge == {"lag": 2, "strength": -0.4, "p_value": 1e-9, "stability": 0.9, "oriented": True, "known": False,
                    "note": ""}


def test_csv_has_a_row_a_link() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(GRAPH))))
    assert [(row["cause"], row["lag"], row["stability"]) for row in rows] == [
        ("weather.rain", "2", "0.9"), ("weather.rain", "0", "")]


def test_dot_is_balanced_and_escaped() -> None:
    text = to_dot(GRAPH)
    assert text.count("{") == text.count("}") and text.count("->") == 2
    assert '\\"flow\\"' in text and "dir=none" in text
