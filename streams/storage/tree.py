"""A component's state as bytes and back: nested dicts of JSON values and numpy arrays, exact to the bit.

Layout: 8 bytes magic, 8 bytes little-endian length of the header, the header (JSON), the arrays' bytes one after
the other. Nothing in it can run code when read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from streams.errors import StoreError

MAGIC = b"TCTREE01"
MARK = "~"  # keys that start with it are tags of this format; a user's own such key gets one more


def pack(tree: object, where: str = "state") -> bytes:
    """``tree`` as bytes.

    Dicts with text keys, lists, tuples, None, bool, int, float (NaN and infinities too), str, numpy scalars and
    arrays of any plain dtype. ``StoreError`` names the place of anything else.

    >>> unpack(pack({"mean": np.float32(0.1), "seen": [1, float("inf")], "mask": np.zeros(0, bool)}))
    {'mean': np.float32(0.1), 'seen': [1, inf], 'mask': array([], dtype=bool)}
    """
    arrays: list[np.ndarray] = []
    header = {"tree": _encoded(tree, arrays, where),
              "arrays": [[array.dtype.str, list(array.shape)] for array in arrays]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    return b"".join([MAGIC, len(text).to_bytes(8, "little"), text, *(array.tobytes() for array in arrays)])


def unpack(data: bytes, where: str = "state") -> object:
    """What ``pack`` was given; arrays are fresh and writable."""
    if data[:8] != MAGIC:
        raise StoreError("not a packed state", where=where, expected=f"bytes that begin with {MAGIC.decode()}",
                         remedy="restore the store from an earlier snapshot")
    start = 16 + int.from_bytes(data[8:16], "little")
    header = json.loads(data[16:start])
    arrays = []
    for dtype_text, shape in header["arrays"]:
        dtype = np.dtype(dtype_text)
        stop = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        array = np.ndarray(tuple(shape), dtype, buffer=bytearray(data[start:stop]) if stop > start else None)
        arrays.append(array)
        start = stop
    return _decoded(header["tree"], arrays)


def _encoded(value: object, arrays: list[np.ndarray], where: str) -> object:
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in "biufcUSmM":
            raise _refusal(f"an array of type {array.dtype}", where)
        arrays.append(array)
        return {MARK + ("array" if isinstance(value, np.ndarray) else "scalar"): len(arrays) - 1}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise _refusal(f"a key of type {type(key).__name__}", where)
        return {MARK + key if key.startswith(MARK) else key: _encoded(item, arrays, f"{where}.{key}")
                for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_encoded(item, arrays, f"{where}[{at}]") for at, item in enumerate(value)]
        return items if isinstance(value, list) else {MARK + "tuple": items}
    raise _refusal(f"a {type(value).__name__}", where)


def _decoded(value: object, arrays: list[np.ndarray]) -> object:
    if isinstance(value, list):
        return [_decoded(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("~array", int(at))]:
            return arrays[at]
        case [("~scalar", int(at))]:
            return arrays[at][()]
        case [("~tuple", list(items))]:
            return tuple(_decoded(item, arrays) for item in items)
    return {key[1:] if key.startswith(MARK) else key: _decoded(item, arrays) for key, item in value.items()}


def _refusal(what: str, where: str) -> StoreError:
    return StoreError(f"{what} cannot be kept", where=where,
                      expected="dicts with text keys, lists, JSON values and plain numpy arrays",
                      remedy="convert it in the component's state()")
