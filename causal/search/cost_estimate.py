"""What a search will cost in time and memory, before it runs: tests are counted on a few targets, then priced."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from terracast.causal.graph.graph import Series
from terracast.causal.methods.explorer import explorer, quiet
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.settings import AloneError, DiscoverError, Search

Clock = Callable[[], float]
_KEPT = 0.8  # share of same-time neighbours that each further condition leaves, as seen on real air quality
_BASE_BYTES = 300 * 2**20  # interpreter, numpy, numba and tigramite


@dataclass(frozen=True)
class CostEstimate:
    """``tests`` to do, ``seconds`` of one core, ``memory`` in bytes at the peak, and a ``sentence`` for a person."""

    tests: int
    seconds: float
    memory: int
    sentence: str


@dataclass(frozen=True)
class Pilot:
    """What a few targets told: tests of their conditions by number of columns, mean number of conditions,
    mean number of series that move at the same time, and the share of steps lost to gaps: of one column, and of
    all at once."""

    targets: int
    counts: dict[int, int]
    parents: float
    degree: float
    lost: tuple[float, float]


def estimate_cost(prepared: Prepared, search: Search, *, targets: int = 6, processes: int = 1,
                  clock: Clock | None = None) -> CostEstimate:
    """The cost of ``discover`` on ``prepared``, from the conditions of ``targets`` series.

    The pilot finds those series' conditions with the compiled linear test, whatever test is asked for; tests
    are then counted over all series and priced by unit costs measured on a 2-core machine, or, with a
    ``clock`` (``time.process_time``), by timing a few on these data. Meant to be right within a factor of 3 with a
    clock; where many series move at the same time PCMCI+'s tests are hard to count, and a factor of 10 is seen.
    ``processes`` multiply the memory. O(time x series^2 x lags) for the covariance. Raises ``DiscoverError``.

    >>> from terracast.causal.graph.graph import Series
    >>> values = np.random.default_rng(0).normal(size=(500, 4))
    >>> ready = Prepared(values, tuple(Series("a", one) for one in "wxyz"), "1h", np.arange(500))
    >>> estimate_cost(ready, Search(3, method="PCMCI")).sentence
    '110 tests on 500 steps: less than a second of one core and 0.3 GiB.'
    """
    search = search.checked()
    values = np.asarray(prepared.values, dtype=np.float64)
    values = values[:, _varying(values)]
    steps, series = values.shape
    if series < 2:
        raise AloneError(f"{series} series of {steps} steps", where="effort", expected="at least 2 that vary",
                         remedy="select more variables or a longer span")
    if steps <= 2 * search.max_lag + 2:
        raise DiscoverError(f"{steps} steps for lags up to {search.max_lag}", where="effort",
                            expected=f"at least {2 * search.max_lag + 3} steps",
                            remedy="take a longer span or a smaller max_lag")
    with quiet(), threadpool_limits(1):
        began = 0.0 if clock is None else clock()
        pilot = _piloted(values, search, min(targets, series))
        took = 0.0 if clock is None else clock() - began
        counts = _counted(pilot, search, series)
        seconds = sum(number * _price(search, columns, steps, pilot.lost) for columns, number in counts.items())
        if search.compiled:
            fixed = _fixed(search, steps, series)
            if clock is not None:
                usual = fixed + 0.05 + sum(
                    number * _price(search, columns, steps, pilot.lost) for columns, number in pilot.counts.items())
                seconds *= min(10.0, max(0.02, took / usual))
            seconds += fixed
        elif clock is not None:
            seconds *= _slower(values, search, pilot, clock)
    tests, memory = sum(counts.values()), processes * _memory(search, steps, series, pilot)
    return CostEstimate(tests, seconds, memory, _sentence(tests, steps, seconds, memory, processes))


def refuse_if_alone(prepared: Prepared, target: Series) -> None:
    """Raise ``AloneError``, in words about ``target``, where no two series vary: then nothing can drive it."""
    moving = [one for one, moves in zip(prepared.series, _varying(prepared.values), strict=True) if moves]
    if len(moving) >= 2:
        return
    only = ("no series varies" if not moving else f"{target} is the only series that varies" if moving == [target]
            else f"{moving[0]} is the only series that varies, and it is not the target {target}")
    raise AloneError(only, where=", ".join(sorted({one.domain for one in prepared.series})) or target.domain,
                     expected="a second series that varies", remedy="add a source of what could drive it")


def _varying(values: np.ndarray) -> np.ndarray:
    """Which columns (time, series) hold at least two different values."""
    moves: np.ndarray = np.nanmax(values, axis=0, initial=-np.inf) > np.nanmin(values, axis=0, initial=np.inf)
    return moves


def _piloted(values: np.ndarray, search: Search, targets: int) -> Pilot:
    twin = replace(search, test="ParCorr", engine="fast")
    number = values.shape[1]
    marks = {one: {(cause, -lag): "-?>" for cause in range(number) for lag in range(1, search.max_lag + 1)}
             for one in range(number)}
    chosen = [int(one) for one in np.linspace(0, number - 1, targets).round()]
    engine = explorer(values, twin)
    engine.only = frozenset(chosen)
    level = search.alpha if search.method == "PCMCI+" else search.condition_alpha
    found = engine.run_pc_stable(link_assumptions=marks, tau_min=0, tau_max=search.max_lag, pc_alpha=level)
    degree = 0.0
    if search.method == "PCMCI+":
        degree = float(np.mean([_degree(engine, one, found[one], search) for one in chosen]))
    seen = np.isfinite(values)
    gaps = np.convolve(~seen.all(axis=1), np.ones(2 * search.max_lag + 1))[:len(seen)] > 0
    lost = float(1 - seen.mean()), float(gaps.mean())
    parents = float(np.mean([len(found[one]) for one in chosen]))
    return Pilot(targets, dict(engine.counts), parents, degree, lost)


def _degree(engine: Any, target: int, parents: list[tuple[int, int]], search: Search) -> int:
    """How many series move with a target at the same time, given its conditions."""
    given = parents[:search.lagged_conditions]
    return sum(engine.cond_ind_test.run_test([(other, 0)], [(target, 0)], given, search.max_lag)[1] <= search.alpha
               for other in range(engine.N) if other != target)


def _counted(pilot: Pilot, search: Search, series: int) -> dict[int, int]:
    """Tests of the whole search by number of columns."""
    counts = {columns: round(number * series / pilot.targets) for columns, number in pilot.counts.items()}
    own = min(pilot.parents, search.lagged_conditions)
    both = round(2 + own + min(pilot.parents, search.lagged_conditions))
    if search.method == "PCMCI":
        counts[both] = counts.get(both, 0) + series * (series * (search.max_lag + 1) - 1)
        return counts
    lagged, same = series * pilot.parents, float(series * (series - 1))
    for size in range(search.same_time_conditions + 1):
        degree = pilot.degree * _KEPT**size
        tests = lagged * _choose(degree, size) + same * _choose(max(degree - 1, 0.0), size)
        counts[both + size] = counts.get(both + size, 0) + round(tests)
        same = min(same, series * pilot.degree * _KEPT ** (size + 1))
    return counts


def _choose(number: float, size: int) -> float:
    """Subsets of ``size`` among ``number``, between whole numbers by the gamma function; 0 beyond."""
    if size > number:
        return 1.0 if size == 0 else 0.0
    return math.exp(math.lgamma(number + 1) - math.lgamma(size + 1) - math.lgamma(number - size + 1))


def _price(search: Search, columns: int, steps: int, lost: tuple[float, float]) -> float:
    """Seconds of one test with ``columns`` columns, as measured."""
    linear = 4.5e-4 + steps * (2.2e-5 * columns + 3.3e-7 * columns**2) / 1000
    if search.test == "CMIknn":
        return 2e-3 + search.shuffles * steps * (4e-6 + 1.2e-6 * columns + 6e-9 * steps)
    if search.test == "GPDC":
        return 0.02 + 2.5e-8 * steps**3 * (1.0 if columns > 2 else 0.02)
    if search.test == "RobustParCorr":
        return linear + 3e-7 * columns * steps
    if not search.compiled:
        return linear
    rows = steps * min(1 - (1 - lost[0]) ** columns, lost[1])  # gaps come together: all at once lose fewer
    return 2e-6 + 2.1e-9 * columns**2 + 3e-10 * min(rows, steps - rows) * columns**2


def _fixed(search: Search, steps: int, series: int) -> float:
    """Seconds outside the tests: sums over all lags, and copies that tigramite makes of every candidate link."""
    return 5e-10 * steps * series**2 * (2 * search.max_lag + 1) + 1.5e-5 * series**2 * (search.max_lag + 1)


def _slower(values: np.ndarray, search: Search, pilot: Pilot, clock: Clock) -> float:
    """How much slower tests on these data are than their usual price, by doing three."""
    engine = explorer(values, search)
    given = [(one % engine.N, -1 - one // engine.N) for one in range(round(pilot.parents))]
    given = [node for node in given if -node[1] <= search.max_lag]
    engine.cond_ind_test.run_test([(0, 0)], [(1, 0)], [], search.max_lag)  # the first one loads code
    began = clock()
    for place in (1, 0, 1):
        engine.cond_ind_test.run_test([(1 - place, -search.max_lag)], [(place, 0)],
                                      [node for node in given if node != (1 - place, -search.max_lag)],
                                      search.max_lag)
    return (clock() - began) / (3 * _price(search, 2 + len(given), values.shape[0], pilot.lost))


def _memory(search: Search, steps: int, series: int, pilot: Pilot) -> int:
    columns = series * (2 * search.max_lag + 1)
    links = series**2 * (search.max_lag + 1)
    held = 8 * steps * series * 4 + 400 * links  # the data, and upstream's dictionaries of links
    if search.compiled:
        held += 8 * columns**2 * 2 + round(8 * series * (search.max_lag + 1) * (pilot.parents + 1) ** 2)
    else:
        held += 8 * steps * round(2 * pilot.parents + 4) * 6
    if search.test == "GPDC":
        held += 8 * steps**2 * 6
    return _BASE_BYTES + held


def _sentence(tests: int, steps: int, seconds: float, memory: int, processes: int) -> str:
    if seconds < 1:
        time = "less than a second"
    elif seconds < 120:
        time = f"about {seconds:.0f} seconds"
    elif seconds < 7200:
        time = f"about {seconds / 60:.0f} minutes"
    else:
        time = f"about {seconds / 3600:.0f} hours"
    shared = "" if processes == 1 else f", shared by {processes} processes"
    return f"{tests:,} tests on {steps:,} steps: {time} of one core{shared} and {memory / 2**30:.1f} GiB."
