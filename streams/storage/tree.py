"""A component's state as bytes and back: nested dicts of JSON values and numpy arrays, exact to the bit.

Layout: 8 bytes magic, 8 bytes little-endian length of the header, the header (JSON), the arrays' bytes one after
the other. Nothing in it can run code when read. An array of float64 whose every value is one of float32 lies there as
float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from terracast.streams.errors import StoreError

MAGIC = b"TCTREE01"
MARK = "~"  # keys that start with it are tags of this format; a user's own such key gets one more
Read = Callable[[int, int], bytes]


def parts_of(tree: object, where: str = "state") -> list[np.ndarray]:
    """``tree`` as the arrays that ``pack`` joins: magic, length and header as bytes, then what the tree holds.

    Dicts with text keys, lists, tuples, None, bool, int, float (NaN and infinities too), str, numpy scalars and
    arrays of any plain dtype. ``StoreError`` names the place of anything else.
    """
    arrays: list[np.ndarray] = []
    encoded = _encoded(tree, arrays, where)
    kept = [_halved(array) for array in arrays]
    header = {"tree": encoded, "arrays": [[array.dtype.str, list(array.shape), *([half.dtype.str] if half is not array
                                          else [])] for array, half in zip(arrays, kept, strict=True)]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    return [np.frombuffer(MAGIC + len(text).to_bytes(8, "little") + text, np.uint8), *kept]


def pack(tree: object, where: str = "state") -> bytes:
    """``tree`` as one run of bytes; what it may hold, see ``parts_of``.

    >>> unpack(pack({"mean": np.float32(0.1), "seen": [1, float("inf")], "mask": np.zeros(0, bool)}))
    {'mean': np.float32(0.1), 'seen': [1, inf], 'mask': array([], dtype=bool)}
    """
    return b"".join(part.tobytes() for part in parts_of(tree, where))


def unpack(data: bytes, where: str = "state") -> object:
    """What ``pack`` was given; arrays are fresh and writable."""
    return Packed(lambda start, stop: data[start:stop], where).whole


class Packed:
    """A packed state that is read in parts: only the header, once, and the arrays that are wanted.

    ``read(start, stop)`` answers bytes of it.

    >>> data = pack({"name": "air", "past": np.arange(3)})
    >>> held = Packed(lambda start, stop: data[start:stop])
    >>> held.entry("name"), held.entry("future")
    ('air', None)
    """

    def __init__(self, read: Read, where: str = "state") -> None:
        if read(0, 8) != MAGIC:
            raise StoreError("not a packed state", where=where, expected=f"bytes that begin with {MAGIC.decode()}",
                             remedy="restore the store from an earlier snapshot")
        first = 16 + int.from_bytes(read(8, 16), "little")
        header = json.loads(read(16, first))
        self._read, self._tree, self._places = read, header["tree"], header["arrays"]
        sizes = [np.dtype(place[-1] if len(place) > 2 else place[0]).itemsize * prod(place[1])
                 for place in self._places]
        self._starts = first + np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    @property
    def whole(self) -> object:
        """What ``pack`` was given; arrays are fresh and writable."""
        return _decoded(self._tree, self._array)

    def entry(self, name: str) -> object:
        """One entry of it, None where there is none."""
        key = MARK + name if name.startswith(MARK) else name
        return _decoded(self._tree.get(key) if isinstance(self._tree, dict) else None, self._array)

    def _array(self, at: int) -> np.ndarray:
        dtype, shape, *half = self._places[at]
        data = bytearray(self._read(int(self._starts[at]), int(self._starts[at + 1])))
        values = np.ndarray(tuple(shape), np.dtype(half[0] if half else dtype), buffer=data or None)
        return values.astype(dtype) if half else values


def _halved(array: np.ndarray) -> np.ndarray:
    """The array as float32 where that loses no bit."""
    if array.dtype != np.float64 or not array.size:
        return array
    with np.errstate(all="ignore"):
        half = array.astype(np.float32)
    return half if half.astype(np.float64).tobytes() == array.tobytes() else array


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


def _decoded(value: object, array: Callable[[int], np.ndarray]) -> object:
    if isinstance(value, list):
        return [_decoded(item, array) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("~array", int(at))]:
            return array(at)
        case [("~scalar", int(at))]:
            return array(at)[()]
        case [("~tuple", list(items))]:
            return tuple(_decoded(item, array) for item in items)
    return {key[1:] if key.startswith(MARK) else key: _decoded(item, array) for key, item in value.items()}


def _refusal(what: str, where: str) -> StoreError:
    return StoreError(f"{what} cannot be kept", where=where,
                      expected="dicts with text keys, lists, JSON values and plain numpy arrays",
                      remedy="convert it in the component's state()")
