"""Tensors for the native model: a panel on its clock, and the inputs seen from an issue time.

Training and forecasting build their inputs by the same function, so that a training window looks like a live one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from terracast.stats.calendar import circle, phases
from terracast.stfm.mlp.scales import Scale

SUMMARIES = 5
COARSENING = 6  # a patch at age a spans a // COARSENING steps: fine where it is recent, coarse where it is old


@dataclass(frozen=True)
class InputLayout:
    """What goes into the model and what comes out, in steps.

    ``past`` are drivers read at ``offsets`` steps before the issue time; ``future`` those whose rows after it may be
    read too. ``yearly`` adds the day of year, which only panels of two years and more can teach.
    """

    lookback: int
    horizon: int
    quantiles: tuple[float, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    offsets: tuple[int, ...] = (0, 1, 3, 6, 12, 24, 48, 72)
    yearly: bool = False

    @property
    def drivers(self) -> tuple[str, ...]:
        """All drivers, past ones first."""
        return self.past + self.future

    @property
    def reach(self) -> int:
        """Rows of history needed, the issue time's own included."""
        return max(self.lookback, max(self.offsets) + 1 if self.drivers else 0)

    @property
    def patches(self) -> tuple[tuple[int, int], ...]:
        """The lookback cut into patches (youngest age, age after the oldest), youngest first.

        >>> InputLayout(lookback=16, horizon=1, quantiles=(0.5,)).patches[-4:]
        ((10, 11), (11, 12), (12, 14), (14, 16))
        """
        found, age = [], 0
        while age < self.lookback:
            after = min(age + max(1, age // COARSENING), self.lookback)
            found.append((age, after))
            age = after
        return tuple(found)

    @property
    def inputs(self) -> int:
        """Length of an input vector."""
        driver = 2 * len(self.offsets) * len(self.drivers) + 2 * self.horizon * len(self.future)
        return 4 * len(self.patches) + SUMMARIES + 6 + 2 * self.yearly + driver


@dataclass(frozen=True)
class InputTable:
    """A panel on a regular clock: ``target`` (time, node) in z, ``network`` (time,) its mean over known nodes,
    ``drivers`` (driver, time, node) in z, ``calendar`` (time, 6 or 8); NaN where not known."""

    target: torch.Tensor
    network: torch.Tensor
    drivers: torch.Tensor
    calendar: torch.Tensor


@dataclass(frozen=True)
class Hidden:
    """What a window must not see though the table holds it: ``target`` and ``network`` (window, lookback) and
    ``drivers`` (window, driver, offset), True = hidden."""

    target: torch.Tensor
    network: torch.Tensor
    drivers: torch.Tensor


def calendar(times: np.ndarray, yearly: bool) -> np.ndarray:
    """Circles of the hour (two harmonics), the weekday and, if asked, the day of year; shape (time, 6 or 8)."""
    day, week, year = phases(times)
    turns = [circle(day), circle(day, 2), circle(week)] + [circle(year)] * yearly
    return np.concatenate(turns, axis=1)


def table_of(target: np.ndarray, drivers: np.ndarray, scale: Scale, driver_scale: Scale, times: np.ndarray,
             yearly: bool) -> InputTable:
    """Scale arrays (time, node) and (driver, time, node) and wrap them as tensors."""
    z = scale.into(np.where(np.isfinite(target), target, np.nan))
    known = np.isfinite(z)
    with np.errstate(invalid="ignore"):
        network = np.where(known, z, 0.0).sum(axis=1) / known.sum(axis=1)
    moved = np.moveaxis(drivers, 0, -1)  # scales are per driver, pooled over nodes
    outside = np.moveaxis(driver_scale.into(moved), -1, 0)
    arrays = (z, network, outside, calendar(times, yearly))
    return InputTable(*(torch.from_numpy(np.ascontiguousarray(array, dtype="float32")) for array in arrays))


def inputs_at(table: InputTable, layout: InputLayout, rows: torch.Tensor, nodes: torch.Tensor,
              hidden: Hidden) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs of the windows that end at ``rows`` (issue times) for ``nodes``, both of shape (window,).

    Returns the input vectors (window, layout.inputs), the target's patches relative to the level (window, patch) and
    the level (window,): the last known z, the network's where the node is silent, else 0 (the node's centre).
    """
    back = rows[:, None] + torch.arange(1 - layout.lookback, 1)
    target, network = table.target[back, nodes[:, None]], table.network[back]
    target = target.masked_fill(hidden.target, math.nan)
    network = network.masked_fill(hidden.network, math.nan)
    known, around_known = ~target.isnan(), ~network.isnan()
    own, own_age, has_own = _last(target, known)
    around, around_age, has_around = _last(network, around_known)
    level = torch.where(has_own, own, torch.where(has_around, around, 0.0))
    target = torch.where(known, target - level[:, None], 0.0)
    network = torch.where(around_known, network - level[:, None], 0.0)
    pairs = known[:, 1:] & known[:, :-1]
    moves = (torch.diff(target).abs() * pairs).sum(1) / pairs.sum(1).clamp(min=1)
    summary = torch.stack([level, torch.where(has_around, around - level, 0.0), own_age, around_age, moves], 1)
    patching = _patching(layout)
    own_patches, own_gaps = _patched(target, known, patching)
    around_patches, around_gaps = _patched(network, around_known, patching)
    parts = [own_patches, own_gaps, around_patches, around_gaps, summary, table.calendar[rows]]
    if layout.drivers:
        parts += _driver_inputs(table, layout, rows, nodes, hidden)
    return torch.cat(parts, 1), own_patches, level


def _last(values: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Last known value of each row of ``values``, its age (log), and whether there is one."""
    length = values.shape[1]
    last = (known * torch.arange(1, length + 1)).amax(1)
    has = last > 0
    value = values.gather(1, (last - 1).clamp(min=0)[:, None])[:, 0]
    return value, torch.log1p((length - last).float()) / 3, has


@lru_cache(maxsize=16)
def _patching(layout: InputLayout) -> torch.Tensor:
    """The map (lookback, patch) that sums a window, oldest step first, over each patch."""
    ages = torch.arange(layout.lookback - 1, -1, -1)[:, None]
    edges = torch.tensor(layout.patches)
    return ((ages >= edges[:, 0]) & (ages < edges[:, 1])).float()


def _patched(values: torch.Tensor, known: torch.Tensor, patching: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over the known steps of each patch (0 where none), and the share of steps not known."""
    counts = known.float() @ patching
    return values @ patching / counts.clamp(min=1), 1 - counts / patching.sum(0)


def _driver_inputs(table: InputTable, layout: InputLayout, rows: torch.Tensor, nodes: torch.Tensor,
                   hidden: Hidden) -> list[torch.Tensor]:
    offsets = rows[:, None] - torch.tensor(layout.offsets)
    window = table.drivers[:, offsets, nodes[:, None]].transpose(0, 1)  # (window, driver, offset)
    window = window.masked_fill(hidden.drivers, math.nan)
    usual = window.nanmean(2, keepdim=True)  # relative to it, a season not in the training year is not foreign
    parts = [(window - usual).nan_to_num(0.0).flatten(1), window.isnan().float().flatten(1)]
    if layout.future:
        ahead = rows[:, None] + torch.arange(1, layout.horizon + 1)
        coming = table.drivers[len(layout.past):][:, ahead, nodes[:, None]].transpose(0, 1)
        silent = hidden.drivers[:, len(layout.past):].all(2)  # as a whole: it has no forecast either
        coming = coming.masked_fill(silent[:, :, None], math.nan)
        parts += [coming.nan_to_num(0.0).flatten(1), coming.isnan().float().flatten(1)]
    return parts
