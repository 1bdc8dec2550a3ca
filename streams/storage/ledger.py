"""Append-only ledgers in the store: forecasts, scores, episodes. Entries are added along one axis, never changed.

A ledger keeps the schema of its first entry. Only the ``node`` axis may grow: a network grows. What an entry does
not say about a node is missing (NaN, NaT, "", False, 0). An entry's stamp is its name, and unique, unless the first
entry's attribute ``stamps_repeat`` is true: then entries are a list, of which many may bear one stamp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
import zarr

from terracast.streams.errors import StoreError
from terracast.streams.storage.arrays import (
    attrs_of,
    create_array,
    empty_like,
    encoded,
    kind_of,
    missing_like,
    plain_name,
    read_array,
    safe_name,
    tidy_attrs,
    write_array,
)
from terracast.streams.storage.layout import rows_per_chunk

TAKEN = ("observations", "revisions", "states", "cursors")
GROWING = "node"
ALONG, COORDINATES, ORDER = "ledger_along", "ledger_coordinates", "ledger_order"
REPEATS = "stamps_repeat"
Entries = dict[str, tuple[tuple[str, ...], np.ndarray]]  # name -> dims, values


def ledger_path(name: str) -> str:
    """The path of a ledger in the store; its name may have steps, e.g. ``forecasts/air``."""
    steps = name.split("/")
    if steps[0] in TAKEN:
        raise StoreError(f"{steps[0]!r} is not a ledger", where=name, expected="a name such as 'scores/air'",
                         remedy="choose another first word")
    return "/".join(safe_name(step) for step in steps)


def append_entries(root: zarr.Group, name: str, dataset: xr.Dataset, along: str) -> None:
    """Add the dataset's entries along ``along`` to the ledger, which the first call creates.

    ``StoreError`` names the first thing in which the dataset differs from the ledger's schema; then nothing was
    written. Costs one chunk (16 KiB, or one entry) per variable.
    """
    if along not in dataset.dims:
        raise StoreError(f"no dimension {along!r}", where=name, expected=f"entries along {along!r}",
                         remedy=f"expand_dims({along!r}) first")
    path, entries = ledger_path(name), _variables(dataset)
    group = root.get(path)
    if group is None or ALONG not in group.attrs:
        group = _create(root, path, dataset, entries, along)
        arrays = arrays_of(group)
    else:
        arrays = arrays_of(group)
        _refuse_other_schema(group, arrays, name, dataset, entries, along)
    columns = _join_nodes(arrays, dataset, along)
    for variable, (dims, values) in entries.items():
        if along in dims:
            _append(arrays[variable], dims, values, along, columns)


def read_entries(root: zarr.Group, name: str, since: Any = None) -> xr.Dataset | None:
    """The ledger, or its entries whose coordinate is ``since`` or later; None where nothing was ever added."""
    path = ledger_path(name)
    group = root.get(path)
    if group is None or ALONG not in group.attrs:
        return None
    arrays, along = arrays_of(group), group.attrs[ALONG]
    mask, rows = None, slice(None)
    if since is not None:
        if along not in arrays:
            raise StoreError(f"{along!r} has no coordinate", where=name, expected="stamps to compare with",
                             remedy="read the whole ledger")
        axis = read_array(arrays[along])
        wanted = np.flatnonzero(axis >= (np.datetime64(since, "ns") if axis.dtype.kind == "M" else since))
        rows = slice(int(wanted[0]), int(wanted[-1]) + 1) if len(wanted) else slice(0, 0)
        mask = wanted - rows.start
    found: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]] = {}
    for variable in group.attrs[ORDER]:
        array = arrays[variable]
        dims = dims_of(array)
        values = read_array(array, tuple(rows if dim == along else slice(None) for dim in dims))
        if mask is not None and along in dims and len(mask) != rows.stop - rows.start:
            values = values.take(mask, axis=dims.index(along))
        found[variable] = (dims, values, attrs_of(array))
    coordinates = group.attrs[COORDINATES]
    attrs = {key: value for key, value in group.attrs.items() if key not in (ALONG, COORDINATES, ORDER)}
    return xr.Dataset({key: value for key, value in found.items() if key not in coordinates},
                      {key: value for key, value in found.items() if key in coordinates}, attrs)


def ledger_names(root: zarr.Group) -> tuple[str, ...]:
    """Names of all ledgers, sorted."""
    names: list[str] = []

    def walk(group: zarr.Group, steps: tuple[str, ...]) -> None:
        if ALONG in group.attrs:
            names.append("/".join(steps))
        for step in group.group_keys():
            if steps or step not in TAKEN:
                walk(group[step], (*steps, plain_name(step)))

    walk(root, ())
    return tuple(sorted(names))


def arrays_of(group: zarr.Group) -> dict[str, zarr.Array]:
    """All arrays of a group under their plain names, opened at once."""
    return {plain_name(name): array for name, array in group.arrays()}


def dims_of(array: zarr.Array) -> tuple[str, ...]:
    """The names of an array's dimensions."""
    return tuple(array.metadata.dimension_names or ())


def chunks_of_ledger(shape: tuple[int, ...], dims: tuple[str, ...], along: str, itemsize: int) -> tuple[int, ...]:
    """Chunks of some entries along the axis that grows; the other axes whole."""
    other = tuple(size for dim, size in zip(dims, shape, strict=True) if dim != along)
    depth = rows_per_chunk(other, itemsize)
    return tuple(depth if dim == along else max(1, size, 64 if dim == GROWING else 1)
                 for dim, size in zip(dims, shape, strict=True))


def _variables(dataset: xr.Dataset) -> Entries:
    return {str(name): (tuple(map(str, variable.dims)), np.asarray(variable.values))
            for name, variable in dataset.variables.items()}


def _create(root: zarr.Group, path: str, dataset: xr.Dataset, entries: Entries, along: str) -> zarr.Group:
    for variable, (_, values) in entries.items():  # refuse what cannot be kept before anything is written
        encoded(values, f"{path}: {variable}")
        safe_name(variable)
    group = root.require_group(path)
    group.attrs.update({**tidy_attrs(dataset.attrs), ALONG: along, ORDER: list(entries),
                        COORDINATES: [str(name) for name in dataset.coords]})
    for variable, (dims, values) in entries.items():
        shape = tuple(0 if dim == along else size for dim, size in zip(dims, values.shape, strict=True))
        chunks = chunks_of_ledger(shape, dims, along, values.dtype.itemsize)
        array = create_array(group, variable, values, shape, dims, chunks, dataset[variable].attrs)
        if along not in dims:
            write_array(array, ..., values)
    return group


def _refuse_other_schema(group: zarr.Group, arrays: dict[str, zarr.Array], name: str, dataset: xr.Dataset,
                         entries: Entries, along: str) -> None:
    def refuse(what: str, expected: str) -> None:
        raise StoreError(what, where=f"ledger {name}", expected=expected,
                         remedy="keep the schema, or begin a ledger of another name")

    if along != group.attrs[ALONG]:
        refuse(f"entries along {along!r}", f"along {group.attrs[ALONG]!r}")
    for variable in (*entries, *group.attrs[ORDER]):
        if (variable in entries) != (variable in group.attrs[ORDER]):
            word = "is new" if variable in entries else "is missing"
            refuse(f"{variable!r} {word}", "exactly " + ", ".join(group.attrs[ORDER]))
    for variable, (dims, values) in entries.items():
        array = arrays[variable]
        stored_dims = dims_of(array)
        if dims != stored_dims:
            refuse(f"{variable!r} has dims {dims}", f"dims {stored_dims}")
        held = empty_like(array) if dims else read_array(array)
        if kind_of(values) != kind_of(held):
            refuse(f"{variable!r} holds {kind_of(values)} values", f"{kind_of(held)} values")
        units, stored = dataset[variable].attrs.get("units"), attrs_of(array).get("units")
        if units != stored:
            refuse(f"{variable!r} comes in {units!r}", f"the stored {stored!r}")
        if along not in dims and GROWING not in dims and not _same(values, read_array(array)):
            refuse(f"{variable!r} has changed", "the values that it began with")
        for dim, size in zip(dims, array.shape, strict=True):
            if dim not in (along, GROWING) and dataset.sizes[dim] != size:
                refuse(f"{variable!r} has {dataset.sizes[dim]} along {dim!r}", f"{size}")
            if dim == GROWING and GROWING not in entries and dataset.sizes[dim] != size:
                refuse(f"{dim!r} has {dataset.sizes[dim]} places without names",
                       f"{size}, or a coordinate {dim!r}")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=kind_of(one) in ("number", "stamp", "duration"))


def _join_nodes(arrays: dict[str, zarr.Array], dataset: xr.Dataset, along: str) -> np.ndarray | None:
    """Grow the node axis by names that are new; the place of each of the dataset's nodes, None where they are
    the ledger's own (or have no names).
    """
    if GROWING not in dataset.coords or along == GROWING or dataset[GROWING].dims != (GROWING,):
        return None
    names, held = dataset[GROWING].values, read_array(arrays[GROWING])
    if np.array_equal(names.astype(str), held):
        return None
    places = {name: place for place, name in enumerate(held.tolist())}
    new = [name for name in names.tolist() if name not in places]
    places |= {name: len(held) + at for at, name in enumerate(new)}
    columns = np.array([places[name] for name in names.tolist()], dtype=np.intp)
    if new:
        for variable, array in arrays.items():
            dims = dims_of(array)
            if GROWING not in dims:
                continue
            array.resize(tuple(len(places) if dim == GROWING else size
                               for dim, size in zip(dims, array.shape, strict=True)))
            if along not in dims:
                values = read_array(array)
                place: list[slice | np.ndarray] = [slice(None)] * len(dims)
                wide = values.astype(object) if kind_of(values) == "text" else values  # a longer name is not cut
                place[dims.index(GROWING)] = columns
                wide[tuple(place)] = dataset[variable].values
                write_array(array, ..., wide)
    return columns


def _append(array: zarr.Array, dims: tuple[str, ...], values: np.ndarray, along: str,
            columns: np.ndarray | None) -> None:
    axis = dims.index(along)
    count, total = array.shape[axis], array.shape[axis] + values.shape[axis]
    array.resize(tuple(total if at == axis else size for at, size in enumerate(array.shape)))
    place: list[Any] = [slice(None)] * len(dims)
    place[axis] = slice(count, total)
    if columns is not None and GROWING in dims:
        wide = missing_like(array, tuple(size if dim != along else values.shape[axis]
                                         for dim, size in zip(dims, array.shape, strict=True)))
        wide[tuple(columns if dim == GROWING else slice(None) for dim in dims)] = values
        values = wide
    write_array(array, tuple(place), values)
