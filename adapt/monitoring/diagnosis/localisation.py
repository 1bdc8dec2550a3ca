"""Where: the few nodes whose own change explains all that the neighbour residuals show."""

from __future__ import annotations

import numpy as np

CLOSE = 0.55  # weight of a neighbour that moves with a node as one
TOLD = 0.2  # weight by way of which a move echoes
ECHO = 0.4  # of the largest move among the nodes it is linked to: less is what the weights do not explain of that


def localise(moved: np.ndarray, weights: np.ndarray, noise: np.ndarray, start: np.ndarray, least: float = 0.5,
              ) -> dict[int, float]:
    """The nodes that changed and by how much, from how the local levels moved.

    A node that moves by m moves the residual of each neighbour by -m × its weight there: alarms spill over. So
    ``moved`` (node,) = (1 - W) m with few m other than 0, found greedily (matching pursuit: the node that explains
    most is taken, all taken are fitted again). What moved by less than ``ECHO`` of the nodes it is linked to is left
    out: weights are never exact, and of a large move more is left at the neighbours. ``noise`` (node,): what normal
    times move; ``start`` (node,) bool: where one may begin; ``least``: how much, in noise², the next node must
    explain. O(taken × node²).

    >>> weights = np.array([[0, .5, .5], [.5, 0, .5], [.5, .5, 0]])
    >>> localise((np.eye(3) - weights) @ np.array([2.0, 0, 0]), weights, np.full(3, .3), np.full(3, True))
    {0: 2.0}
    """
    seen = np.isfinite(moved) & np.isfinite(noise) & (noise > 0)
    effect = (np.eye(len(moved)) - weights)[seen] / noise[seen, None]
    left = target = moved[seen] / noise[seen]
    power = (effect**2).sum(axis=0)
    pairs = np.argwhere(np.triu(np.maximum(weights, weights.T) >= CLOSE, 1))
    both = effect[:, pairs[:, 0]] + effect[:, pairs[:, 1]]
    strong = np.maximum((both**2).sum(axis=0), 1e-12)
    taken: list[int] = []
    amounts = np.zeros(0)
    # Far from them a large network always has nodes that look moved by chance; what spills over, spills along weights.
    near = start | (weights[start] != 0).any(axis=0) | (weights[:, start] != 0).any(axis=1)
    allowed = start.copy()
    while len(taken) < len(moved) / 2:
        gain = np.where(allowed & (power > 0), (effect.T @ left) ** 2 / np.maximum(power, 1e-12), 0.0)
        best = [int(np.argmax(gain))]
        # Two close nodes that moved together hide each other: their outer neighbours would seem to have moved away.
        beside = np.where(allowed[pairs].any(axis=1) & ~np.isin(pairs, taken).any(axis=1),
                          (both.T @ left) ** 2 / strong, 0.0) if len(pairs) else np.zeros(1)
        if beside.max() > max(float(gain[best[0]]), least):
            best = pairs[int(np.argmax(beside))].tolist()
        elif gain[best[0]] < (least if taken else 1e-12):
            break
        taken += best
        allowed = near.copy()
        allowed[taken] = False
        amounts = np.linalg.lstsq(effect[:, taken], target, rcond=None)[0]
        left = target - effect[:, taken] @ amounts
    sizes = dict(zip(taken, np.abs(amounts).tolist(), strict=True))
    parts = linked(taken, np.where(np.abs(weights) >= TOLD, weights, 0.0))
    most = {node: max(sizes[one] for one in part) for part in parts for node in part}
    return {node: round(float(amount), 9) for node, amount in zip(taken, amounts, strict=True)
            if sizes[node] >= ECHO * most[node]}


def linked(nodes: list[int], weights: np.ndarray) -> list[list[int]]:
    """``nodes``, parted into those that are linked by weights, be it by way of others of them.

    >>> linked([0, 1, 2], np.array([[0, 0, .5], [0, 0, 0], [0, 0, 0]]))
    [[1], [0, 2]]
    """
    parts: list[list[int]] = []
    for node in nodes:
        beside = [part for part in parts if weights[node, part].any() or weights[part, node].any()]
        parts = [part for part in parts if part not in beside]
        parts.append([*(one for part in beside for one in part), node])
    return parts


def grown(region: dict[int, float], own: np.ndarray, weights: np.ndarray, near: float = 0.35, much: float = 0.85,
          ) -> dict[int, float]:
    """The region with the nodes inside it: those whose neighbours moved too show nothing against them.

    ``own`` (node,): how each node's own level moved. A node joins where at least the share ``near`` of its neighbours'
    weight lies in the region and its own level moved the same way, from the median of all, by ``much`` of the region's.

    >>> ring = np.roll(np.eye(7), 1, axis=0) / 2 + np.roll(np.eye(7), -1, axis=0) / 2
    >>> sorted(grown({0: 1.0, 2: 1.0}, np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), ring))
    [0, 1, 2]
    """
    joined = dict(region)
    if not joined:
        return joined
    size, middle = float(np.median(list(region.values()))), float(np.nanmedian(own))
    pull = np.abs(weights)
    total = np.maximum(pull.sum(axis=1), 1e-12)
    moved = (own - middle) * np.sign(size) > much * abs(size)
    while 2 * len(joined) < len(own):
        beside = pull[:, list(joined)].sum(axis=1) / total >= near
        more = [node for node in np.flatnonzero(beside & moved).tolist() if node not in joined]
        if not more:
            break
        joined.update({node: float(own[node] - middle) for node in more})
    return joined
