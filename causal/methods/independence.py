"""The test of a search: tigramite's own, or the covariance one; shuffle tests draw from the question asked."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from terracast.causal.settings import DiscoverError, Search

_NEEDS = {"GPDC": "dcor"}


def check_package(wanted: str) -> None:
    """Raise ``DiscoverError`` where the package that a test needs is not installed.

    >>> check_package("ParCorr")
    """
    package = _NEEDS.get(wanted)
    if package is not None and importlib.util.find_spec(package) is None:
        raise DiscoverError(f"{wanted} needs the package {package}", where="discover",
                          expected=f"{package} installed", remedy=f"pip install {package}")


def independence_test(search: Search) -> Any:
    """tigramite's test object for ``search``.

    >>> independence_test(Search(1)).measure, independence_test(Search(1, test="CMIknn")).measure
    ('par_corr', 'cmi_knn')
    """
    check_package(search.test)
    if search.test == "ParCorr" and search.engine == "fast":
        from terracast.causal.fast.parcorr import CovarianceParCorr

        return CovarianceParCorr(significance="analytic")
    kind: Any
    if search.test == "CMIknn":
        from tigramite.independence_tests.cmiknn import CMIknn

        kind, options = CMIknn, {"significance": "shuffle_test", "sig_samples": search.shuffles, "workers": 1}
    elif search.test == "GPDC":
        from tigramite.independence_tests.gpdc import GPDC

        kind, options = GPDC, {"significance": "analytic"}
    else:
        from tigramite.independence_tests.parcorr import ParCorr
        from tigramite.independence_tests.robust_parcorr import RobustParCorr

        kind = ParCorr if search.test == "ParCorr" else RobustParCorr
        options = {"significance": "analytic"}
    return _asked_alone(kind)(search.seed, **options)


@functools.cache
def _asked_alone(kind: Any) -> Any:
    """``kind`` whose answer depends on the question only, not on the tests before it."""

    class AskedAlone(kind):  # type: ignore[misc]
        def __init__(self, seed: int, **options: Any) -> None:
            super().__init__(seed=seed, **options)
            self.first_seed = seed

        def run_test(self, X: Sequence[tuple[int, int]], Y: Sequence[tuple[int, int]],
                     Z: Sequence[tuple[int, int]] | None = None, tau_max: int = 0, cut_off: str = "2xtau_max",
                     alpha_or_thres: float | None = None) -> tuple[Any, ...]:
            key = [*_numbers(X), *_numbers(Y), *_numbers(Z or []), tau_max]
            self.cached_ci_results.clear()  # upstream's cache answers a turned question, drawn otherwise
            self.random_state = np.random.default_rng([self.first_seed, *key])
            value, p_value = super().run_test(X, Y, Z, tau_max, cut_off)
            found = float(value), float(p_value)
            return found if alpha_or_thres is None else (*found, found[1] <= alpha_or_thres)

        def generate_nulldist(self, df: int, add_to_null_dists: bool = True) -> Any:
            self.random_state = np.random.default_rng([self.first_seed, df])
            return super().generate_nulldist(df, add_to_null_dists)

    return AskedAlone


def _numbers(nodes: Sequence[tuple[int, int]]) -> list[int]:
    return [len(nodes), *(int(abs(number)) for node in nodes for number in node)]
