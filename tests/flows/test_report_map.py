"""The map: true distances, no hidden name, and honest classes of error."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.flows.reporting.labels import place_labels, spread
from terracast.flows.reporting.map import draw_map, prepared_nodes, project


def circles(drawing: str) -> list[dict[str, str]]:
    return [dict(node.attrib) for node in ElementTree.fromstring(drawing).iter("circle")]


def network(lat: list[float], lon: list[float], **more: object) -> pd.DataFrame:
    return prepared_nodes(pd.DataFrame({"node": [f"n{index}" for index in range(len(lat))],
                                        "lat": lat, "lon": lon, **more}))


def haversine(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance in km on a sphere of 6,371 km."""
    lat1, lon1, lat2, lon2 = np.deg2rad([*one, *other])
    inner = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return float(2 * 6371 * np.arcsin(np.sqrt(inner)))


@given(st.floats(-70, 70), st.floats(-180, 180), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_projected_distances_are_great_circle_distances_over_a_city(lat: float, lon: float, north: float,
                                                                    east: float) -> None:
    x, y, _ = project(np.array([lat, lat + north]), np.array([lon, lon + east]))
    true = haversine((lat, lon), (lat + north, lon + east))
    assert np.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(true, rel=0.01, abs=0.01)


def test_north_is_up_east_is_right_and_the_scale_bar_is_true() -> None:
    drawing = draw_map(network([40.0, 40.0, 40.5], [116.0, 116.5, 116.0])).drawing
    # nodes are drawn in reverse order of importance; read them by their title
    root = ElementTree.fromstring(drawing)
    at = {node.find("title").text.split()[1].strip(":"): (float(node.get("cx")), float(node.get("cy")))  # type: ignore
          for node in root.iter("circle")}
    assert at["n1"][0] > at["n0"][0] and at["n2"][1] < at["n0"][1]
    bar = next(node for node in root.iter("path") if node.get("class") == "scale").get("d", "")
    left, right = float(bar[1:].split()[0]), float(bar.split("H")[1].split("V")[0])
    words = next(node for node in root.iter("text") if node.get("class") == "scale-text").text or ""
    km_per_pixel = float(words.split()[0]) / (right - left)
    assert (at["n1"][0] - at["n0"][0]) * km_per_pixel == pytest.approx(haversine((40, 116), (40, 116.5)), rel=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(20, 540), st.floats(20, 400)), min_size=1, max_size=25),
       st.floats(10, 140), st.floats(4, 10))
def test_no_label_hides_a_circle_or_another_label(places: list[tuple[float, float]], width: float,
                                                  radius: float) -> None:
    points = np.array(places)
    sizes = np.tile([width, 19.5], (len(points), 1))
    centres = place_labels(points, radius, sizes, (560, 420))
    shown = np.flatnonzero(np.isfinite(centres[:, 0]))
    for row in shown:
        low, high = centres[row] - sizes[row] / 2, centres[row] + sizes[row] / 2
        assert (low >= 0).all() and (high <= [560, 420]).all()
        nearest = np.clip(points, low, high)
        assert (np.hypot(*(nearest - points).T) >= radius).all()
        for other in shown[shown > row]:
            assert (np.abs(centres[row] - centres[other]) >= sizes[row] - 1e-9).any()


def test_stations_at_one_place_stay_apart_and_named() -> None:
    found = draw_map(network([40.0] * 5 + [40.2], [116.0] * 5 + [116.3]))
    at = np.array([[float(one["cx"]), float(one["cy"])] for one in circles(found.drawing)])
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))[np.triu_indices(6, 1)]
    assert apart.min() > 8 and found.unnamed == 0


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=20))
def test_spreading_never_moves_a_point_far(places: list[tuple[float, float]]) -> None:
    points = np.array(places)
    assert (np.hypot(*(spread(points, 12.0) - points).T) <= 24 + 1e-6).all()


def test_one_station_no_position_and_the_date_line() -> None:
    assert len(circles(draw_map(network([51.5], [0.1])).drawing)) == 1
    assert draw_map(prepared_nodes(pd.DataFrame({"node": ["a", "b"]}))).placeless == ("a", "b")
    partly = draw_map(network([40.0, np.nan], [116.0, 116.1]))
    assert len(circles(partly.drawing)) == 1 and partly.placeless == ("n1",)
    fiji = [float(one["cx"]) for one in circles(draw_map(network([-17.0, -17.0], [179.5, -179.5])).drawing)]
    assert min(fiji) > 0 and max(fiji) < 560 and abs(fiji[0] - fiji[1]) > 100


def test_a_large_network_draws_every_circle_and_says_how_many_names_it_left_out() -> None:
    random = np.random.default_rng(5)
    found = draw_map(network(list(34 + random.random(300)), list(-118 + random.random(300))))
    assert len(circles(found.drawing)) == 300
    named = found.drawing.count('class="name"')
    assert 10 <= named <= 18 and found.unnamed == 300 - named


def test_grades_follow_the_error_against_the_reference() -> None:
    table = network([40.0] * 5, [116.0, 116.1, 116.2, 116.3, 116.4],
                    error=[9.0, 10, 11, 13, 1], reference_error=[10.0, 10, 10, 10, np.nan])
    assert table["grade"].tolist() == ["better", "same", "worse", "bad", "unknown"]
