"""Between two domains influence often goes one way: what is assumed, and that it is told."""

from __future__ import annotations

from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.search.unidirectional import one_way, orient_unidirectional

HEAT, DAMP = Series("weather", "heat"), Series("weather", "damp")
CARS, SALES = Series("city", "cars"), Series("shop", "sales")


def graph_of(*links: Link, knowledge: str = "") -> CausalGraph:
    return CausalGraph((HEAT, DAMP, CARS, SALES), links, "1h", "PCMCI+", 900, settings={"knowledge": knowledge})


def test_same_time_links_lead_into_the_target_where_no_lag_leads_out_of_its_domain() -> None:
    open_link = Link(HEAT, CARS, 0, 0.3, 0.0, oriented=False)
    assert one_way(graph_of(open_link), CARS).text().strip() == "city.* never causes weather.*"
    assert not one_way(graph_of(open_link, Link(CARS, DAMP, 1, 0.2, 0.0)), CARS).statements
    assert not one_way(graph_of(Link(HEAT, CARS, 0, 0.3, 0.0)), CARS).statements  # nothing is open
    assert not one_way(graph_of(open_link, knowledge="city.cars may cause weather.heat"), CARS).statements


def test_what_was_assumed_is_told_and_is_not_taken_for_knowledge() -> None:
    asked: list[str] = []

    def find(known: Knowledge) -> CausalGraph:
        asked.append(known.text())
        return graph_of(Link(HEAT, CARS, 0, 0.3, 0.0, oriented=len(asked) > 1), knowledge=known.text())

    said = Knowledge.parse("shop.* never causes weather.*")
    graph, joined = orient_unidirectional(find, CARS, said)
    assert asked == [said.text(), said.text() + "city.* never causes weather.*\n"] and len(joined.statements) == 2
    assert graph.links[0].oriented and graph.settings["knowledge"] == said.text()
    assert "No lag of city leads into weather" in graph.assumptions[-1]
