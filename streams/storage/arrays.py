"""Arrays in the store: every numpy kind that we keep, as zarr arrays that xarray opens without help.

Stamps and durations become int64 nanoseconds with CF attrs, texts become strings of any length (a longer name
that comes later is not cut), all else is kept as it is. Arrays grow at the end; what was never written reads as
missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from terracast.streams.errors import StoreError

NAT = np.iinfo(np.int64).min
STAMP_ATTRS = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
DURATION_ATTRS = {"units": "nanoseconds", "dtype": "timedelta64[ns]"}
CODEC = ZstdCodec(level=1, checksum=True)  # a flipped bit is an error when read, not another value
CLOCK_CODEC = (BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle", typesize=8), Crc32cCodec())  # of stamps
KIND = "kind_of_values"  # our own mark on the array: "stamp", "duration"; absent for all else


def safe_name(name: str) -> str:
    """A name as one step of a path in the store.

    >>> safe_name("NO2/NO"), plain_name("NO2%2FNO")
    ('NO2%2FNO', 'NO2/NO')
    >>> safe_name("."), safe_name("__class__")
    ('%2E', '%5F_class__')
    """
    if not name or "\0" in name:
        raise StoreError(f"the name {name!r} cannot be kept", where="store", expected="a plain name",
                         remedy="rename it")
    stored = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    if stored in (".", "..", "zarr.json"):  # a path, or zarr's own, would read these as something else
        return stored.replace(".", "%2E")
    return "%5F" + stored[1:] if stored.startswith("__") else stored


def plain_name(stored: str) -> str:
    """The name that ``safe_name`` was given."""
    for code, letter in (("%5F", "_"), ("%2E", "."), ("%5C", "\\"), ("%2F", "/"), ("%25", "%")):
        stored = stored.replace(code, letter)
    return stored


def tidy_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes that JSON can hold: numbers, texts, lists; anything else as text.

    >>> tidy_attrs({"units": "K", "level": np.float32(2.0), "limit": float("nan")})
    {'units': 'K', 'level': 2.0, 'limit': 'nan'}
    """
    def tidy(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        if isinstance(value, list | tuple):
            return [tidy(item) for item in value]
        if value is None or isinstance(value, bool | int | str) or (
                isinstance(value, float) and math.isfinite(value)):
            return value
        return str(value)

    return {str(name): tidy(value) for name, value in attrs.items()}


def encoded(values: np.ndarray, where: str) -> np.ndarray:
    """Values as they are written."""
    kind = values.dtype.kind
    if kind == "M":
        return values.astype("datetime64[ns]").view(np.int64)
    if kind == "m":
        return values.astype("timedelta64[ns]").view(np.int64)
    if kind in "OUT":
        flat = values.ravel().tolist()
        if all(isinstance(item, str) for item in flat):
            return np.array(flat, dtype=np.dtypes.StringDType()).reshape(values.shape)
    if kind in "biufT":
        return values
    raise StoreError(f"values of type {values.dtype} cannot be kept", where=where,
                     expected="numbers, truth values, texts, stamps or durations",
                     remedy="convert the variable")


def kind_of(values: np.ndarray) -> str:
    """One word for what an array holds, so that a changed ledger can be refused in words."""
    words = {"M": "stamp", "m": "duration", "O": "text", "U": "text", "T": "text", "b": "truth", "i": "whole",
             "u": "whole", "f": "number"}
    return words.get(values.dtype.kind, str(values.dtype))


def create_array(group: zarr.Group, name: str, like: np.ndarray, shape: tuple[int, ...],
                 dims: tuple[str, ...], chunks: tuple[int, ...],
                 attrs: Mapping[Any, Any] | None = None) -> zarr.Array:
    """An array for values of ``like``'s type, all missing (NaN, NaT, "", False, 0) so far."""
    kind, stored = kind_of(like), encoded(like.ravel()[:0], name).dtype
    marks: dict[str, Any] = tidy_attrs(attrs or {})
    fill: Any = np.nan if kind == "number" else NAT if kind in ("stamp", "duration") else None
    if kind in ("stamp", "duration"):
        marks |= {**(STAMP_ATTRS if kind == "stamp" else DURATION_ATTRS), KIND: kind}
    return group.create_array(safe_name(name), shape=shape, chunks=chunks, fill_value=fill, attributes=marks,
                              compressors=CLOCK_CODEC if KIND in marks else CODEC, dimension_names=dims,
                              dtype="string" if kind == "text" else stored)


def write_array(array: zarr.Array, selection: Any, values: np.ndarray) -> None:
    """Write ``values`` (not yet encoded) at a basic selection."""
    if values.size:
        array[selection] = encoded(values, str(array.path))


def read_array(array: zarr.Array, selection: Any = ...) -> np.ndarray:
    """Values as they were given: stamps as datetime64[ns], texts as numpy texts."""
    values = np.asarray(array[selection])
    kind = array.attrs.get(KIND)
    if kind == "stamp":
        return values.view("datetime64[ns]")
    if kind == "duration":
        return values.view("timedelta64[ns]")
    if values.dtype.kind in "OT":
        return np.array(values.tolist(), dtype=str).reshape(values.shape)
    return values


def attrs_of(array: zarr.Array) -> dict[str, Any]:
    """The array's attrs as they were given."""
    attrs = dict(array.attrs)
    kind = attrs.pop(KIND, None)
    for name in (STAMP_ATTRS if kind == "stamp" else DURATION_ATTRS if kind == "duration" else ()):
        attrs.pop(name)
    return attrs


def empty_like(array: zarr.Array) -> np.ndarray:
    """No values, of the type that ``read_array`` would give."""
    kind = array.attrs.get(KIND)
    if kind is not None:
        return np.zeros(0, "datetime64[ns]" if kind == "stamp" else "timedelta64[ns]")
    return np.zeros(0, "U1" if np.dtype(array.dtype).kind in "OT" else array.dtype)


def missing_like(array: zarr.Array, shape: tuple[int, ...]) -> np.ndarray:
    """Values of this shape, all missing, of the type that ``read_array`` would give (texts as objects)."""
    like = empty_like(array)
    if like.dtype.kind == "U":
        return np.full(shape, "", dtype=object)
    missing = "NaT" if like.dtype.kind in "mM" else np.nan if like.dtype.kind == "f" else 0
    return np.full(shape, np.array(missing, dtype=like.dtype))


def create_like(group: zarr.Group, source: zarr.Array, shape: tuple[int, ...],
                chunks: tuple[int, ...]) -> zarr.Array:
    """An array of another shape or chunking in the place of ``source``, all missing."""
    text = np.dtype(source.dtype).kind in "OT"
    return group.create_array(source.basename, shape=shape, chunks=chunks, fill_value=source.fill_value,
                              attributes=dict(source.attrs), overwrite=True,
                              compressors=CLOCK_CODEC if KIND in source.attrs else CODEC,
                              dimension_names=source.metadata.dimension_names,
                              dtype="string" if text else source.dtype)
