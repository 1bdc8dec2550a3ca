"""What must hold in each family's physics: water, cars, people and pollutant are conserved; means are as in theory."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.stfm.prior import electricity, epidemic, events, field, rivers, structural, traffic
from terracast.stfm.prior.changes import coarser, rescaled
from terracast.stfm.prior.clock import WorldClock, draw_clock
from terracast.stfm.prior.corruption import clipped, corrupted, outages, rounded, stuck
from terracast.stfm.prior.drifters import Eddies, carried, flow
from terracast.stfm.prior.places import Places, draw_places
from terracast.stfm.prior.weather import fronts, sky
from terracast.stfm.prior.world import Draft, WorldSeries


@pytest.mark.parametrize("seed", range(5))
def test_rivers_lose_no_water(seed: int) -> None:
    rng = np.random.default_rng(seed)
    basin = rivers.draw_basin(rng, WorldClock(0.0, 86_400.0, 1000), 6)
    rain, warmth = rng.exponential(3, (1000, 6)), 8 + 12 * rng.standard_normal((1000, 6))
    flow, (fallen, gone, sea, stored) = rivers.drain(rain, warmth, *(getattr(basin, name) for name in (
        "area", "capacity", "quick", "slow", "reach", "melt", "dry", "below")))
    assert np.isclose(fallen, gone + sea + stored, rtol=1e-9)
    assert (flow >= 0).all() and np.isclose(flow[:, basin.below < 0].sum(), sea)


def test_a_dry_river_recedes_as_its_slowest_store() -> None:
    """Without rain the flow at last falls by the share of the slow reservoir in every step (linear reservoir)."""
    rain = np.zeros((800, 1))
    rain[:5] = 200.0
    one = np.ones(1)
    flow, _ = rivers.drain(rain, 20 * np.ones((800, 1)), one, 50 * one, 0.5 * one, 0.01 * one, 0.7 * one, one, 0 * one,
                           np.array([-1]))
    assert np.allclose(flow[400:, 0][1:] / flow[400:, 0][:-1], 0.99, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_roads_lose_no_car(seed: int) -> None:
    rng = np.random.default_rng(seed)
    demand, ramp = rng.uniform(0, 1800, 300), rng.uniform(0, 300, (300, 12))
    capacity = rng.uniform(300, 1700, (300, 12))
    hours, free = 1 / 60, 90.0
    density, moved, (entered, left, there, refused) = traffic.transmit(
        demand, ramp, rng.uniform(0, 0.2, 12), capacity, free, 1.05 * free * hours, hours, 5)
    assert np.isclose(entered, left + there, rtol=1e-9)
    assert np.isclose(entered + refused, (demand.sum() + ramp.sum()) * hours * 5, rtol=1e-9)
    assert (density >= 0).all() and (density <= traffic.JAM + 1e-9).all() and (moved <= capacity + 1e-9).all()


def test_an_uncrowded_road_flows_freely_and_a_queue_grows_backwards() -> None:
    calm = np.full((200, 10), 1500.0)
    none = np.zeros((200, 10))
    density, moved, _ = traffic.transmit(np.full(200, 600.0), none, np.zeros(10), calm, 100.0, 1.75, 1 / 60, 5)
    assert np.allclose(moved[-1] / density[-1], 100.0, rtol=1e-6)
    jammed = calm.copy()
    jammed[50:, 8] = 200.0
    density, _, _ = traffic.transmit(np.full(200, 600.0), none, np.zeros(10), jammed, 100.0, 1.75, 1 / 60, 5)
    began = [int(np.argmax(density[:, cell] > 30)) for cell in (7, 6, 5, 4)]
    assert 50 <= began[0] < began[1] < began[2] < began[3]
    assert density[-1, 9] < 3  # behind the bottleneck cars drive freely


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_lost_in_an_epidemic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = draw_places(rng, 5)
    outbreak, _ = epidemic.draw_outbreak(rng, WorldClock(0.0, 604_800.0, 60), places, 7)
    cases, state = epidemic.spread(rng, outbreak.people, outbreak.contact, outbreak.mobility, outbreak.fall_ill,
                                   outbreak.recover, outbreak.wane, outbreak.imported)
    assert np.array_equal(state.sum(0), outbreak.people)
    assert (state >= 0).all() and (cases >= 0).all() and (cases == np.floor(cases)).all()
    assert np.allclose(outbreak.mobility.sum(1), 1)


def test_an_epidemic_ends_at_its_final_size() -> None:
    """One town, no waning, everybody susceptible: the attack rate a solves a = 1 - exp(-R0 a) (Kermack, McKendrick)."""
    people = np.array([2e6])
    contact = np.full((1500, 1), 0.3)
    contact[0] = 0.13  # the start's rule then leaves (nearly) all susceptible
    _, state = epidemic.spread(np.random.default_rng(0), people, contact, np.ones((1, 1)), 0.2, 0.15, 0.0, 0.0)
    attack = 0.5
    ratio = 0.3 / (1 - np.exp(-0.15))  # infectious for 1 / (1 - exp(-recover)) days on average, in days
    for _ in range(200):
        attack = 1 - np.exp(-ratio * attack)
    assert abs(1 - state[0, 0] / people[0] - attack) < 0.01


@pytest.mark.parametrize("branching", [0.0, 0.3, 0.7])
def test_self_exciting_events_have_the_mean_of_theory(branching: float) -> None:
    """Hawkes: mean = background / (1 - n); variance over long blocks = mean / (1 - n)²."""
    rng = np.random.default_rng(1)
    places = draw_places(rng, 4)
    excites = branching * events.kernel_in_space(rng, places)
    background = np.full((100_000, places.count), 0.2)
    counts = events.hawkes(rng, background, excites, 0.6).sum(1)
    mean = 0.2 * places.count / (1 - branching)
    assert abs(counts.mean() / mean - 1) < 0.04
    blocks = counts.reshape(-1, 200).sum(1)
    assert abs(blocks.var() / (200 * mean / (1 - branching) ** 2) - 1) < 0.25


def test_a_plume_is_conserved_and_moves_with_the_wind() -> None:
    rng = np.random.default_rng(0)
    emitted = rng.exponential(1, (200, 9, 9))
    _, (total, out, lost, there) = field.blown(emitted, rng.uniform(-1.4, 1.4, (200, 2)), 0.05, 0.1)
    assert np.isclose(total, out + lost + there, rtol=1e-9)
    puff = np.zeros((6, 9, 9))
    puff[0, 4, 2] = 1.0
    seen, _ = field.blown(puff, np.tile([0.8, 0.0], (6, 1)), 0.0, 0.0)
    centre = (seen.sum(1) * np.arange(9)).sum(1) / seen.sum((1, 2))
    assert np.allclose(np.diff(centre)[:2], 0.8, atol=1e-6)


def test_structural_panels_stay_bounded_and_follow_their_links() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        draft = structural.structural(rng, draw_clock(rng, 512), draw_places(rng, 4))
        assert np.abs(draft.target.values).max() < 1e5
    pushes = np.zeros((20, 2, 1))
    pushes[3, 0] = 1.0
    one = np.array([[0.0], [0.5]])
    cause, effect, lag, bend = np.array([[0, 0], [0, 1], [1, 4], [0, 0]])
    values = structural.roll(pushes, cause, effect, lag, bend, one, one, 20, np.zeros((1, 1)))
    assert values[7, 1, 0] == 0.5 and values[:, 1].sum() == 0.5


def test_a_machine_settles_at_air_plus_rise() -> None:
    clock = WorldClock(0.0, 3600.0, 400)
    load, air = np.ones((400, 1)), np.full((400, 1), 10.0)
    values = electricity.machine_temperature(np.random.default_rng(0), clock, load, air)
    assert 14 < values[-50:].mean() < 52 and np.abs(values[-200:].mean() - values[:200].mean()) < 0.5


def test_weather_stays_within_physics() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        made = sky(rng, draw_clock(rng, 300), draw_places(rng, 3))
        assert (made["dew_point"] <= made["temperature"] + 1e-9).all()
        assert (made["humidity"] >= 0).all() and (made["humidity"] <= 100).all()
        assert (made["wind_speed"] >= 0).all() and (made["rain"] >= 0).all() and (made["radiation"] >= 0).all()
        assert np.abs(made["temperature"]).max() < 90


def test_fronts_reach_one_place_before_the_other() -> None:
    """Two stations 300 km apart: in most worlds one leads the other by the hours that a front needs."""
    leads = []
    places = Places(np.array([[0.0, 0.0], [300.0, 0.0]]), 50.0, 8.0)
    for seed in range(24):
        rng = np.random.default_rng(seed)
        front = fronts(rng, WorldClock(0.0, 3600.0, 1500), places, places.mixing(rng, reach=600.0, own=0.0), 60.0)
        quick = np.diff(front, axis=0)
        found = [np.corrcoef(quick[30:-30, 0], quick[30 + k:len(quick) - 30 + k, 1])[0, 1] for k in range(-25, 26)]
        leads.append(int(np.argmax(found)) - 25)
    assert sum(abs(lead) >= 2 for lead in leads) >= 12 and min(leads) < 0 < max(leads)


def test_drifters_follow_a_flow_without_sources() -> None:
    eddies = Eddies(np.random.default_rng(0), 50.0, 100)
    parts = (eddies.waves, eddies.phase, eddies.turning, eddies.size)
    e = 1e-4
    for x, y in ((0.0, 0.0), (13.0, -8.0)):
        divergence = ((flow(x + e, y, 2.0, *parts)[0] - flow(x - e, y, 2.0, *parts)[0])
                      + (flow(x, y + e, 2.0, *parts)[1] - flow(x, y - e, 2.0, *parts)[1])) / (2 * e)
        assert abs(divergence) < 1e-6
        slope = (eddies.height(np.array([x + e, y]), 2.0) - eddies.height(np.array([x - e, y]), 2.0)) / (2 * e)
        assert np.isclose(flow(x, y, 2.0, *parts)[1], slope, atol=1e-6)
    still = (eddies.waves, eddies.phase, 0 * eddies.turning, eddies.size)
    track = carried(np.array([[5.0, 5.0]]), np.zeros((400, 1, 2)), 10.0, *still)
    height = eddies.height(track[:, 0], np.zeros(400))
    assert np.ptp(height) < 1e-3  # in a steady flow a drifter keeps to its stream line,
    assert np.linalg.norm(track[-1] - track[0]) > 5.0  # but does not stay


def test_faults_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((400, 3)).cumsum(0)
    held = stuck(rng, values)
    assert (np.diff(held, axis=0) == 0).sum() >= 2 and (held != values).any()
    low, high = clipped(rng, values).min(), clipped(rng, values).max()
    assert low >= values.min() and high <= values.max()
    coarse = rounded(rng, values)
    gaps = np.unique(np.diff(np.unique(coarse.round(9))).round(6))
    assert np.allclose(gaps / gaps.min(), np.round(gaps / gaps.min()), atol=1e-2)
    assert outages(rng, 400, 3, expected=6.0, longest=40).mean() < 0.6


def _draft(whole: bool) -> Draft:
    values = np.random.default_rng(0).poisson(4.0, (120, 2)).astype(float)
    return Draft(WorldClock(0.0, 3600.0, 120), Places(np.zeros((2, 2)), 0.0, 0.0),
                 (WorldSeries("events", values),
                  WorldSeries("rain", values + 1, role="past_driver", lag=6)), "incident",
                 whole=whole, floor=0.0)


def test_counts_are_summed_stay_counts_and_lags_are_carried_over() -> None:
    draft = _draft(whole=True)
    pressed = coarser(np.random.default_rng(0), draft, 3)
    assert pressed.target.values.sum() == draft.target.values.sum() and pressed.clock.step == 3 * 3600
    assert pressed.series[1].lag == 2 and coarser(np.random.default_rng(0), draft, 4).series[1].lag is None
    for seed in range(40):
        values = corrupted(np.random.default_rng(seed), rescaled(np.random.default_rng(seed), draft)).target.values
        seen = values[np.isfinite(values)]
        assert (seen >= 0).all() and (seen == np.round(seen)).mean() > 0.9
