"""Windows cut from a scene: everything the network reads, in units of the node, and nothing known later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from terracast.stats.robust_scale import interdecile_scale
from terracast.stfm.base.baselines import read
from terracast.stfm.base.panel_tensors import PanelTensors

CONTEXT = 512  # steps that become tokens
MEMORY = 1536  # steps that the closed-form readings look at
PATCH = 32
TOUCHED = 0.02
FARTHEST = 30.0  # |z| is clipped here: a sensor that shows 10,000 times its range must not blind the network


@dataclass(frozen=True)
class WindowTensors:
    """What the network reads of one issue time of N nodes; C context patches, F future patches of PATCH steps.

    ``values``, ``known``, ``rest``: (N, C, PATCH); ``circles``: (C + F, features); ``readings``: (N, reading,
    F * PATCH); ``available``: (N, reading); ``spread``: (N, F * PATCH); ``statistics``: (N, STATISTICS);
    ``drivers``, ``drivers_known``: (N, driver, C + F, PATCH); ``neighbours``, ``near``, ``offsets`` as in
    ``Places``.
    """

    values: torch.Tensor
    known: torch.Tensor
    rest: torch.Tensor
    circles: torch.Tensor
    readings: torch.Tensor
    available: torch.Tensor
    spread: torch.Tensor
    statistics: torch.Tensor
    drivers: torch.Tensor
    drivers_known: torch.Tensor
    neighbours: torch.Tensor
    near: torch.Tensor
    offsets: torch.Tensor


@dataclass(frozen=True)
class Window(WindowTensors):
    """One issue time, and the way back to the panel's units.

    ``centre``, ``width``: (N,): value = centre + width * z; ``floor``, ``ceiling``: (N,) bounds that the values have
    touched often, else infinite; ``constant`` (N,): of which rows all known values are one, three at least.
    """

    centre: np.ndarray
    width: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray
    constant: np.ndarray


def cut(scene: PanelTensors, row: int, horizon: int, hidden: np.ndarray | None = None, memory: int = MEMORY) -> Window:
    """The window of ``scene`` with ``row`` as issue time, for ``horizon`` steps after it.

    ``hidden`` (node, memory) marks values that are to be taken as not known (training on gaps); ``memory`` limits
    the steps read. Rows after ``row`` are not read, but for drivers whose future is known.
    """
    start = max(0, row + 1 - memory)
    past = scene.target[:, start:row + 1]
    if hidden is not None:
        past = np.where(hidden[:, -past.shape[1]:], np.nan, past)
    past = past[:, int(np.isfinite(past).any(0).argmax()):]  # what nobody knows is no history
    centre, width = units(past)
    z = ((past - centre[:, None]) / width[:, None]).clip(-FARTHEST, FARTHEST)
    patches = -(-horizon // PATCH)
    length = patches * PATCH
    readings = read(z, length, scene.step, scene.places.neighbours, scene.places.near)
    context = _tail(z, CONTEXT)
    known = np.isfinite(context)
    drivers = _drivers(scene, row, length)
    span = np.arange(row + 1 - CONTEXT, row + 1 + length)
    circles = scene.circles[span.clip(0, len(scene.circles) - 1)]
    circles = circles.reshape(-1, PATCH, circles.shape[1])[:, PATCH // 2]
    shaped = (len(z), CONTEXT // PATCH, PATCH)
    places = scene.places
    return Window(
        _tensor(np.arcsinh(np.nan_to_num(context)).reshape(shaped)), _tensor(known.reshape(shaped)),
        _tensor(np.arcsinh(np.nan_to_num(_tail(readings.rest, CONTEXT))).reshape(shaped)), _tensor(circles),
        _tensor(readings.values), torch.from_numpy(readings.available), _tensor(readings.spread),
        _tensor(readings.statistics), _tensor(np.arcsinh(np.nan_to_num(drivers))), _tensor(np.isfinite(drivers)),
        torch.from_numpy(places.neighbours), torch.from_numpy(places.near), _tensor(places.offsets), centre, width,
        *bounds(past))


def units(past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (median) and width of each row: its 10-90 % range as a normal's sigma, helped where that says little.

    A row that is mostly one value takes its standard deviation; one that never changed, or was never seen, the
    typical width of the others, else 1. Never a division by nothing: a stuck sensor keeps a width."""
    known = np.isfinite(past)
    seen = known.any(1)
    filled = np.where(seen[:, None], past, 0.0)
    centre, width = interdecile_scale(filled, axis=1)
    width = np.maximum(width, 0.2 * np.nanstd(filled, axis=1))
    tiny = 1e-6 * np.maximum(np.abs(centre), 1e-6)
    varied = seen & (width > tiny)
    typical = float(np.median(width[varied])) if varied.any() else 1.0
    few = known.sum(1) < 8
    width = np.where(varied & ~few, width, np.where(few, np.maximum(width, typical), 0.1 * typical))
    if seen.any():  # of a node never seen, only this is known: that it may be like any other
        width = np.where(seen, width, np.hypot(typical, np.std(centre[seen])))
        centre = np.where(seen, centre, np.median(centre[seen]))
    return centre.astype("float32"), np.maximum(width, 1e-12).astype("float32")


def bounds(past: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least and the largest value of each row where it was met in TOUCHED of the known steps, else infinite; and
    which rows never moved: they have no bounds.

    Rain stops at 0 and humidity at 100: a forecast need not go beyond; a temperature that never fell below 3 may.
    """
    found = []
    count = np.maximum(np.isfinite(past).sum(1), 1)
    for sign in (1, -1):
        least = np.where(np.isfinite(past), sign * past, np.inf).min(1)
        touched = (sign * past == least[:, None]).sum(1) >= np.maximum(TOUCHED * count, 3)
        found.append(np.where(touched & np.isfinite(least), sign * least, -sign * np.inf))
    stuck = found[0] == found[1]
    return np.where(stuck, -np.inf, found[0]), np.where(stuck, np.inf, found[1]), stuck


def _drivers(scene: PanelTensors, row: int, length: int) -> np.ndarray:
    """Drivers in units of their own, moved later by their lag, (node, driver, patch, PATCH): at a stamp stands what
    acts on it. NaN after the last value that was known at the issue time."""
    nodes, count = len(scene.target), len(scene.drivers)
    found = np.full((count, nodes, CONTEXT + length), np.nan, "float32")
    for place, (lag, future) in enumerate(zip(scene.lags, scene.future, strict=True)):
        source = np.arange(row + 1 - CONTEXT, row + 1 + length) - lag
        readable = (source >= 0) & (source < scene.drivers.shape[2]) & (future | (source <= row))
        found[place][:, readable] = scene.drivers[place][:, source[readable]]
        centre, width = units(scene.drivers[place][:, max(0, row + 1 - CONTEXT):row + 1])
        found[place] = ((found[place] - centre[:, None]) / width[:, None]).clip(-FARTHEST, FARTHEST)
    return found.transpose(1, 0, 2).reshape(nodes, count, (CONTEXT + length) // PATCH, PATCH)


def _tail(values: np.ndarray, length: int) -> np.ndarray:
    """The last ``length`` columns, NaN before the first."""
    found = np.full((len(values), length), np.nan, "float32")
    have = min(length, values.shape[1])
    found[:, length - have:] = values[:, values.shape[1] - have:]
    return found


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype="float32"))


