"""The hedge of ten online ridges: exact sums, no label before it came, and our blend beside it."""

import numpy as np
import pytest

from terracast.benchmarks.adapt.cell import AdaptCell, CellTally
from terracast.benchmarks.adapt.peers.ridge_hedge import WindowRidge, run_hedge


def _values(rows: int = 900, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    level = np.cumsum(draws.normal(size=(rows, 2)) * [0.1, 0.3], axis=0)
    return np.asarray(np.sin(np.arange(rows)[:, None] * 2 * np.pi / 12) + level)


def test_the_sums_are_those_of_all_pairs_with_their_discount() -> None:
    values = _values(80)
    online, at_once = (WindowRidge(4, 3, 2, shared, 0.99) for shared in (False, False))
    for first in range(4, 70, 11):
        online.learn(values, np.arange(first, min(first + 11, 70)))
    at_once.learn(values, np.arange(4, 70))
    np.testing.assert_allclose(online.gram, at_once.gram)
    np.testing.assert_allclose(online.cross, at_once.cross)


def test_a_shared_ridge_is_the_sum_over_series_and_gaps_teach_nothing() -> None:
    values = _values(80)
    shared, apart = WindowRidge(4, 3, 2, True, 1.0), WindowRidge(4, 3, 2, False, 1.0)
    for one in (shared, apart):
        one.learn(values, np.arange(4, 70))
    np.testing.assert_allclose(shared.gram[0], apart.gram.sum(axis=0))
    values[30, 0] = np.nan
    again = WindowRidge(4, 3, 2, False, 1.0)
    again.learn(values, np.arange(4, 70))
    assert np.isfinite(again.gram).all() and again.gram[0, -1, -1] < apart.gram[0, -1, -1]
    np.testing.assert_array_equal(again.gram[1], apart.gram[1])


def test_the_future_changes_nothing_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clean, found = _values(), []
    poisoned = clean.copy()
    poisoned[700:] = 1e6
    for values in (clean, poisoned):
        points: dict[int, np.ndarray] = {}
        monkeypatch.setattr(CellTally, "score", lambda _, origin, said, kept=points: kept.update({origin: said}))
        run_hedge(AdaptCell(values, 300, 350, 12, 4, "A"))
        found.append(np.stack([points[origin] for origin in range(300, 701)]))
    assert np.ptp(found[0]) > 0
    np.testing.assert_array_equal(*found)


def test_it_beats_its_own_rules_where_a_line_can_learn() -> None:
    cell = AdaptCell.of(_values(2000), 12, "A", 6)
    tally = run_hedge(cell)
    held = np.abs(cell.values[cell.validated:-1] - cell.values[cell.validated - 1:-2]).mean()
    assert tally.absolute.sum() / tally.labels.sum() < 3 * held
    assert tally.row(tally)["worst_node_ratio"] == pytest.approx(1.0)
