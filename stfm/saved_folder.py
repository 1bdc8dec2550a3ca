"""A folder with ``config.json`` and ``weights.safetensors``: what a forecaster is kept as. Never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from terracast.stfm.forecaster import ForecastError

CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def write_folder(folder: str | Path, config: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write config and arrays into ``folder`` (made if need be) and return it.

    The config holds the digest of the weights, so that a half-written folder is refused on reading.
    """
    folder, where = Path(folder), str(config.get("forecaster", "forecaster"))
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors.numpy.save(_in_order(arrays, where))
    try:
        text = json.dumps({**config, "weights_sha256": hashlib.sha256(weights).hexdigest()}, indent=1, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ForecastError(f"config() is not JSON ({error})", where=where,
                            expected="texts, numbers, lists and mappings",
                            remedy="put arrays into weights() and write the rest as text") from None
    _write(folder / WEIGHTS, weights)
    _write(folder / CONFIG, text.encode())
    return folder


def _in_order(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """The weights as safetensors takes them: numbers of at most eight bytes, in C order."""
    ordered = {str(name): np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in ordered.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ForecastError(f"weights() holds {name!r} of type {array.dtype}", where=where,
                                expected="arrays of numbers", remedy="keep texts and settings in config()")
    return ordered


def read_folder(folder: str | Path) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Config and arrays of a folder; ``ForecastError`` where it is damaged or was half written."""
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
    return config, arrays


def _write(path: Path, content: bytes) -> None:
    """Write beside the file, then move over it: a reader sees the old or the new, never half."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
