"""What every bank asks of the arrays it is given."""

from __future__ import annotations

import numpy as np

from terracast.adapt.monitoring.detection.bank.contract import DetectorError


def one_step(values: np.ndarray, nodes: int, bank: str) -> np.ndarray:
    """``values`` (node,) as a block of one step, (1, node).

    >>> one_step(np.array([1, 2]), 2, "adwin").tolist()
    [[1.0, 2.0]]
    """
    if np.shape(values) != (nodes,):
        raise DetectorError(f"values of shape {np.shape(values)}", where=f"{bank} bank", expected=f"({nodes},)",
                            remedy="give one value a node, NaN where not observed")
    return np.ascontiguousarray(values, float)[None]


def many_steps(values: np.ndarray, nodes: int, bank: str) -> np.ndarray:
    """``values`` (step, node) as the compiled loops want them: float64, rows of nodes end to end."""
    if np.ndim(values) != 2 or np.shape(values)[1] != nodes:
        raise DetectorError(f"values of shape {np.shape(values)}", where=f"{bank} bank", expected=f"(step, {nodes})",
                            remedy="give one row a step and one column a node, NaN where not observed")
    return np.ascontiguousarray(values, float)


def chosen(nodes: np.ndarray | None, count: int, bank: str) -> np.ndarray:
    """The mask of nodes to reset, bool (node,): all of them without one."""
    if nodes is None:
        return np.ones(count, bool)
    if np.shape(nodes) != (count,) or np.asarray(nodes).dtype != bool:
        raise DetectorError(f"a mask of shape {np.shape(nodes)}, {np.asarray(nodes).dtype}", where=f"{bank} bank",
                            expected=f"bool ({count},)", remedy="give True for each node to start anew")
    return np.asarray(nodes)
