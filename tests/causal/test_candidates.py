"""Candidates beside the direct links: company, marks of the calendar, one-way domains, and sets that pay together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from causal.company import with_company
from causal.graph import CausalGraph, Driver, Link, Series
from causal.knowledge import Knowledge
from causal.marks import is_mark, with_marks
from causal.one_way import one_way, settled
from causal.pays import paying_drivers
from causal.together import pruned, standing

HEAT, DAMP, RAIN, OFF = (Series("weather", name) for name in ("heat", "damp", "rain", "off"))
CARS, SALES = Series("city", "cars"), Series("shop", "sales")
USED = Driver(HEAT, CARS, 1, 0.4, True, "heat is published at once")


def graph_of(*links: Link, knowledge: str = "") -> CausalGraph:
    return CausalGraph((HEAT, DAMP, RAIN, OFF, CARS, SALES), links, "1h", "PCMCI+", 900,
                       settings={"knowledge": knowledge})


def test_company_is_what_moves_with_a_driver_or_leads_into_it() -> None:
    graph = graph_of(Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False), Link(RAIN, DAMP, 2, 0.3, 0.0, 0.8),
                     Link(HEAT, OFF, 1, 0.3, 0.0, 0.9))
    found = with_company(graph, [USED])
    assert [(str(one.series), str(one.via), one.lag, round(one.strength, 3)) for one in found[1:]] == [
        ("weather.damp", "weather.heat", 0, -0.2), ("weather.rain", "weather.damp", 2, -0.06)]
    assert "rain foretells damp: damp moves with heat" in found[2].reason


@pytest.mark.parametrize(("link", "knowledge"), [
    (Link(HEAT, DAMP, 0, -0.5, 0.0, 0.4, oriented=False), ""),  # unstable
    (Link(HEAT, DAMP, 1, -0.5, 0.0, 0.9), ""),  # an effect of the driver tells nothing of what it will do
    (Link(SALES, HEAT, 1, -0.5, 0.0, 0.9), ""),  # another domain
    (Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False), "weather.damp never causes city.*")])
def test_no_company(link: Link, knowledge: str) -> None:
    assert with_company(graph_of(link, knowledge=knowledge), [USED]) == (USED,)


def test_a_refused_driver_has_no_company() -> None:
    refused = Driver(HEAT, CARS, 1, 0.4, False, "unstable")
    graph = graph_of(Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False))
    assert with_company(graph, [refused]) == (refused,)


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
    graph, joined = settled(find, CARS, said)
    assert asked == [said.text(), said.text() + "city.* never causes weather.*\n"] and len(joined.statements) == 2
    assert graph.links[0].oriented and graph.settings["knowledge"] == said.text()
    assert "No lag of city leads into weather" in graph.assumptions[-1]


def marked(values: np.ndarray, step: str = "1h") -> xr.DataArray:
    time = pd.date_range("2024-01-01", periods=len(values), freq=step)
    return xr.DataArray(values[:, None], {"time": time, "node": ["all"]}, ("time", "node"))


def test_a_mark_holds_two_values_for_whole_days() -> None:
    days = np.isin(np.arange(60), (5, 17, 40)).astype(float)
    assert is_mark(marked(np.repeat(days, 24)), "1h")
    assert not is_mark(marked(np.roll(np.repeat(days, 24), 7)), "1h")  # begins at seven o'clock
    assert not is_mark(marked(days, "1D"), "1D")  # on days anything of two values would be one
    assert not is_mark(marked(np.repeat(np.arange(60) % 3, 24).astype(float)), "1h")
    assert not is_mark(marked(np.repeat(np.isin(np.arange(60), (5, 17)).astype(float), 24)), "1h")


def test_a_mark_is_a_candidate_unless_the_target_leads_into_it_or_knowledge_forbids_it() -> None:
    days = np.repeat(np.isin(np.arange(60), (5, 17, 40)).astype(float), 24)
    panels = {"weather": xr.Dataset({"off": marked(days)}, attrs={"step": "1h"})}
    mark, = with_marks(graph_of(), (), panels, CARS, {"weather": 1})
    assert mark.series == OFF and mark.used and mark.lag == 0
    assert with_marks(graph_of(), (), panels, CARS, {}) == ()
    assert with_marks(graph_of(Link(CARS, OFF, 1, 0.2, 0.0)), (), panels, CARS, {"weather": 1}) == ()
    forbidden = graph_of(knowledge="weather.off never causes city.cars")
    assert with_marks(forbidden, (), panels, CARS, {"weather": 1}) == ()


def ablation_of(losses):
    return lambda chosen: losses(tuple(one.series for one in chosen))


def losses_of(gains: dict[Series, float], seed: int, rows: int = 900, noise: float = 0.35):
    """Losses that fall by each gain in use; what a series changes besides is noise of its own."""
    own = {one: np.random.default_rng([seed, place]).normal(size=rows) for place, one in enumerate(gains)}

    def losses(used: tuple[Series, ...]) -> np.ndarray:
        return 1 + 0.3 * np.random.default_rng(seed).normal(size=rows) ** 2 - sum(
            gains[one] + noise * own[one] for one in used)
    return losses


def test_the_standing_is_the_share_saved_and_its_standard_errors() -> None:
    draws = np.random.default_rng(1)
    saved = 0.05 + 0.2 * draws.normal(size=4000)
    found = standing(np.ones(4000), 1 - saved)
    expected = saved[:found.block * found.blocks].mean() / (0.2 / np.sqrt(found.block * found.blocks))
    assert found.gain == pytest.approx(saved.mean()) and found.errors == pytest.approx(expected, rel=0.1)
    assert standing(np.full(5, np.nan), np.ones(5)).blocks == 0


def test_who_adds_nothing_leaves_and_who_does_stays() -> None:
    gains = {HEAT: 0.08, DAMP: 0.08, RAIN: -0.05}
    kept, stood = pruned(tuple(gains), losses_of(gains, 3), least=1.0)
    assert kept == (HEAT, DAMP) and stood[RAIN].errors < 0 < stood[HEAT].gain


def test_weak_drivers_are_shown_to_pay_together_where_none_can_alone() -> None:
    """Four gains of a twelfth of their noise: in half of the worlds at least more of them are kept than one by one."""
    gains = dict.fromkeys((HEAT, DAMP, RAIN, OFF), 0.028)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in gains]
    together, alone = 0, 0
    for seed in range(12):
        losses = losses_of(gains, seed)
        ablation = ablation_of(losses)
        together += sum(one.used for one in paying_drivers(drivers, ablation).drivers)
        alone += sum(paying_drivers([one], ablation, alpha=0.05 / 4).drivers[0].used for one in drivers)
    assert together > alone


def test_with_no_gain_anywhere_hardly_ever_is_one_kept() -> None:
    gains = dict.fromkeys((HEAT, DAMP, RAIN), 0.0)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in gains]
    wrong = sum(any(one.used for one in paying_drivers(drivers, ablation_of(losses_of(gains, seed))).drivers)
                for seed in range(60))
    assert wrong <= 6


def test_the_rotated_losses_choose_but_do_not_prove() -> None:
    proof, better = losses_of({HEAT: 0.1, DAMP: 0.0}, 4), losses_of({HEAT: 0.1, DAMP: 0.1}, 5)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in (HEAT, DAMP)]
    paid = paying_drivers(drivers, ablation_of(proof), rotated=ablation_of(better))
    assert [one.used for one in paid.drivers] == [True, True] and "lost without damp" in paid.drivers[1].reason
    nothing = losses_of({HEAT: 0.0, DAMP: 0.0}, 6)
    paid = paying_drivers(drivers, ablation_of(nothing), rotated=ablation_of(better))
    assert not any(one.used for one in paid.drivers)
