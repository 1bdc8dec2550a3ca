"""The integrity check: everything in the store is read once, and what does not agree is said in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import zarr

from terracast.streams.errors import TerracastError
from terracast.streams.storage.arrays import read_array, safe_name
from terracast.streams.storage.check_domain import check_domain
from terracast.streams.storage.findings import Finding, unreadable_rows
from terracast.streams.storage.ledger import (
    ALONG,
    COORDINATES,
    GROWING,
    ORDER,
    REPEATS,
    arrays_of,
    dims_of,
    ledger_path,
)
from terracast.streams.storage.states import saved_state, state_names
from terracast.streams.store import Store, View

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found; ``sound`` where nothing was."""

    snapshots: tuple[str, ...]
    parts: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def check(store: Store, snapshots: Iterable[str] = (), progress: Progress = lambda part: None) -> Checked:
    """Read the newest snapshot whole, those named (the ones that models' lineage needs) and the list of all
    snapshots, and say what is wrong.

    Nothing is changed. O(all values), a chunk's rows at a time in memory. ``progress`` is told each part's name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check(Store.open(folder)).sound
    True
    """
    findings: list[Finding] = []
    looked, parts = [], 0
    findings += _safely("snapshots", lambda: _check_history(store))
    for snapshot in (None, *dict.fromkeys(snapshots)):
        try:
            view = store.read(snapshot)
            looked.append(view.snapshot)
            for part, found in _parts(view):
                progress(part)
                parts += 1
                findings += [one if snapshot is None else one.within(snapshot) for one in found()]
        except TerracastError as failed:
            findings.append(Finding(failed.what, f"snapshot {snapshot or 'newest'}", failed.remedy))
        except Exception as failed:  # a damaged list of contents: whatever icechunk and zarr make of it
            findings.append(Finding.unreadable("list of contents", f"snapshot {snapshot or 'newest'}", failed))
    return Checked(tuple(looked), parts, tuple(findings))


def _parts(view: View) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    for domain in view.domains:
        yield _part(f"observations/{domain}", partial(check_domain, view.root, domain))
    for ledger in view.ledgers:
        yield _part(ledger, partial(_check_ledger, view, ledger))
    for folder in ("states", "cursors"):
        for state in state_names(view.root, folder):
            yield _part(f"{folder}/{state}", partial(_check_tree, view.root, folder, state))


def _part(where: str, found: Callable[[], Iterable[Finding]]) -> tuple[str, Callable[[], list[Finding]]]:
    return where, partial(_safely, where, found)


def _safely(where: str, found: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of one part, and that it cannot be read any further where that is so."""
    findings: list[Finding] = []
    try:
        findings.extend(found())
    except TerracastError as failed:
        findings.append(Finding(failed.what, where, failed.remedy))
    except Exception as failed:  # damage shows as any error of icechunk, zarr, numpy or a codec
        findings.append(Finding.unreadable("it", where, failed))
    return findings


def _check_history(store: Store) -> Iterator[Finding]:
    if not store.snapshots():  # each one is read on the way
        yield Finding("there is none", "snapshots", "restore the folder from a backup")


def _check_tree(root: zarr.Group, folder: str, name: str) -> Iterator[Finding]:
    where, held = f"{folder}/{name}", saved_state(root, f"{folder}/{safe_name(name)}")
    tree = None if held is None else held.whole
    if not isinstance(tree, dict):
        yield Finding(f"a {type(tree).__name__} instead of names and values", where, "set it anew")
    elif folder == "cursors":
        try:
            json.dumps(tree)
        except TypeError as failed:
            yield Finding(f"the cursor is not plain JSON ({failed})", where, "set it with texts and numbers only")


def _check_ledger(view: View, ledger: str) -> Iterator[Finding]:
    group = view.root[ledger_path(ledger)]
    arrays, along = arrays_of(group), str(group.attrs[ALONG])
    for name in {*group.attrs[ORDER], *group.attrs[COORDINATES]} - set(arrays):
        yield Finding(f"{name!r} is missing", ledger, "restore an earlier snapshot")
    lengths = {name: array.shape[dims_of(array).index(along)] for name, array in arrays.items()
               if along in dims_of(array)}
    if len(set(lengths.values())) > 1:
        yield Finding(f"{along!r} is of different lengths: {lengths}", ledger, "restore an earlier snapshot")
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        for dim, size in zip(dims_of(array), array.shape, strict=True):
            if sizes.setdefault(dim, size) != size and dim != along:
                yield Finding(f"{name!r} has {size} along {dim!r}, others {sizes[dim]}", ledger,
                              "restore an earlier snapshot")
        yield from unreadable_rows(array, ledger)
    unique = {GROWING} if group.attrs.get(REPEATS) else {along, GROWING}
    for axis in (name for name in sorted(unique & set(arrays)) if dims_of(arrays[name]) == (name,)):
        yield from _check_axis(ledger, axis, read_array(arrays[axis]))


def _check_axis(ledger: str, axis: str, values: np.ndarray) -> Iterator[Finding]:
    names, counts = np.unique(values, return_counts=True)
    doubled = names[counts > 1]
    if len(doubled):
        yield Finding(f"{axis} {doubled[0]} is there {counts[counts > 1][0]} times"
                      + (f", and {len(doubled) - 1} others" if len(doubled) > 1 else ""), ledger,
                      "an entry was counted twice: restore the snapshot before it")
