"""Names on a map that do not hide each other: greedy placement of boxes around points."""

from __future__ import annotations

import unicodedata

import numpy as np

# to the right first, then left, above, below, and the angles between
DIRECTIONS = np.deg2rad([0, 180, 270, 90, 315, 45, 225, 135,
                         337.5, 22.5, 202.5, 157.5, 292.5, 67.5, 247.5, 112.5])
RINGS = 14
MARGIN = 2.0


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif face of this size; full-width characters count double.

    >>> round(text_width("ab", 10)), round(text_width("北京", 10))
    (12, 20)
    """
    return sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.6 for sign in text) * size


def place_labels(points: np.ndarray, radius: float, sizes: np.ndarray,
                 bounds: tuple[float, float]) -> np.ndarray:
    """Centres of the label boxes, shape (point, 2); NaN where no free place was found.

    ``points`` (point, 2) are the circles' centres, in order of importance; ``sizes`` (point, 2) the boxes'
    width and height, a width of 0 asks for no label; ``bounds`` the canvas. No box overlaps a circle,
    another box or the edge. The nearest free place wins, to the right first. O(points² · 16 · 14) at worst.

    >>> place_labels(np.array([[50.0, 50.0]]), 5.0, np.array([[30.0, 10.0]]), (200, 100)).tolist()
    [[74.0, 50.0]]
    """
    centres = np.full((len(points), 2), np.nan)
    half = np.asarray(sizes, float) / 2
    for index in range(len(points)):
        if half[index, 0] == 0:
            continue
        tried = _candidates(points[index], radius, half[index])
        free = _inside(tried, half[index], bounds) & ~_hits_circle(tried, half[index], points, radius)
        others = np.flatnonzero(np.isfinite(centres[:, 0]))
        apart = np.abs(tried[:, None] - centres[None, others])
        free &= ~(apart < half[index] + half[None, others] + MARGIN).all(axis=2).any(axis=1)
        if free.any():
            centres[index] = tried[np.argmax(free)]
    return centres


def spread(points: np.ndarray, gap: float) -> np.ndarray:
    """Move points that lie on each other apart until they are about ``gap`` away; shape (point, 2).

    A point moves at most two gaps from its place. Forty passes of O(points²).

    >>> apart = spread(np.zeros((2, 2)), 4.0)
    >>> round(float(np.hypot(*(apart[1] - apart[0]))), 1)
    4.0
    """
    moved = points.astype(float).copy()
    if len(points) < 2:
        return moved
    turn = np.arange(len(points)) * 2.399963  # the golden angle: equal points leave in different directions
    jitter = 1e-3 * np.column_stack([np.cos(turn), np.sin(turn)])
    for _ in range(40):
        step = moved[:, None] - moved[None] + (jitter[:, None] - jitter[None])
        distance = np.hypot(step[..., 0], step[..., 1])
        np.fill_diagonal(distance, np.inf)
        push = np.clip(gap - distance, 0, None) / 2
        if not push.any():
            break
        moved += (step / np.maximum(distance, 1e-12)[..., None] * push[..., None]).sum(axis=1)
        away = moved - points
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-12)
        moved = points + away * np.minimum(1, 2 * gap / length)[:, None]
    return moved


def _candidates(point: np.ndarray, radius: float, half: np.ndarray) -> np.ndarray:
    """Box centres in every direction, ring by ring outwards; the box just touches its ring."""
    direction = np.column_stack([np.cos(DIRECTIONS), np.sin(DIRECTIONS)])
    # rounding keeps cos(90°) from shifting a box that is straight above or below by half its width
    reach = np.sign(direction.round(9)) * half
    rings = radius + 4 + 11 * np.arange(RINGS)
    centres: np.ndarray = (point + reach + direction * rings[:, None, None]).reshape(-1, 2)
    return centres


def _inside(centres: np.ndarray, half: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    inside: np.ndarray = ((centres - half >= 0) & (centres + half <= np.array(bounds))).all(axis=1)
    return inside


def _hits_circle(centres: np.ndarray, half: np.ndarray, points: np.ndarray, radius: float) -> np.ndarray:
    outside = np.clip(np.abs(centres[:, None] - points[None]) - half, 0, None)
    hits: np.ndarray = (np.hypot(outside[..., 0], outside[..., 1]) < radius + 1).any(axis=1)
    return hits
