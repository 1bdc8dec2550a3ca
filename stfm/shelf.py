"""The shelf: a forecaster as a folder with ``config.json`` and ``weights.safetensors``. Never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import safetensors.numpy

from stfm.base.model import Base
from stfm.bases import GROUP, custom_base
from stfm.forecaster import Forecaster, ForecastError
from stfm.native import NativeModel
from stfm.seasonal_naive import SeasonalNaive
from streams.plugins import has_plugin

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
Builder = Callable[[Mapping[str, object], Mapping[str, np.ndarray]], Forecaster]
BUILDERS: Mapping[str, Builder] = {Base.name: Base.build, NativeModel.name: NativeModel.build,
                                       SeasonalNaive.name: SeasonalNaive.build}


class Kept(Protocol):
    """What the shelf can hold: a config whose ``forecaster`` names its builder, and named arrays."""

    def config(self) -> dict[str, object]: ...

    def weights(self) -> Mapping[str, np.ndarray]: ...


def save(forecaster: Kept, folder: str | Path) -> Path:
    """Write ``forecaster`` into ``folder`` (made if need be) and return it.

    The config holds the digest of the weights, so that a half-written folder is refused on loading.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(save(SeasonalNaive(), folder))
    SeasonalNaive(season=None)
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors.numpy.save(_arrays(forecaster))
    config = {**forecaster.config(), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    try:
        text = json.dumps(config, indent=1, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ForecastError(f"config() is not JSON ({error})", where=type(forecaster).__name__,
                            expected="texts, numbers, lists and mappings",
                            remedy="put arrays into weights() and write the rest as text") from None
    _write(folder / WEIGHTS, weights)
    _write(folder / CONFIG, text.encode())
    return folder


def load(folder: str | Path, also: Mapping[str, Builder] | None = None) -> Forecaster:
    """The forecaster kept in ``folder``: its forecasts are those of the one saved, to the bit.

    ``also``: builders by name of forecasters that live above this room.
    """
    folder = Path(folder)
    try:
        text, raw = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ForecastError(f"cannot read {error.filename}", where=str(folder),
                            expected=f"{CONFIG} and {WEIGHTS}", remedy="save the forecaster there first") from error
    try:
        config = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise ForecastError(f"{CONFIG} is damaged", where=str(folder), expected="a JSON object",
                            remedy="restore the folder or save again") from error
    if config.pop("weights_sha256", None) != hashlib.sha256(raw).hexdigest():
        raise ForecastError(f"{WEIGHTS} is damaged or of another version", where=str(folder),
                            expected=f"the bytes whose digest {CONFIG} holds",
                            remedy="restore the folder or save again")
    try:
        arrays = safetensors.numpy.load(raw)
    except Exception as error:  # SafetensorError is not exported by every version
        raise ForecastError(f"{WEIGHTS} is not safetensors", where=str(folder), expected="a safetensors file",
                            remedy="restore the folder or save again") from error
    return build(config, arrays, also)


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
    builder = builders.get(name) or custom_base(name).build
    try:
        return builder(config, weights)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise ForecastError(f"config and weights do not make a {name} ({type(error).__name__})", where=CONFIG,
                            expected="what its config() and weights() gave", remedy="save it again") from error


def _arrays(forecaster: Kept) -> dict[str, np.ndarray]:
    """The weights as safetensors takes them: numbers of at most eight bytes, in C order."""
    arrays = {str(name): np.ascontiguousarray(array) for name, array in forecaster.weights().items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ForecastError(f"weights() holds {name!r} of type {array.dtype}", where=type(forecaster).__name__,
                                expected="arrays of numbers", remedy="keep texts and settings in config()")
    return arrays


def _write(path: Path, content: bytes) -> None:
    """Write beside the file, then move over it: a reader sees the old or the new, never half."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
