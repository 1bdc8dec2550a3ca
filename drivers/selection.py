"""Select drivers by ablation: each is used only if forecasts with it lose less, on data that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.drivers.backward_elimination import MarginalGain, SeriesLosses, backward_elimination
from terracast.drivers.paired_e_process import PairedEProcess, PairedError, block_length

DriverLosses = Callable[[tuple[Driver, ...]], np.ndarray]
"""Losses (n,) of forecasts that may read these drivers and no others, one per issue time, in issue order; the same
issue times whatever the drivers, NaN where no label came. The caller answers for its being leak-free: the model
is fitted on data known before the first of these issue times, and reads at each only what was known then."""

LEAST_BLOCKS = 12
LEAST_ERRORS = 1.0  # standard errors that a series must add to the others of a set that pays


@dataclass(frozen=True)
class AblationResult:
    """What the ablation said of one series: ``gain`` is the share of the loss that it saved (negative: it cost).

    ``e_value`` is the largest evidence reached, ``needed`` what was asked for, ``blocks`` the blocks of ``block``
    issue times it rests on, ``beside`` the series that were in use when it was tried.
    """

    series: Series
    accepted: bool
    gain: float
    e_value: float
    needed: float
    blocks: int
    block: int
    beside: tuple[Series, ...]
    sentence: str


@dataclass(frozen=True)
class Selection:
    """The candidates with the verdict of the ablation in ``used`` and ``reason``, and the results behind it."""

    drivers: tuple[Driver, ...]
    results: tuple[AblationResult, ...]
    gain: float


def select_by_ablation(candidates: Sequence[Driver], ablation: DriverLosses, *, alpha: float = 0.05, overlap: int = 1,
                       margin: float = 0.0, graph: CausalGraph | None = None,
                       cross_fitted: DriverLosses | None = None) -> Selection:
    """Try the used ones of ``candidates`` and keep those with which forecasts lose less.

    A series is tried with all its lags at once. First **all together** against none: where the evidence
    (``PairedEProcess``, so at any number of looks) reaches 2 / ``alpha``, the set pays, and those leave that add less
    than ``LEAST_ERRORS`` standard errors to the others (``drivers.backward_elimination``). Weak drivers can be shown to
    pay in a set where none of them can alone. Who leaves is read off ``cross_fitted`` where it is given: losses over
    all the past, each part forecast by a model fitted on the others. It teaches the past by the future and proves
    nothing, but among what is proven it compares models that have learnt as much as the one in service will have.

    Otherwise **one by one**: all candidates against all but this one (there the noise is least), then, where that is
    not enough, the kept ones with and without it, strongest first (two that tell the same hide each other in the first
    trial), at 4 × series / ``alpha`` (2 / ``alpha`` for a single one); last, each kept one is left out once more: one
    without which the rest loses no more goes.

    With no gain anywhere, the chance to keep any series is at most ``alpha``. That a series which adds nothing rides
    along in a set that pays is not bounded by ``alpha``: it has to save a standard error by chance. Calls ``ablation``
    at most 2 + series × (series + 5) / 2 times.

    Parameters
    ----------
    candidates : sequence of Driver
        Those refused earlier keep their reason.
    ablation : callable
        Losses (issue,) of a forecaster that was given these drivers, fitted on what came before.
    alpha : float
        The chance to keep any series where none helps.
    overlap : int
        Issue times that one horizon spans.
    margin : float
        Least share of the loss to save.
    graph : CausalGraph, optional
        Gives series the names that a reader knows.
    cross_fitted : callable, optional
        Losses as ``ablation`` gives them, of models fitted on the other parts of the past.

    Returns
    -------
    Selection
        The candidates with their verdicts, and the results behind them.

    Raises
    ------
    PairedError
        Where ``alpha`` is no probability, or losses cannot be compared.

    Examples
    --------
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> noise = np.random.default_rng(0).normal(size=(2, 600)) / 5
    >>> paid = select_by_ablation([Driver(rain, flow, 2, -0.4, True, "known in time")],
    ...                           lambda drivers: 1 + noise[0] - (0.1 + noise[1] if drivers else 0))
    >>> paid.drivers[0].used, paid.drivers[0].reason
    (True, 'known in time; with rain forecasts lose 9.2 % less (evidence 1,000 or more, 40 wanted)')
    """
    if not 0 < alpha < 1:
        raise PairedError(f"alpha {alpha}", where="select_by_ablation", expected="a number between 0 and 1",
                          remedy="0.05 is usual")
    groups = _by_series(candidates)
    if not groups:
        return Selection(tuple(candidates), (), 0.0)
    losses = _remembered(groups, ablation)
    others = losses if cross_fitted is None else _remembered(groups, cross_fitted)
    how = _How(overlap, margin, graph)
    kept, results = _together(tuple(groups), losses, others, alpha / 2, how)
    if not kept:
        share = 2 * len(groups) * (1 if len(groups) == 1 else 2)  # the trial of all together took half of the level
        kept, results = _one_by_one(tuple(groups), losses, alpha / share, how)
    drivers = tuple(_judged(one, results) for one in candidates)
    before, after = _means(losses(()), losses(kept))
    return Selection(drivers, tuple(results.values()), 1 - after / before if before > 0 else 0.0)


@dataclass(frozen=True)
class _How:
    overlap: int
    margin: float
    graph: CausalGraph | None


def _together(groups: tuple[Series, ...], losses: SeriesLosses, others: SeriesLosses, level: float, how: _How
              ) -> tuple[tuple[Series, ...], dict[Series, AblationResult]]:
    """The set that pays without those that add nothing to it; nothing where it does not."""
    if len(groups) < 2:
        return (), {}
    whole = _compared(groups[0], losses(()), losses(groups), groups[1:], level, how)
    if not whole.accepted:
        return (), {}
    kept, stood = backward_elimination(groups, others, least=LEAST_ERRORS, overlap=how.overlap)
    if not kept:
        return (), {}
    joint = _compared(kept[0], losses(()), losses(kept), kept[1:], level, how)
    if joint.gain <= 0:
        return (), {}
    return kept, {one: AblationResult(
        one, one in kept, stood[one].gain, whole.e_value, 1 / level, stood[one].blocks, stood[one].block,
        _rest(kept, one), _in_set(one, kept, stood[one], joint.gain, whole, how)) for one in groups}


def _one_by_one(groups: tuple[Series, ...], losses: SeriesLosses, level: float, how: _How
                ) -> tuple[tuple[Series, ...], dict[Series, AblationResult]]:
    """Each against the rest, then those not proven so beside the ones that are."""
    whole = losses(groups)
    results = {series: _compared(series, losses(_rest(groups, series)), whole, _rest(groups, series), level, how)
               for series in groups}
    kept = tuple(series for series in groups if results[series].accepted)
    for series in [one for one in groups if one not in kept]:
        again = _compared(series, losses(kept), losses(_in_order((*kept, series), groups)), kept, level, how)
        if again.accepted or again.e_value > results[series].e_value:
            results[series] = again
        if again.accepted:
            kept = _in_order((*kept, series), groups)
    return _without_redundant(kept, losses, results, how.graph), results


def _remembered(groups: Mapping[Series, tuple[Driver, ...]], ablation: DriverLosses) -> SeriesLosses:
    """The ablation by sets of series, each set tried once."""
    memory: dict[tuple[Series, ...], np.ndarray] = {}

    def losses(kept: tuple[Series, ...]) -> np.ndarray:
        if kept not in memory:
            memory[kept] = np.asarray(ablation(tuple(driver for series in kept for driver in groups[series])), float)
        return memory[kept]

    return losses


def _by_series(candidates: Sequence[Driver]) -> dict[Series, tuple[Driver, ...]]:
    """The used candidates by series, the strongest series first."""
    groups: dict[Series, tuple[Driver, ...]] = {}
    for one in sorted((one for one in candidates if one.used), key=lambda one: (-abs(one.strength), one.series)):
        groups[one.series] = (*groups.get(one.series, ()), one)
    return groups


def _rest(chosen: tuple[Series, ...], series: Series) -> tuple[Series, ...]:
    return tuple(one for one in chosen if one != series)


def _in_order(chosen: tuple[Series, ...], groups: Iterable[Series]) -> tuple[Series, ...]:
    """Always the same order, so that the same set is tried once."""
    return tuple(one for one in groups if one in chosen)


def _compared(series: Series, without: np.ndarray, beside: np.ndarray, kept: tuple[Series, ...], alpha: float,
              how: _How) -> AblationResult:
    if without.shape != beside.shape or without.ndim != 1:
        raise PairedError(f"losses of shapes {without.shape} and {beside.shape}", where=f"ablation of {series}",
                          expected="the same issue times in both",
                          remedy="hindcast both at the same issue times")
    block = block_length(without - beside, how.overlap)
    evidence = PairedEProcess(block, how.margin, late=False)
    evidence.update(without, beside)
    result = AblationResult(series, evidence.proven(alpha), evidence.gain, evidence.peak, 1 / alpha, evidence.blocks,
                            block, kept, "")
    return replace(result, sentence=_sentence(result, name_of(series, how.graph)))


def _without_redundant(kept: tuple[Series, ...], losses: SeriesLosses, results: dict[Series, AblationResult],
                       graph: CausalGraph | None) -> tuple[Series, ...]:
    """Leave each one out once more, the weakest first: later ones may have made it idle."""
    for series in reversed(kept):
        rest = _rest(kept, series)
        if not rest:
            break
        without, beside = _means(losses(rest), losses(kept))
        if beside >= without:
            others = " and ".join(name_of(one, graph) for one in rest)
            results[series] = replace(results[series], accepted=False, gain=1 - beside / without if without else 0.0,
                                      sentence=f"found, but {others} already tell what {name_of(series, graph)} "
                                              "tells: without it forecasts lose no more")
            kept = rest
    return kept


def _means(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    there = np.isfinite(first) & np.isfinite(second)
    return (float(first[there].mean()), float(second[there].mean())) if there.any() else (0.0, 0.0)


def _judged(driver: Driver, results: dict[Series, AblationResult]) -> Driver:
    if not driver.used:
        return driver
    result = results[driver.series]
    if result.accepted:
        return replace(driver, reason=f"{driver.reason}; {result.sentence}")
    return replace(driver, used=False, reason=result.sentence)


def _in_set(series: Series, kept: tuple[Series, ...], stood: MarginalGain, together: float, whole: AblationResult,
            how: _How) -> str:
    name, others = name_of(series, how.graph), " and ".join(name_of(one, how.graph) for one in _rest(kept, series))
    if series not in kept:
        adds = f"adds nothing to {' and '.join(name_of(one, how.graph) for one in kept)}"
        return f"found, but {name} {adds}: {stood.errors:+.1f} standard errors ({LEAST_ERRORS:g} wanted)"
    facts = f"(evidence {_reached(whole.e_value)}, {whole.needed:,.0f} wanted)"
    if not others:
        return f"with {name} forecasts lose {100 * together:.1f} % less {facts}"
    return (f"with {name} and {others} forecasts lose {100 * together:.1f} % less {facts}, of which "
            f"{100 * stood.gain:.1f} % are lost without {name}")


def _reached(e_value: float) -> str:
    return f"{e_value:,.1f}" if e_value < 1000 else "1,000 or more"


def _sentence(result: AblationResult, name: str) -> str:
    facts = f"(evidence {_reached(result.e_value)}, {result.needed:,.0f} wanted)"
    size = f"{100 * abs(result.gain):.1f} %"
    if result.accepted:
        return f"with {name} forecasts lose {size} less {facts}"
    if result.blocks < LEAST_BLOCKS:
        return (f"found, but only {result.blocks} independent stretches of {result.block} issue times could be "
                "compared: too few to tell whether it helps")
    if result.gain <= 0:
        return f"found, but it does not help: with {name} forecasts lose {size} more"
    return f"found, but its gain is too small or too unsteady to be sure: {size} {facts}"


def name_of(series: Series, graph: CausalGraph | None) -> str:
    """The reader's name of a series, from the graph where there is one; up to a colon, for codes are told behind it."""
    name = series.variable.replace("_", " ") if graph is None else graph.label(series)
    return name.partition(":")[0]


def inputs_of(drivers: Sequence[Driver]) -> dict[str, tuple[str, ...]]:
    """Variables of the used drivers by domain, in the drivers' order.

    >>> rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    >>> inputs_of((Driver(rain, cars, 1, 0.2, True, ""), Driver(rain, cars, 2, 0.2, True, "")))
    {'weather': ('rain',)}
    """
    used: dict[str, tuple[str, ...]] = {}
    for driver in drivers:
        if driver.used and driver.series.variable not in used.get(driver.series.domain, ()):
            used[driver.series.domain] = (*used.get(driver.series.domain, ()), driver.series.variable)
    return used
