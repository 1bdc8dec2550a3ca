"""The integrity check of one domain: its axes, its first reports, its revisions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import zarr

from terracast.streams.storage.arrays import read_array, safe_name
from terracast.streams.storage.findings import Finding, read_rows, row_blocks, unreadable_rows
from terracast.streams.storage.ledger import arrays_of
from terracast.streams.storage.observations import POSITIONS, StoredDomain

RESTORE = "restore an earlier snapshot"
COLUMNS = ("time", "node", "variable", "value", "known_time", "latest_time")


def check_domain(root: zarr.Group, domain: str) -> Iterator[Finding]:
    """What is wrong with a domain; each value is read once."""
    where, held = f"observations/{domain}", StoredDomain(root, domain)
    missing = [name for name in ("time", "node", "known_time", *held.variables) if name not in held.arrays]
    if missing:
        yield Finding("missing: " + ", ".join(missing), where, RESTORE)
        return
    for name in set(held.arrays) - {"time", "node", "known_time", *POSITIONS, *held.facts, *held.variables}:
        yield Finding(f"{name!r} is no variable of the domain", where, RESTORE)
    shape = (held.arrays["time"].shape[0], held.arrays["node"].shape[0])
    misshapen = {name: held.arrays[name].shape for name in held.timed_arrays() if held.arrays[name].shape != shape}
    for name, other in misshapen.items():
        yield Finding(f"{name!r} has shape {other}, time and node have {shape}", where, RESTORE)
    if misshapen:
        return
    axes = [found for name in ("time", "node") for found in unreadable_rows(held.arrays[name], where)]
    yield from axes
    if axes:
        return
    yield from _check_axes(held, where)
    revisions, found = _revisions(root, held)
    yield from found
    yield from _check_values(held, where, revisions)
    for name in POSITIONS if held.position_dims() == ("node",) else ():
        yield from unreadable_rows(held.arrays[name], where)


def _check_axes(held: StoredDomain, where: str) -> Iterator[Finding]:
    time, nodes = held.time, held.nodes
    if np.isnat(time).any():
        yield Finding(f"a stamp is missing at row {int(np.flatnonzero(np.isnat(time))[0])}", where, RESTORE)
    wrong = np.flatnonzero(np.diff(time.astype(np.int64)) <= 0)
    if len(wrong):
        yield Finding(f"time goes backwards or stands still at row {int(wrong[0]) + 1} ({time[wrong[0] + 1]})", where,
                      RESTORE)
    off = np.zeros(len(time), bool) if np.isnat(time).any() else held.clock.nearest(time) != time
    if off.any():
        yield Finding(f"{int(off.sum())} stamps are off the domain's clock, the first: {time[off][0]}", where, RESTORE)
    names, counts = np.unique(nodes, return_counts=True)
    if (counts > 1).any():
        yield Finding(f"node {str(names[counts > 1][0])!r} is there twice", where, RESTORE)


def _check_values(held: StoredDomain, where: str, revisions: dict[str, np.ndarray]) -> Iterator[Finding]:
    """Known times and values, a chunk's rows at a time."""
    names = [name for name in held.timed_arrays() if name != "known_time"]
    early = silent = infinite = unfounded = 0
    revised_rows = np.searchsorted(held.time, revisions["time"])
    for rows in row_blocks(held.arrays["known_time"]):
        known, found = read_rows(held.arrays["known_time"], where, rows)
        yield from found
        if known is not None:
            early += int((known < held.time[rows, None]).sum())  # NaT compares False
            inside = (revised_rows >= rows.start) & (revised_rows < rows.stop)
            first = known[revised_rows[inside] - rows.start, revisions["node"][inside]]
            unfounded += int((~(first < revisions["known_time"][inside])).sum())  # NaT counts
        for name in names:
            values, found = read_rows(held.arrays[name], where, rows)
            yield from found
            if values is not None:
                infinite += int(np.isinf(values).sum())
                silent += int((~np.isnan(values) & np.isnat(known)).sum()) if known is not None else 0
    told = {f"{early} reports are known before their own time": early, f"{infinite} values are infinite": infinite,
            f"{silent} values have no known time": silent,
            f"{unfounded} revisions do not come after a first report": unfounded}
    yield from (Finding(what, where, RESTORE) for what, count in told.items() if count)


def _revisions(root: zarr.Group, held: StoredDomain) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """The revisions that are about cells of the domain, and what is wrong with the ledger."""
    none = {"time": np.zeros(0, "M8[ns]"), "node": np.zeros(0, int), "known_time": np.zeros(0, "M8[ns]")}
    where, path = f"revisions/{held.domain}", f"revisions/{safe_name(held.domain)}"
    if path not in root:
        return none, []
    arrays = arrays_of(root[path])
    lengths = {name: arrays[name].shape[0] for name in COLUMNS if name in arrays}
    if set(lengths) != set(COLUMNS) or len(set(lengths.values())) != 1:
        return none, [Finding(f"columns do not agree: {lengths}", where, RESTORE)]
    findings = [found for name in COLUMNS for found in unreadable_rows(arrays[name], where)]
    if findings:
        return none, findings
    table = {name: read_array(arrays[name]) for name in COLUMNS}
    if (table["latest_time"] != np.maximum.accumulate(table["time"])).any():
        findings.append(Finding("the index of times does not fit the entries", where, RESTORE))
    held_cells = np.isin(table["time"], held.time)
    held_cells &= (table["node"] >= 0) & (table["node"] < len(held.nodes))
    held_cells &= (table["variable"] >= 0) & (table["variable"] < len(held.variables))
    if not held_cells.all():
        count = int((~held_cells).sum())
        findings.append(Finding(f"{count} entries are about rows, nodes or variables not held", where, RESTORE))
    return {name: values[held_cells] for name, values in table.items()}, findings
