"""The drop-in test answers what tigramite's ParCorr answers, on data that a covariance cannot bear too."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tigramite.data_processing import DataFrame
from tigramite.independence_tests.parcorr import ParCorr
from tigramite.pcmci import PCMCI

from terracast.causal.fast.parcorr import CovarianceParCorr

GAP = 999.0


def both(values: np.ndarray, questions: list[dict[str, Any]], **frame: Any) -> tuple[np.ndarray, CovarianceParCorr]:
    """Answers (question, engine, answer) of ours and upstream's, and ours."""
    ours, theirs = CovarianceParCorr(), ParCorr()
    for test in (ours, theirs):
        test.set_dataframe(DataFrame(values.copy(), missing_flag=frame.get("missing_flag")))
        test.dataframe.bootstrap = frame.get("bootstrap")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.array([[np.array(test.run_test(**one), dtype=float) for test in (ours, theirs)]
                         for one in questions]), ours


def questions(seed: int, series: int, tau_max: int, number: int = 40) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    nodes = [(place, -lag) for place in range(series) for lag in range(2 * tau_max + 1)]
    drawn = []
    for _ in range(number):
        picked = [nodes[one] for one in rng.permutation(len(nodes))[:rng.integers(2, 9)]]
        target = int(rng.integers(series))
        if picked[0] != (target, 0):
            drawn.append({"X": [picked[0]], "Y": [(target, 0)], "Z": picked[1:], "tau_max": tau_max,
                          "alpha_or_thres": 0.05})
    return drawn


def same(answers: np.ndarray, tolerance: float = 1e-9) -> bool:
    ours, theirs = answers[:, 0], answers[:, 1]
    equal = np.isclose(ours, theirs, rtol=0, atol=tolerance, equal_nan=True)
    return bool(equal.all())


def noise(length: int = 400, series: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(length, series))
    values[1:] += 0.5 * values[:-1]
    values[1:, 1] += 0.6 * values[:-1, 0]
    return values


def test_plain_data() -> None:
    answers, ours = both(noise(), questions(1, 4, 3))
    assert same(answers, 1e-12) and ours.on_data == 0 and ours.from_covariance


@pytest.mark.parametrize("share", [0.01, 0.05, 0.4])
def test_gaps_drop_rows_per_test(share: float) -> None:
    values = noise()
    values[np.random.default_rng(3).random(values.shape) < share] = GAP
    answers, ours = both(values, questions(2, 4, 2), missing_flag=GAP)
    assert same(answers, 1e-11) and ours.has_gaps


@pytest.mark.parametrize("block", [1, 13, "cube_root"])
@pytest.mark.parametrize("share", [0.0, 0.05])
def test_bootstrap_draws_the_same_rows(block: int | str, share: float) -> None:
    values = noise()
    values[np.random.default_rng(3).random(values.shape) < share] = GAP
    draw = {"boot_blocklength": block, "random_state": np.random.default_rng(7)}
    answers, ours = both(values, questions(3, 4, 2, 15), missing_flag=GAP, bootstrap=draw)
    assert same(answers, 1e-11) and ours.on_data == 0


@pytest.mark.parametrize("size", [1e-2, 1e-3, 1e-4, 1e-6, 1e-9])
def test_near_duplicates_are_tested_on_the_data(size: float) -> None:
    values = noise()
    values = np.column_stack([values, values[:, 0] + size * np.random.default_rng(1).normal(size=400)])
    asked = [{"X": [(0, -1)], "Y": [(1, 0)], "Z": [(4, -1), (1, -1)], "tau_max": 2, "alpha_or_thres": 0.05},
             {"X": [(2, -1)], "Y": [(1, 0)], "Z": [(4, -1), (0, -1)], "tau_max": 2, "alpha_or_thres": 0.05},
             {"X": [(0, -1)], "Y": [(4, -1)], "Z": [], "tau_max": 2, "alpha_or_thres": 0.05}]
    answers, ours = both(values, asked)
    assert same(answers) and (ours.on_data >= 2) == (size < 2e-3)
    values[::50, 2] = GAP
    answers, ours = both(values, asked, missing_flag=GAP)
    assert same(answers)


def test_exact_duplicates_answer_as_upstream_nan_included() -> None:
    values = noise()
    values = np.column_stack([values, values[:, 0], values[:, 0] + values[:, 1]])
    asked = [
        *questions(5, 6, 2, 60),
        {"X": [(0, -1)], "Y": [(1, 0)], "Z": [(4, -1)], "tau_max": 2, "alpha_or_thres": 0.05},
        {"X": [(2, -1)], "Y": [(1, 0)], "Z": [(4, -1), (0, -1)], "tau_max": 2, "alpha_or_thres": 0.05},
        {"X": [(4, 0)], "Y": [(0, 0)], "Z": [], "tau_max": 2, "alpha_or_thres": 0.05}]
    answers, ours = both(values, asked)
    assert same(answers) and ours.on_data >= 3 and np.isnan(answers[-3, 0, 0])


@pytest.mark.parametrize("level", [2.0, 0.1, 1e6])
def test_constants_answer_as_upstream(level: float) -> None:
    values = np.column_stack([noise(), np.full(400, level)])
    values[:3, 3] += 1e9  # varies only before the rows that lag 0 reads
    values[3:, 3] = level
    asked = [{"X": [(place, lag)], "Y": [(target, 0)], "Z": [(2, -1), (3, -1), (4, -2)], "tau_max": 2,
              "alpha_or_thres": 0.05} for place in range(5) for lag in (0, -2) for target in (0, 3, 4)
             if (place, lag) != (target, 0)]
    answers, _ = both(values, asked)
    assert same(answers)
    assert (answers[[one["Y"][0][0] == 4 for one in asked], 0] == [0.0, 1.0, 0.0]).all() or level == 0.1


def test_few_rows_and_few_degrees_of_freedom() -> None:
    values = noise(14)
    answers, _ = both(values, [{"X": [(0, -1)], "Y": [(1, 0)], "tau_max": 2, "alpha_or_thres": 0.05,
                                "Z": [(2, -lag) for lag in range(1, count)]} for count in range(1, 5)])
    assert same(answers)
    with pytest.raises(ValueError, match="No valid"):
        both(np.where(np.arange(28).reshape(14, 2) % 2, GAP, 1.0), [
            {"X": [(0, -1)], "Y": [(1, 0)], "Z": [], "tau_max": 1}], missing_flag=GAP)


def test_what_it_does_not_serve_goes_to_upstream() -> None:
    values = noise()
    asked = {"X": [(0, -1)], "Y": [(1, 0)], "Z": [(2, -1)], "tau_max": 2}
    for data, options, extra in (
            (values.astype(np.float32), {}, {}), (values, {}, {"cut_off": "max_lag"}),
            (values, {"significance": "shuffle_test", "sig_samples": 20}, {})):
        answers = []
        for test in (CovarianceParCorr(**options), ParCorr(**options)):
            test.set_dataframe(DataFrame(data.copy()))
            answers.append(test.run_test(**asked, **extra))
        assert answers[0] == answers[1]
    masked = CovarianceParCorr(mask_type="y")
    masked.set_dataframe(DataFrame(values, mask=values > 1))
    assert not masked.from_covariance and abs(masked.run_test(**asked)[0]) < 1


def test_new_data_are_not_answered_from_old() -> None:
    test = CovarianceParCorr()
    answers = []
    for seed in (0, 1):
        test.set_dataframe(DataFrame(noise(seed=seed)))
        answers.append([test.run_test([(0, -1)], [(1, 0)], [], tau_max=tau)[0] for tau in (1, 3)])
    assert len(np.unique(answers)) == 4


def test_inside_tigramites_own_loops() -> None:
    runs = [PCMCI(DataFrame(noise()), test).run_pcmci(tau_max=3, pc_alpha=[0.05, 0.2])
            for test in (CovarianceParCorr(), ParCorr())]
    assert (runs[0]["graph"] == runs[1]["graph"]).all()
    assert np.abs(runs[0]["p_matrix"] - runs[1]["p_matrix"]).max() < 1e-11
