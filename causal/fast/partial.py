"""Compiled kernels: partial correlations from a correlation matrix by Cholesky, with a guard on the pivots.

A pivot is the share of a column's variance that the columns before it leave over. Below ``guard`` the matrix
has lost too many digits; the kernel then answers ``UNSURE`` and the caller tests on the data instead.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

UNSURE = 2.0  # no correlation
SUMS = {"reassoc", "nsz", "contract"}  # sums may be split over vector lanes; nothing else is loosened


def guard(samples: int) -> float:
    """The smallest pivot whose loss of digits keeps p-values right to 1e-8."""
    return 1e-5 * max(1.0, math.sqrt(samples / 8760))


@nb.njit(cache=True, fastmath=SUMS)
def subtract(work: np.ndarray, start: int, size: int, rows: np.ndarray, count: int) -> None:
    """Take ``rows[:count]``' products from the upper triangle of ``work[start:size]``, four rows at a time."""
    four = count - count % 4
    for row in range(start, size):
        into = work[row]
        for step in range(0, four, 4):
            zero, one, two, three = rows[step], rows[step + 1], rows[step + 2], rows[step + 3]
            a, b, c, d = zero[row], one[row], two[row], three[row]
            for column in range(row, size):
                into[column] -= a * zero[column] + b * one[column] + c * two[column] + d * three[column]
        for step in range(four, count):
            last = rows[step]
            a = last[row]
            for column in range(row, size):
                into[column] -= a * last[column]


@nb.njit(cache=True, fastmath=SUMS)
def eliminate(work: np.ndarray, count: int, size: int, least: float) -> bool:
    """Cholesky in place of the first ``count`` rows of the upper triangle of ``work[:size, :size]``.

    The rows below hold afterwards what is left of them. False at a pivot under ``least``; the very last
    pivot is not held to it: it is what the test asks for.
    """
    for start in range(0, count, 4):
        stop = min(start + 4, count)
        for row in range(start, stop):
            mine = work[row]
            for before in range(start, row):
                other = work[before]
                weight = other[row]
                for column in range(row, size):
                    mine[column] -= weight * other[column]
            left = mine[row]
            if (left < least and row < size - 1) or not left > 0.0:
                return False
            scale = 1.0 / math.sqrt(left)
            for column in range(row, size):
                mine[column] *= scale
        if stop < size:
            subtract(work, stop, size, work[start:stop], stop - start)
    return True


@nb.njit(cache=True)
def factor(work: np.ndarray, size: int, least: float) -> bool:
    """``eliminate`` all rows."""
    return eliminate(work, size, size, least)


@nb.njit(cache=True)
def last_two(work: np.ndarray, size: int, least: float) -> float:
    """Partial correlation of the last two columns given those before; the upper triangle is overwritten."""
    if not factor(work, size, least):
        return UNSURE
    cross, rest = work[size - 2, size - 1], work[size - 1, size - 1]
    left = cross * cross + rest * rest  # of the last column's variance, given the conditions
    if left < least:
        return UNSURE
    return cross / math.sqrt(left)


@nb.njit(cache=True)
def partial_correlation(correlation: np.ndarray, columns: np.ndarray, least: float, work: np.ndarray) -> float:
    """Of the last two of ``columns`` given the others: O(columns^3). ``work`` is scratch of that size."""
    size = len(columns)
    for row in range(size):
        source = correlation[columns[row]]
        for column in range(row, size):
            work[row, column] = source[columns[column]]
    return last_two(work, size, least)


@nb.njit(cache=True, fastmath=SUMS)
def against_strongest(correlation: np.ndarray, target: int, columns: np.ndarray, depth: int, least: float,
                      out: np.ndarray) -> None:
    """Each of ``columns`` against ``target`` given the first ``depth`` others: one level of PC1.

    The first depth + 1 tests are read off one inverse, the rest share one factor: O(depth^3 + columns x depth^2).
    """
    count = len(columns)
    inner = np.empty((depth + 2, depth + 2))
    for row in range(depth + 1):
        source = correlation[columns[row]]
        for column in range(row, depth + 1):
            inner[row, column] = source[columns[column]]
        inner[row, depth + 1] = source[target]
    inner[depth + 1, depth + 1] = 1.0
    sound = factor(inner, depth + 2, least)
    if sound:
        _off_inverse(inner, depth + 2, least, out)
    else:
        out[:depth + 1] = UNSURE
    if count > depth + 1:
        _rest(correlation, target, columns, depth, least, out, inner, sound)


@nb.njit(cache=True, fastmath=SUMS)
def _off_inverse(inner: np.ndarray, size: int, least: float, out: np.ndarray) -> None:
    """Partial correlations of every column with the last one given all others, from the factor."""
    inverse = np.zeros((size, size))  # of the factor: lower triangle
    for row in range(size):
        scale = 1.0 / inner[row, row]
        mine = inverse[row]
        for step in range(row):
            weight, other = inner[step, row] * scale, inverse[step]
            for column in range(step + 1):
                mine[column] -= weight * other[column]
        mine[row] = scale
    last = size - 1
    for column in range(last):
        total = 0.0
        for row in range(column, last):
            total += inverse[row, column] * inverse[row, column]
        with_target = total + inverse[last, column] * inverse[last, column]
        value = -inverse[last, column] / math.sqrt(with_target)
        # what the other conditions leave of this column is 1 / total, and of the target:
        of_target = 1.0 / (inverse[last, last] * inverse[last, last] * max(1.0 - value * value, 1e-300))
        out[column] = value if total * least <= 1.0 and of_target >= least else UNSURE


@nb.njit(cache=True, fastmath=SUMS)
def _rest(correlation: np.ndarray, target: int, columns: np.ndarray, depth: int, least: float, out: np.ndarray,
          inner: np.ndarray, sound: bool) -> None:
    """Tests of the columns beyond the first depth + 1, all given the first ``depth``."""
    if not sound:  # the failing column may be the (depth + 1)-th or the target: factor the conditions alone
        for row in range(depth):
            source = correlation[columns[row]]
            for column in range(row, depth):
                inner[row, column] = source[columns[column]]
            inner[row, depth] = source[target]
        inner[depth, depth] = 1.0
        if not factor(inner, depth + 1, least):
            out[depth + 1:] = UNSURE
            return
    at = depth if not sound else depth + 1
    count = len(columns) - depth - 1
    white = np.empty((depth, count))
    crossed, left = np.empty(count), np.ones(count)
    source = correlation[target]
    for place in range(count):
        crossed[place] = source[columns[depth + 1 + place]]
    of_target = 1.0
    for row in range(depth):
        mine, source = white[row], correlation[columns[row]]
        for place in range(count):
            mine[place] = source[columns[depth + 1 + place]]
        for before in range(row):
            weight, other = inner[before, row], white[before]
            for place in range(count):
                mine[place] -= weight * other[place]
        scale, weight = 1.0 / inner[row, row], inner[row, at]
        of_target -= weight * weight
        for place in range(count):
            mine[place] *= scale
            crossed[place] -= weight * mine[place]
            left[place] -= mine[place] * mine[place]
    for place in range(count):
        sure = left[place] >= least and of_target >= least
        out[depth + 1 + place] = crossed[place] / math.sqrt(left[place] * of_target) if sure else UNSURE


@nb.njit(cache=True, nogil=True)
def level(correlation: np.ndarray, targets: np.ndarray, columns: np.ndarray, offsets: np.ndarray, depth: int,
          least: float) -> np.ndarray:
    """One level of PC1 for many targets: the candidates of target k are ``columns[offsets[k]:offsets[k + 1]]``."""
    out = np.empty(len(columns))
    for place in range(len(targets)):
        start, stop = offsets[place], offsets[place + 1]
        against_strongest(correlation, targets[place], columns[start:stop], depth, least, out[start:stop])
    return out
