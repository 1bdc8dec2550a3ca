"""Selection by ablation: what pays is used, the rest is told why; sets that pay together, backward elimination."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.causal.graph.graph import Driver, Series
from terracast.drivers.backward_elimination import backward_elimination, marginal_gain
from terracast.drivers.paired_e_process import PairedError
from terracast.drivers.selection import select_by_ablation

RAIN, WIND, DUST, FLOW = (Series("weather", "rain"), Series("weather", "wind"), Series("air", "dust"),
                          Series("traffic", "flow"))
HEAT, DAMP, OFF, CARS = (*(Series("weather", name) for name in ("heat", "damp", "off")), Series("city", "cars"))


def driver(series: Series, strength: float, used: bool = True) -> Driver:
    return Driver(series, FLOW, 2, strength, used, "known in time" if used else "published too late")


def ablation_of(gains: dict[Series, float], seed: int = 0, redundant: tuple[Series, Series] | None = None):
    """Losses that fall by each gain; of two redundant series the second adds nothing to the first."""
    def losses(drivers: tuple[Driver, ...]) -> np.ndarray:
        used = {one.series for one in drivers}
        if redundant is not None and set(redundant) <= used:
            used.discard(redundant[1])
        tag = sum(1 << place for place, one in enumerate(sorted(gains)) if one in used)
        noise = 0.1 * np.random.default_rng([seed, tag]).normal(size=700)
        return 1 + 0.3 * np.random.default_rng(seed).normal(size=700) ** 2 + noise - sum(gains[one] for one in used)
    return losses


def test_only_what_lowers_the_error_is_used_and_the_rest_is_told_why() -> None:
    candidates = [driver(RAIN, -0.4), driver(WIND, 0.3), driver(DUST, 0.2),
                  driver(Series("late", "feed"), 0.5, used=False)]
    paid = select_by_ablation(candidates, ablation_of({RAIN: 0.06, WIND: 0.0, DUST: -0.06}), overlap=3)
    verdicts = {str(one.series): (one.used, one.reason) for one in paid.drivers}
    assert verdicts["weather.rain"][0] and "with rain forecasts lose" in verdicts["weather.rain"][1]
    assert not verdicts["weather.wind"][0]
    assert verdicts["air.dust"] == (False, verdicts["air.dust"][1]) and "it does not help" in verdicts["air.dust"][1]
    assert verdicts["late.feed"] == (False, "published too late")
    assert paid.gain == pytest.approx(0.046, abs=0.02)
    gain, = (one.gain for one in paid.results if one.series == RAIN)
    assert gain == pytest.approx(0.046, abs=0.02)


def test_of_two_that_tell_the_same_one_is_used() -> None:
    paid = select_by_ablation([driver(RAIN, -0.4), driver(WIND, 0.3)],
                              ablation_of({RAIN: 0.08, WIND: 0.08}, redundant=(RAIN, WIND)))
    assert sum(one.used for one in paid.drivers) == 1


def test_useless_drivers_are_rarely_accepted() -> None:
    names = [Series("social", f"decoy_{place}") for place in range(4)]
    wrong = sum(any(one.used for one in select_by_ablation([driver(one, 0.2) for one in names],
                                                           ablation_of(dict.fromkeys(names, 0.0), seed)).drivers)
                for seed in range(60))
    assert wrong <= 3


def test_too_few_issue_times_are_told_as_such() -> None:
    paid = select_by_ablation([driver(RAIN, -0.4)], lambda drivers: np.full(30, 1.0 - 0.1 * len(drivers)), overlap=6)
    assert not paid.drivers[0].used and "only 5 independent stretches of 6 issue times" in paid.drivers[0].reason
    with pytest.raises(PairedError, match=r"ablation of weather.rain"):
        select_by_ablation([driver(RAIN, -0.4)], lambda drivers: np.ones(30 + len(drivers)))


def by_series(losses):
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
    found = marginal_gain(np.ones(4000), 1 - saved)
    expected = saved[:found.block * found.blocks].mean() / (0.2 / np.sqrt(found.block * found.blocks))
    assert found.gain == pytest.approx(saved.mean()) and found.errors == pytest.approx(expected, rel=0.1)
    assert marginal_gain(np.full(5, np.nan), np.ones(5)).blocks == 0


def test_who_adds_nothing_leaves_and_who_does_stays() -> None:
    gains = {HEAT: 0.08, DAMP: 0.08, RAIN: -0.05}
    kept, stood = backward_elimination(tuple(gains), losses_of(gains, 3), least=1.0)
    assert kept == (HEAT, DAMP) and stood[RAIN].errors < 0 < stood[HEAT].gain


def test_weak_drivers_are_shown_to_pay_together_where_none_can_alone() -> None:
    """Four gains of a twelfth of their noise: in half of the worlds at least more of them are kept than one by one."""
    gains = dict.fromkeys((HEAT, DAMP, RAIN, OFF), 0.028)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in gains]
    together, alone = 0, 0
    for seed in range(12):
        losses = losses_of(gains, seed)
        ablation = by_series(losses)
        together += sum(one.used for one in select_by_ablation(drivers, ablation).drivers)
        alone += sum(select_by_ablation([one], ablation, alpha=0.05 / 4).drivers[0].used for one in drivers)
    assert together > alone


def test_with_no_gain_anywhere_hardly_ever_is_one_kept() -> None:
    gains = dict.fromkeys((HEAT, DAMP, RAIN), 0.0)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in gains]
    wrong = sum(any(one.used for one in select_by_ablation(drivers, by_series(losses_of(gains, seed))).drivers)
                for seed in range(60))
    assert wrong <= 6


def test_the_cross_fitted_losses_choose_but_do_not_prove() -> None:
    proof, better = losses_of({HEAT: 0.1, DAMP: 0.0}, 4), losses_of({HEAT: 0.1, DAMP: 0.1}, 5)
    drivers = [Driver(one, CARS, 1, 0.3, True, "known in time") for one in (HEAT, DAMP)]
    paid = select_by_ablation(drivers, by_series(proof), cross_fitted=by_series(better))
    assert [one.used for one in paid.drivers] == [True, True] and "lost without damp" in paid.drivers[1].reason
    nothing = losses_of({HEAT: 0.0, DAMP: 0.0}, 6)
    paid = select_by_ablation(drivers, by_series(nothing), cross_fitted=by_series(better))
    assert not any(one.used for one in paid.drivers)
