"""The shelf of adapted forecasters: what ``stfm.shelf`` holds, and those with a correction around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from adapt.rungs.correction import Corrected, Correction
from adapt.rungs.gated import GatedCorrection
from adapt.rungs.layers import beneath, joined
from adapt.rungs.recent import Recent
from adapt.rungs.recursive import RecursiveCorrection
from adapt.rungs.spectral import SpectralCorrection
from stfm import shelf
from stfm.forecaster import Forecaster

CORRECTIONS: Mapping[str, type[Correction]] = {one.sort: one for one in (  # type: ignore[misc]
    RecursiveCorrection, GatedCorrection, SpectralCorrection)}


def load(folder: str | Path) -> Forecaster:
    """The forecaster kept in ``folder``, wrapped or not, to the bit.

    >>> import tempfile
    >>> from stfm.seasonal_naive import SeasonalNaive
    >>> with tempfile.TemporaryDirectory() as place:
    ...     load(shelf.save(Recent(SeasonalNaive(), 336), place))
    Recent(base=SeasonalNaive(season=None), rows=336)
    """
    return shelf.load(folder, BUILDERS)


def _base(config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Forecaster:
    return shelf.build(cast(Mapping[str, object], config["base"]), beneath(weights), BUILDERS)


def _corrected(config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Forecaster:
    state = joined(cast(Mapping[str, Any], config["state"]), beneath(weights, "state/"))
    return Corrected(_base(config, weights), CORRECTIONS[str(config["correction"])].restore(state))


def _recent(config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Forecaster:
    return Recent(_base(config, weights), int(str(config["rows"])))


BUILDERS: Mapping[str, shelf.Builder] = {Corrected.name: _corrected, Recent.name: _recent}
