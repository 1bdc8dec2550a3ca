"""Bench of the gate on real losses: how often it promotes an equal model, and how soon it accepts a better one.

Point forecasts of two experts at every row of a stream, scored over the horizon: their losses overlap, follow the
seasons and have heavy tails as losses in service do. Equal models: the two swapped at random in stretches of two to
nine horizons, so that neither is better in expectation. Better by 5 %: the champion's losses cut by that share, the
same with 10 % noise of its own on each horizon, and the champion's losses moved towards a much better expert's until
5 % are saved. The gate is asked at every row; its verdict is that of the first block with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts
from terracast.adapt.promotion.e_process_gate import EProcessGate
from terracast.benchmarks.adapt.cell import BenchError
from terracast.benchmarks.adapt.series import series_of

GAIN = 0.05


@dataclass(frozen=True)
class GateBench:
    """Losses (row, node) of the profile expert and of the mean of the ridges at every row of a stream."""

    profile: np.ndarray
    ridges: np.ndarray
    horizon: int
    weeks: float
    seed: int = 0

    @classmethod
    def of(cls, path: Path, target: str | None, horizon: int) -> GateBench:
        """Experts begin with the first quarter of the file."""
        series = series_of(path, target)
        values, first = series.values, len(series.values) // 4
        recipe = ExpertConfig.usual(series.season, horizon, first, values.shape[1])
        if len(values) - first < 80 * horizon:
            raise BenchError(f"{len(values)} rows", where=path.name, expected=f"{107 * horizon} or more",
                             remedy="give a longer file")
        experts = Experts.begin(values[:first], 0, horizon, recipe)
        losses = []
        for row in range(first, len(values) - horizon + 1):
            points = experts.points()
            said = np.stack([points[-1], points[:len(recipe.ridges)].mean(axis=0)])
            error = np.abs(said - values[row:row + horizon])
            there = np.isfinite(error).any(axis=1)
            count = np.maximum(np.isfinite(error).sum(axis=1), 1)
            losses.append(np.where(there, np.nansum(error, axis=1) / count, np.nan))
            experts.observe(values[row])
        stacked = np.stack(losses)
        return cls(stacked[:, 0], stacked[:, 1], horizon, float(horizon * (series.step / np.timedelta64(7, "D"))))

    def rows(self, trials: int = 300) -> list[dict[str, Any]]:
        """One row for equal models and one for each type of better one; weeks are medians over all trials."""
        draws, gate = np.random.default_rng(self.seed), EProcessGate(self.horizon)
        share = GAIN * np.nanmean(self.profile) / (np.nanmean(self.profile) - np.nanmean(self.ridges))
        noise = np.repeat(draws.normal(size=len(self.ridges) // self.horizon + 1), self.horizon)[:len(self.ridges)]
        rivals = {"5 % less": (self.ridges, (1 - GAIN) * self.ridges),
                  "5 % less, noisy": (self.ridges, (1 - GAIN) * self.ridges * (1 + 0.1 * noise[:, None])),
                  "moved to a better model": (self.profile, self.profile - share * (self.profile - self.ridges))}
        rows = [self._row("equal models", [gate.decide(*self._swapped(draws, gate)) for _ in range(trials)])]
        for name, (champion, challenger) in rivals.items():
            starts = draws.integers(0, len(champion) - gate.max_blocks * self.horizon, trials)
            parts = [slice(start, start + gate.max_blocks * self.horizon) for start in starts]
            rows.append(self._row(name, [gate.decide(champion[part], challenger[part]) for part in parts]))
        return rows

    def _swapped(self, draws: np.random.Generator, gate: EProcessGate) -> tuple[np.ndarray, np.ndarray]:
        length = gate.max_blocks * self.horizon
        start, swapped, row = int(draws.integers(0, len(self.profile) - length)), np.zeros(length, bool), 0
        while row < length:
            stretch = self.horizon * int(draws.integers(2, 10))
            swapped[row:row + stretch] = draws.random() < 0.5
            row += stretch
        one, other = self.profile[start:start + length], self.ridges[start:start + length]
        return np.where(swapped[:, None], other, one), np.where(swapped[:, None], one, other)

    def _row(self, challenger: str, decisions: list[Any]) -> dict[str, Any]:
        accepted = np.array([one.verdict == "accept" for one in decisions])
        weeks = np.where(accepted, [one.n / self.horizon * self.weeks for one in decisions], np.inf)
        median = float(np.median(weeks))
        return {"method": "terracast", "challenger": challenger, "accepted": float(accepted.mean()),
                "rejected": float(np.mean([one.verdict == "reject" for one in decisions])),
                "median_weeks": median if np.isfinite(median) else None, "trials": len(decisions)}
