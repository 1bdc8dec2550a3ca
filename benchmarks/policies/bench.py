"""The bench of policies: a row for each base, policy and peer on each stream, and geometric means by dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terracast.adapt.evaluation.scores import crps, inside, level
from terracast.adapt.promotion.policy import DEFAULT as POLICY
from terracast.benchmarks.policies.live import LiveStream, PolicyBenchError
from terracast.benchmarks.policies.peers import peers_of
from terracast.benchmarks.policies.served import SHOWN, served_by
from terracast.benchmarks.policies.streams import STREAMS, Half, Stream
from terracast.stfm.bases import DEFAULT as BASE
from terracast.stfm.forecaster import QUANTILES

NAIVE, PLAIN = "seasonal-naive", ("seasonal-naive", "last-value", "ridge", "boosted-trees")
FEWEST_PAIRS = 20  # issues × nodes of a month whose coverage counts
TOLERATED = 1.02  # times the best plain peer's error

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Losses:
    """Absolute error, CRPS and hits of the 80 % interval (issue, lead, node); NaN where no label came."""

    error: np.ndarray
    crps: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, quantiles: np.ndarray, labels: np.ndarray) -> Losses:
        """Of quantiles (issue, lead, node, quantile) beside what came."""
        return cls(np.abs(labels - level(quantiles, QUANTILES, 0.5)), crps(quantiles, labels, QUANTILES),
                   inside(quantiles, labels, QUANTILES))

    def by_node(self) -> np.ndarray:
        """Mean absolute error (node,)."""
        known = np.isfinite(self.error)
        return np.where(known, self.error, 0.0).sum(axis=(0, 1)) / np.maximum(known.sum(axis=(0, 1)), 1)

    def worst_month(self, months: np.ndarray) -> float | None:
        """The least coverage of a calendar month of issues with ``FEWEST_PAIRS`` scored issue × node pairs."""
        found = []
        for month in np.unique(months):
            hits = self.hits[months == month]
            if np.isfinite(hits).any(axis=1).sum() >= FEWEST_PAIRS:
                found.append(float(np.nanmean(hits)))
        return min(found, default=None)


@dataclass(frozen=True)
class PolicyBench:
    """``streams`` of ``folder``, each with these ``bases`` and all policies, beside the peers."""

    folder: Path
    bases: tuple[str, ...] = (BASE,)
    streams: Sequence[Stream] = STREAMS

    def answer(self, command: str, progress: Progress = lambda done: None,
               told: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
        """The bench's one form; streams whose file is not in the folder are named in the summary."""
        rows: list[dict[str, Any]] = []
        missing = []
        for stream in self.streams:
            path = stream.file_in(self.folder)
            if path is None:
                missing.append(f"{stream.data}: {stream.target}")
            else:
                rows += (found := self.rows(LiveStream.of(stream, path)))
                told(_line(found))
            progress(1)
        if not rows:
            raise PolicyBenchError("no file of the table of streams", where=str(self.folder), expected=", ".join(
                dict.fromkeys(stream.data for stream in self.streams)), remedy="give the folder that holds them")
        return {"bench": "policies", "data": str(self.folder), "protocol": {
            "bases": list(self.bases), "policies": list(SHOWN), "labels": "matured only", "refit": "monthly"},
            "rows": rows, "summary": summary(rows) | {"not_found": missing}, "command": command}

    def rows(self, live: LiveStream) -> list[dict[str, Any]]:
        """Rows of one stream: bases with policies, then the peers."""
        said: dict[tuple[str, str], tuple[np.ndarray, float]] = {}
        for name in self.bases:
            base = live.forecasts_of(name)
            for policy in SHOWN:
                served = served_by(live, policy, base)
                said[name, policy] = served.quantiles, served.seconds + base.seconds
        said |= {("", name): (served.quantiles, served.seconds) for name, served in peers_of(live).items()}
        losses = {key: Losses.of(quantiles, live.labels) for key, (quantiles, _) in said.items()}
        return [self._row(live, key, losses, said[key][1]) for key in said]

    def _row(self, live: LiveStream, key: tuple[str, str], losses: Mapping[tuple[str, str], Losses],
             seconds: float) -> dict[str, Any]:
        own, naive = losses[key], losses["", NAIVE]
        frozen = losses[key[0] or self.bases[0], "frozen"]
        months = live.panel["time"].values[live.issues].astype("datetime64[M]")
        mae, mean_crps = (float(np.nanmean(one)) for one in (own.error, own.crps))
        return {"data": live.stream.data, "target": live.stream.target, "half": live.stream.half, "base": key[0],
                "policy": key[1], "mae": mae, "crps": mean_crps, "mae_to_naive": _ratio(mae, np.nanmean(naive.error)),
                "mae_to_frozen": _ratio(mae, np.nanmean(frozen.error)),
                "crps_to_naive": _ratio(mean_crps, np.nanmean(naive.crps)),
                "crps_to_frozen": _ratio(mean_crps, np.nanmean(frozen.crps)), "coverage80": float(np.nanmean(own.hits)),
                "coverage80_worst_month": own.worst_month(months),
                "worst_node_ratio": float(np.max(own.by_node() / np.maximum(frozen.by_node(), 1e-12))),
                "cpu_seconds": seconds} | ({"default": True} if key == (BASE, POLICY) else {})


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For each half: geometric means over datasets of the default's ratios, and how it stands to the best plain
    peer of each stream."""
    halves: tuple[Half, ...] = ("decides", "confirms")
    return {half: _half([row for row in rows if row["half"] == half]) for half in halves
            if any(row["half"] == half for row in rows)}


def _half(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row.get("default")]
    to_best = {}
    for row in own:
        peers = {other["policy"]: other["mae"] for other in rows if other["policy"] in PLAIN
                 and (other["data"], other["target"]) == (row["data"], row["target"])}
        best = min(peers, key=lambda name: peers[name])
        to_best[f"{row['data']}: {row['target']}"] = (_ratio(row["mae"], peers[best]), best)
    ratios = [ratio for ratio, _ in to_best.values()]
    means = {name: by_dataset(own, name) for name in ("mae_to_naive", "mae_to_frozen", "crps_to_naive",
                                                      "crps_to_frozen")}
    return {"streams": len(own), **means, "share_better_than_best_peer": float(np.mean([one < 1 for one in ratios])),
            "worst_to_best_peer": max(ratios), "worst_node_ratio": max(row["worst_node_ratio"] for row in own),
            "behind": {name: f"{ratio:.3f} of {best}" for name, (ratio, best) in to_best.items() if ratio > TOLERATED},
            "least_month": min((row["coverage80_worst_month"] for row in own
                                if row["coverage80_worst_month"] is not None), default=None)}


def by_dataset(rows: Iterable[Mapping[str, Any]], name: str) -> float:
    """The geometric mean over datasets of the geometric mean over their streams.

    >>> by_dataset([{"data": "a", "x": 1.0}, {"data": "a", "x": 4.0}, {"data": "b", "x": 8.0}], "x")
    4.0
    """
    logs: dict[str, list[float]] = {}
    for row in rows:
        logs.setdefault(row["data"], []).append(float(np.log(row[name])))
    return float(np.exp(np.mean([np.mean(one) for one in logs.values()])))


def _ratio(error: float, other: float) -> float:
    return float(error / max(float(other), 1e-12))


def _line(rows: Sequence[Mapping[str, Any]]) -> str:
    """One stream in a line."""
    told = "; ".join(f"{row['base'] + ' ' if row['base'] else ''}{row['policy']} {row['mae']:.4g}" for row in rows)
    return f"{rows[0]['data']} {rows[0]['target']}: {told}"
