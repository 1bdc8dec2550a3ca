"""Bench of quality: which label each planted fault gets, and how often clean data are labelled falsely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.streams.quality_faults import HOURS, Planted, plant
from terracast.streams.quality import QualitySettings, judge, learn
from terracast.streams.quality.labels import LABELS, PRECEDENCE, bit
from terracast.streams.quality.reference import Reference
from terracast.streams.quality.units import alternatives
from terracast.streams.quality.windows import run_length

FACTS = ("missing", "outage", "late", "backfilled", "revised")  # told by gaps and known times, not judged
COVERED = 0.25  # of the fault's cells: a label that has fewer is beside the point
NONE = "(none)"
MONTH_HOURS = 730.5


@dataclass(frozen=True)
class QualityBench:
    """One background: a panel with ``known_time``; ``learned`` days to learn from, then ``judged`` days in
    which faults are planted, again and again every ``judged`` days. ``variables`` and every ``every``-th node
    take turns.
    """

    panel: xr.Dataset
    variables: tuple[str, ...]
    fault_types: tuple[str, ...] = tuple(HOURS)
    learned: int = 90
    judged: int = 30
    every: int = 3
    seed: int = 0
    settings: QualitySettings = field(default_factory=QualitySettings)

    def parts(self) -> list[tuple[Reference, xr.Dataset, np.datetime64]]:
        """For each round: what was learned, the panel with context, and the first stamp that is judged."""
        time, day = self.panel["time"].values, np.timedelta64(24, "h")
        found, start = [], time[0] + self.learned * day
        while start + self.judged * day <= time[-1]:
            past = self.panel.sel(time=slice(start - self.learned * day, start - np.timedelta64(1, "ns")))
            part = self.panel.sel(time=slice(start - 10 * day, start + self.judged * day - np.timedelta64(1, "ns")))
            found.append((learn(past[list(self.variables)], self.settings), part[list(self.variables)], start))
            start += self.judged * day
        return found


def given_label(found: Planted, clean: xr.Dataset, flags: xr.Dataset) -> str:
    """The label that the fault got: of those new in its cells the first in order of precedence that has a
    quarter of them, else the most frequent.
    """
    cells = flags["time"].values[:, None] == found.panel["time"].values[found.rows][None, :]
    rows = cells.any(axis=1)
    name, node = found.variable, found.node
    new = flags[name].values[rows, node] & ~clean[name].values[rows, node]
    counts = {label: int((new & bit(label) > 0).sum()) for label in LABELS}
    for label in PRECEDENCE:
        if counts[label] and counts[label] >= COVERED * len(new):
            return label
    best = max(LABELS, key=lambda label: counts[label])
    return best if counts[best] else NONE


def matrix(bench: QualityBench, progress: Callable[[int], None] = lambda done: None) -> list[dict[str, Any]]:
    """One row per planted fault: type, label given, variable, node, start."""
    rows: list[dict[str, Any]] = []
    random = np.random.default_rng(bench.seed)
    for reference, part, start in bench.parts():
        clean = judge(part, reference=reference, since=start, settings=bench.settings).hindsight()
        first = int(np.searchsorted(part["time"].values, start))
        nodes = range(0, part.sizes["node"], bench.every)
        for fault_type, node, variable in product(bench.fault_types, nodes, bench.variables):
            at = first + int(random.integers(24, 24 * (bench.judged - 16)))
            if not possible(part, clean, fault_type, node, variable):
                continue
            planted = plant(part, fault_type, variable, node, at, random)
            seen = planted.panel if fault_type == "clock" else planted.panel[[variable]]
            flags = judge(seen, reference=reference, since=start, settings=bench.settings,
                          revisions=planted.revisions).hindsight()
            rows.append({"planted": fault_type, "label": given_label(planted, clean, flags), "variable": variable,
                         "node": str(part["node"].values[node]),
                         "start": str(part["time"].values[planted.rows.start])[:16]})
            progress(1)
    return rows


def possible(part: xr.Dataset, clean: xr.Dataset, fault_type: str, node: int, variable: str) -> bool:
    """Whether the fault can be planted: no unit without a known other, no copy of what is a copy already, and
    nothing where the node is silent half of the time.
    """
    attrs = part[variable].attrs
    if float(part[variable].isel(node=node).isnull().mean()) > 0.5:
        return False
    if fault_type == "unit":
        return bool(alternatives(attrs["units"], attrs.get("standard_name", "")))
    return fault_type != "duplicated" or not bool((clean[variable].values[:, node] & bit("duplicated")).any())


def confusion(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Share of each planted type (rows) that got each label (columns)."""
    table = pd.DataFrame(rows)
    counted = pd.crosstab(table["planted"], table["label"], normalize="index")
    fault_types = [fault_type for fault_type in HOURS if fault_type in counted.index]
    labels = fault_types + [label for label in (*LABELS, NONE) if label in counted.columns and label not in fault_types]
    return counted.reindex(index=fault_types, columns=labels, fill_value=0.0).round(2)


def false_labels(bench: QualityBench) -> dict[str, float]:
    """Events of each judged label per node, variable and month on the panel as it is (events a day apart)."""
    events, months = dict.fromkeys((one for one in LABELS if one not in FACTS), 0), 0.0
    for reference, part, start in bench.parts():
        flags = judge(part, reference=reference, since=start, settings=bench.settings).hindsight()
        months += len(flags["time"]) * part.sizes["node"] * len(bench.variables) / MONTH_HOURS
        for name in bench.variables:
            for label in events:
                held = (flags[name].values & bit(label)) > 0
                events[label] += int(begins(held, 24).sum())
    return {label: count / months for label, count in events.items()}


def begins(held: np.ndarray, apart: int) -> np.ndarray:
    """Cells at which an event begins: True after ``apart`` rows without."""
    quiet = run_length(~held)
    before = np.concatenate([np.full((1, held.shape[1]), apart), quiet[:-1]])
    started = np.arange(len(held))[:, None] < apart
    return np.asarray(held & ((before >= apart) | (started & (before == np.arange(len(held))[:, None]))))


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """The confusion table as text: planted faults down, labels across, shares of each row."""
    return str(confusion(rows).replace(0.0, "").to_string())


def answer(bench: QualityBench, data: str, rows: list[dict[str, Any]], rates: dict[str, float],
           command: str) -> dict[str, Any]:
    """The bench's one form; a row for each planted type with the share that got each label."""
    table = confusion(rows)
    diagonal = {fault_type: float(table.loc[fault_type, fault_type]) for fault_type in table.index}
    lines = [{"method": "terracast", "planted": fault_type, "faults": sum(row["planted"] == fault_type for row in rows),
              "found": diagonal[fault_type],
              **{f"as_{label}": float(share) for label, share in table.loc[fault_type].items() if share > 0}}
             for fault_type in table.index]
    judged = sum(rates.values())
    return {"bench": "quality", "data": data,
            "protocol": {"learned_days": bench.learned, "judged_days": bench.judged, "hours": HOURS,
                         "variables": list(bench.variables), "seed": bench.seed,
                         "from": str(bench.panel["time"].values[0])[:10],
                         "to": str(bench.panel["time"].values[-1])[:10]},
            "rows": lines,
            "summary": {"worst_diagonal": min(diagonal.values()), "mean_diagonal": float(np.mean([*diagonal.values()])),
                        "false_labels_per_node_month": judged,
                        **{f"false_{label}_per_node_month": rate for label, rate in rates.items()}},
            "command": command}
