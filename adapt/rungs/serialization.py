"""The shelf of adapted forecasters: what ``stfm.serialization`` holds, and those with a correction around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from terracast.adapt.rungs.correction import Corrected, Correction
from terracast.adapt.rungs.output_rls import RecursiveCorrection
from terracast.adapt.rungs.wrappers import joined, under_correction
from terracast.stfm import serialization as shelf
from terracast.stfm.forecaster import Forecaster

CORRECTIONS: Mapping[str, type[Correction]] = {RecursiveCorrection.form: RecursiveCorrection}


def load(folder: str | Path) -> Forecaster:
    """The forecaster kept in ``folder``, wrapped or not, to the bit.

    >>> import tempfile
    >>> from terracast.stfm.seasonal_naive import SeasonalNaive
    >>> made = Corrected(SeasonalNaive(), RecursiveCorrection(2, 1, np.timedelta64(1, "h")))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     load(shelf.save(made, place)).base
    SeasonalNaive(season=None)
    """
    return shelf.load(folder, BUILDERS)


def base_of(config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Forecaster:
    """The forecaster that another is wrapped around, from the wrapper's config (``config_of`` its base, under ``base``)
    and weights (with ``weights_of`` its base)."""
    return shelf.build(cast(Mapping[str, object], config["base"]), under_correction(weights), BUILDERS)


def _corrected(config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Forecaster:
    state = joined(cast(Mapping[str, Any], config["state"]), under_correction(weights, "state/"))
    return Corrected(base_of(config, weights), CORRECTIONS[str(config["correction"])].restore(state))


BUILDERS: Mapping[str, shelf.Builder] = {Corrected.name: _corrected}
