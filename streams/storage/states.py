"""States in the store, written by change: of a state only those pieces that the last one did not have are written.

A state is a group, ``states/<name>``, of packs: arrays of bytes named by rising numbers. Each pack begins with its
magic and a table, then come the pieces that were new when it was written. The table of the newest pack lists every
piece of the whole state in order: digest, pack, place, length. Joined, they are what ``streams.storage.tree`` packed.
A pack of which less than a quarter is still in use is dropped, its last pieces move to the newest.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import zarr

from terracast.streams.errors import StoreError
from terracast.streams.storage.arrays import CODEC, plain_name
from terracast.streams.storage.pieces import cut
from terracast.streams.storage.tree import Packed, parts_of

MAGIC = b"TCPACK02"
HEAD = 16  # bytes: magic, length of the table
PLACE = np.dtype([("digest", "V12"), ("pack", "<u4"), ("start", "<u8"), ("length", "<u4")])
CHUNK = 4 << 20
IN_USE = 0.25  # share of a pack below which what is left of it is moved
MOST_PACKS = 24


class Packs:
    """A state as it lies in the store."""

    def __init__(self, group: zarr.Group) -> None:
        self.group, self.where = group, group.path
        self.arrays = {int(name): array for name, array in group.arrays()}
        self.newest = max(self.arrays, default=0)
        self._read: dict[int, bytes] = {}

    @cached_property
    def table(self) -> np.ndarray:
        """All pieces in order."""
        data = self._pack(self.newest)
        return np.frombuffer(data[HEAD:HEAD + _table_bytes(data)], PLACE)

    @cached_property
    def _stops(self) -> np.ndarray:
        return np.cumsum(self.table["length"].astype(np.int64))

    def read(self, start: int, stop: int) -> bytes:
        """Bytes of the state; reads the packs that hold them."""
        first = int(np.searchsorted(self._stops, start, "right"))
        last = int(np.searchsorted(self._stops, stop, "left"))
        begin = int(self._stops[first - 1]) if first else 0
        data = b"".join(self._piece(place) for place in self.table[first:last + 1]) if stop > start else b""
        return data[start - begin:stop - begin]

    def _piece(self, place: np.void) -> bytes:
        data = self._pack(int(place["pack"]))
        start = HEAD + _table_bytes(data) + int(place["start"])
        return data[start:start + int(place["length"])]

    def _pack(self, number: int) -> bytes:
        if number not in self._read:
            data = self.arrays[number][:].tobytes() if number in self.arrays else b""
            if data[:8] != MAGIC:
                raise StoreError("a piece of a saved state is missing", where=f"{self.where}/{number}",
                                 expected=f"bytes that begin with {MAGIC.decode()}",
                                 remedy="restore an earlier snapshot or a backup")
            self._read[number] = data
        return self._read[number]


def saved_state(root: zarr.Group, path: str) -> Packed | None:
    """What was last written under ``path`` (``states/loop``); None where nothing was. It keeps what it has read.

    A state of the first layout (one array of bytes) is read, too.
    """
    held = root.get(path)
    if held is None:
        return None
    if isinstance(held, zarr.Group):
        return Packed(Packs(held).read, path)
    data = held[:].tobytes()
    return Packed(lambda start, stop: data[start:stop], path)


def state_names(root: zarr.Group, folder: str) -> list[str]:
    """Names of the states in a folder of the store, sorted."""
    held = root.get(folder)
    return [] if held is None else sorted(plain_name(name) for name in (*held.group_keys(), *held.array_keys()))


def write_state(root: zarr.Group, path: str, tree: object) -> None:
    """Keep a state; writes what the state held there did not have, and nothing where it is the same. O(bytes)."""
    pieces = list(cut(parts_of(tree, path)))
    digests = [hashlib.blake2b(piece, digest_size=12).digest() for piece in pieces]
    found = root.get(path)
    group = found if isinstance(found, zarr.Group) else root.create_group(path, overwrite=True)
    packs = Packs(group)
    held = {place["digest"].tobytes(): place for place in packs.table} if packs.arrays else {}
    if packs.arrays and [place["digest"].tobytes() for place in packs.table] == digests:
        return
    stays = _packs_that_stay(packs, [held[digest] for digest in set(digests) & set(held)])
    places = {digest: place for digest, place in held.items() if int(place["pack"]) in stays}
    number, body, size = packs.newest + 1, [], 0
    for digest, piece in zip(digests, pieces, strict=True):
        if digest not in places:
            places[digest] = np.array((digest, number, size, len(piece)), PLACE)[()]
            body.append(piece)
            size += len(piece)
    table = np.array([places[digest] for digest in digests], PLACE).tobytes()
    data = b"".join([MAGIC, len(table).to_bytes(8, "little"), table, *body])
    array = group.create_array(str(number), shape=(len(data),), chunks=(min(len(data), CHUNK),), dtype="uint8",
                               compressors=CODEC)
    array[:] = np.frombuffer(data, np.uint8)
    for old in set(packs.arrays) - stays:
        del group[str(old)]


def _packs_that_stay(packs: Packs, wanted: list[np.void]) -> set[int]:
    """Those of which enough is still wanted, the best ``MOST_PACKS`` of them."""
    used = dict.fromkeys(packs.arrays, 0)
    for place in wanted:
        used[int(place["pack"])] += int(place["length"])
    enough = [number for number, array in packs.arrays.items() if used[number] >= IN_USE * array.shape[0]]
    return set(sorted(enough, key=lambda number: used[number])[-MOST_PACKS:])


def _table_bytes(data: bytes) -> int:
    return int.from_bytes(data[8:HEAD], "little")
