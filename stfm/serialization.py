"""The shelf: a forecaster as a folder with ``config.json`` and ``weights.safetensors``. Never a pickle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from terracast.stfm.base.model import Base
from terracast.stfm.bases import GROUP, SERIALIZABLE, custom_base
from terracast.stfm.forecaster import Forecaster, ForecastError
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.poisson.forecaster import CountForecaster
from terracast.stfm.saved_folder import CONFIG, read_folder, write_folder
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.plugins import has_plugin

Builder = Callable[[Mapping[str, object], Mapping[str, np.ndarray]], Forecaster]
BUILDERS: Mapping[str, Builder] = {Base.name: Base.build, NativeModel.name: NativeModel.build,
                                   CountForecaster.name: CountForecaster.build,
                                   SeasonalNaive.name: SeasonalNaive.build}


class Serializable(Protocol):
    """What the shelf can hold: a config whose ``forecaster`` names its builder, and named arrays."""

    def config(self) -> dict[str, object]: ...

    def weights(self) -> Mapping[str, np.ndarray]: ...


def save(forecaster: Serializable, folder: str | Path) -> Path:
    """Write ``forecaster`` into ``folder`` (made if need be) and return it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(save(SeasonalNaive(), folder))
    SeasonalNaive(season=None)
    """
    return write_folder(folder, forecaster.config(), forecaster.weights())


def load(folder: str | Path, also: Mapping[str, Builder] | None = None) -> Forecaster:
    """The forecaster kept in ``folder``: its forecasts are those of the one saved, to the bit.

    ``also``: builders by name of forecasters that live above this room.
    """
    return build(*read_folder(folder), also)


def build(config: Mapping[str, object], weights: Mapping[str, np.ndarray],
          also: Mapping[str, Builder] | None = None) -> Forecaster:
    """Rebuild a forecaster from what its ``config()`` and ``weights()`` gave.

    >>> build({"forecaster": "seasonal-naive", "season": "7 days"}, {})
    SeasonalNaive(season=Timedelta('7 days 00:00:00'))
    """
    name, builders = str(config.get("forecaster")), {**BUILDERS, **(also or {})}
    if name not in builders and not has_plugin(GROUP, name):
        raise ForecastError(f"unknown forecaster {name!r}", where=CONFIG,
                            expected="one of " + ", ".join(builders) + f", or an entry point of {GROUP}",
                            remedy="use the version that wrote it, or install its package")
    builder = builders.get(name) or custom_base(name, SERIALIZABLE).build
    try:
        return builder(config, weights)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise ForecastError(f"config and weights do not make a {name} ({type(error).__name__})", where=CONFIG,
                            expected="what its config() and weights() gave", remedy="save it again") from error
