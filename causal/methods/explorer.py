"""tigramite's search classes with the caps of ``Search`` and a word on progress."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from terracast.causal.methods.independence import independence_test
from terracast.causal.settings import Progress, Redraw, Search

FLAG = 987654.25  # stands for a gap; standardised series never come near it


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """tigramite prints on import and warns on thin data; a user's terminal sees neither."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def framed(values: np.ndarray, redraw: Redraw | None = None) -> Any:
    """tigramite's data frame of ``values`` (time, series; NaN = gap)."""
    from tigramite.data_processing import DataFrame

    frame = DataFrame(np.where(np.isfinite(values), values, FLAG), missing_flag=FLAG)
    if redraw is not None:
        frame.bootstrap = drawing(redraw)
    return frame


def drawing(redraw: Redraw) -> dict[str, Any]:
    """tigramite's way to say how rows are drawn."""
    return {"boot_blocklength": redraw.block, "random_state": np.random.default_rng(redraw.seed)}


def explorer(values: np.ndarray, search: Search, progress: Progress | None = None,
             redraw: Redraw | None = None) -> Any:
    """PCMCI (or its compiled twin) on ``values`` with the settings of ``search``."""
    from tigramite.pcmci import PCMCI

    from terracast.causal.fast.pcmci import FastPCMCI

    test = independence_test(search)
    return _capped(FastPCMCI if search.compiled else PCMCI)(framed(values, redraw), test, search, progress)


_Upstream: Any = object  # tigramite takes seconds to import: its class joins when a search begins


class _Explorer(_Upstream):  # type: ignore[misc]
    """What is told of a search, and its caps; stands before tigramite's class, or its compiled twin."""

    def __init__(self, frame: Any, test: Any, search: Search, progress: Progress | None) -> None:
        super().__init__(dataframe=frame, cond_ind_test=test, verbosity=0)
        self.search, self.progress = search, progress or (lambda share, words: None)
        self.marks: dict[tuple[int, int, int, bool], tuple[Any, Any]] = {}
        self.only: frozenset[int] | None = None  # targets whose conditions are wanted; None: all

    def _set_link_assumptions(self, link_assumptions: Any, tau_min: int, tau_max: int,
                              remove_contemp: bool = False) -> Any:
        """Upstream's check copies every mark deeply, each time: half the time of a bootstrap draw."""
        key = (id(link_assumptions), tau_min, tau_max, remove_contemp)
        if key not in self.marks:
            made = super()._set_link_assumptions(link_assumptions, tau_min, tau_max, remove_contemp)
            self.marks[key] = link_assumptions, made  # held, so that no other object takes its id
        return {target: dict(links) for target, links in self.marks[key][1].items()}

    def _report_progress(self, share: float, words: str) -> None:
        self.progress(share, words)

    def _run_pc_stable_single(self, j: int, **options: Any) -> Any:
        if self.only is not None and j not in self.only:
            return {"parents": [], "val_min": {}, "val_dict": {}, "pval_max": {}, "iterations": {}}
        self.progress(0.4 * j / self.N, "lagged conditions")
        return super()._run_pc_stable_single(j, **options)

    def _pcmciplus_mci_skeleton_phase(self, *given: Any, **options: Any) -> Any:
        self.progress(0.4, "testing links")
        return super()._pcmciplus_mci_skeleton_phase(
            *given, **options | {"max_conds_dim": self.search.same_time_conditions})

    def _pcmciplus_collider_phase(self, skeleton_graph: Any, *rest: Any, **options: Any) -> Any:
        self.progress(0.8, "directions")
        degree = (skeleton_graph[:, :, 0] != "").sum(axis=1).max()
        if degree > self.search.majority_degree:
            options["contemp_collider_rule"] = "none"
        return super()._pcmciplus_collider_phase(skeleton_graph, *rest, **options)


@functools.cache
def _capped(base: Any) -> Any:
    return type("Explorer", (_Explorer, base), {})
