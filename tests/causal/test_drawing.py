"""The picture: valid, self-contained, readable."""

from __future__ import annotations

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from terracast.causal.graph.drawing import draw
from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.graph.layout import Box, arrow, ring
from terracast.drivers.direct_causes import choose_drivers

SVG = "{http://www.w3.org/2000/svg}"


def made(domains: int, each: int, links: int, seed: int = 0) -> CausalGraph:
    rng = np.random.default_rng(seed)
    series = tuple(Series(f"d{place}", f"v{one}") for place in range(domains) for one in range(each))
    found = [Link(one, one, 1, 0.8, 0.0) for one in series]
    for _ in range(links):
        cause, effect = rng.choice(len(series), 2, replace=False)
        lag = int(rng.integers(0, 4))
        found.append(Link(series[cause], series[effect], lag, float(rng.normal() / 4), 0.0, float(rng.random()),
                          bool(lag or rng.random() < 0.5), bool(rng.random() < 0.1)))
    return CausalGraph(series, tuple(found), "1h", "PCMCI+", 900,
                       labels={"d0.v0": 'a <long> & "odd" label that goes on and on'})


@pytest.mark.parametrize(("domains", "each", "links"), [(1, 2, 0), (1, 5, 8), (2, 4, 14), (4, 4, 30), (6, 3, 40)])
def test_the_picture_is_valid_and_stands_alone(domains: int, each: int, links: int) -> None:
    graph = made(domains, each, links)
    target = graph.series[-1]
    text = draw(graph, choose_drivers(graph, target, published={f"d{one}": 1 for one in range(domains)}))
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg" and text == draw(graph, choose_drivers(
        graph, target, published={f"d{one}": 1 for one in range(domains)}))
    assert not re.search(r"<script|href=|url\(|@import|<image|on\w+=", text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    x, y, width, height = map(float, root.attrib["viewBox"].split())
    for rect in root.iter(f"{SVG}rect"):
        assert x <= float(rect.attrib["x"]) and float(rect.attrib["x"]) + float(rect.attrib["width"]) <= x + width
        assert y <= float(rect.attrib["y"]) and float(rect.attrib["y"]) + float(rect.attrib["height"]) <= y + height
    assert all(float(word.attrib["font-size"]) >= 11 for word in root.iter(f"{SVG}text"))


def test_colours_dashes_heads_and_tooltips_say_what_they_should() -> None:
    rain, wind, flow = Series("weather", "rain"), Series("weather", "wind"), Series("traffic", "flow")
    graph = CausalGraph(
        (rain, wind, flow), (Link(rain, flow, 2, -0.4, 0.0, 0.9), Link(wind, flow, 1, 0.1, 0.0, 0.2),
                             Link(rain, wind, 0, 0.3, 0.0, 0.9, False)), "1h", "PCMCI+", 900)
    root = ElementTree.fromstring(draw(graph, choose_drivers(graph, flow, published={"weather": 0})))
    arrows = {group.find(f"{SVG}title").text.split(" (")[0]: group  # type: ignore[union-attr]
              for group in root.iter(f"{SVG}g") if group.find(f"{SVG}path") is not None}
    used = arrows["Higher rain lowers flow 2 hours later"]
    refused = arrows["Higher wind raises flow 1 hour later"]
    undirected = next(group for title, group in arrows.items() if "move together" in title)
    paths = [group.find(f"{SVG}path").attrib for group in (used, refused, undirected)]  # type: ignore[union-attr]
    assert len({path["stroke"] for path in paths}) == 3
    assert [("stroke-dasharray" in path) for path in paths] == [False, True, False]
    assert [group.find(f"{SVG}polygon") is not None for group in (used, refused, undirected)] == [True, True, False]
    assert float(paths[0]["stroke-width"]) > float(paths[1]["stroke-width"])
    words = [word.text for word in root.iter(f"{SVG}text")]
    assert "↓2 h" in words and "↑1 h" in words and "↑0 h" in words


@pytest.mark.parametrize(("domains", "each"), [(1, 2), (2, 4), (3, 6), (5, 5)])
def test_boxes_never_touch_and_arrows_never_cross_a_third_box(domains: int, each: int) -> None:
    graph = made(domains, each, 0)
    boxes = ring(graph.series, {}).boxes
    assert not any(one.overlaps(other, 10) for one, other in combinations(boxes.values(), 2))
    for cause, effect in combinations(graph.series, 2):
        others = [box for one, box in boxes.items() if one not in (cause, effect)]
        for curve in (arrow(boxes[cause], boxes[effect], others), arrow(boxes[effect], boxes[cause], others)):
            assert not any(box.holds(point) for box in others for point in curve.samples())


def test_both_directions_take_different_ways() -> None:
    left, right = Box(-200, 0), Box(200, 0)
    there, back = arrow(left, right).at(0.5), arrow(right, left).at(0.5)
    assert math.dist(there, back) > 20
