"""A picture of worlds, one panel a family: what the base model is taught on, to look at.

``python -m stfm.prior.gallery docs/pictures/worlds.png`` draws the picture of the guide.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from stfm.prior.mixture import FAMILIES, sample_world

COLOURS = ("#1b4965", "#c8553d", "#5fa8d3", "#8a9a5b")


def gallery(seeds: Sequence[int], *, families: Sequence[str] = tuple(FAMILIES), steps: int = 512,
            nodes: int = 3) -> Figure:
    """Rows of families, a column per seed (the row is added to it); targets of up to ``nodes`` nodes over stamps.

    >>> len(gallery([0], families=["weather"], steps=64).axes)
    1
    """
    columns = 2 if len(seeds) == 1 and len(families) > 3 else len(seeds)
    worlds = [sample_world(seed + row, steps=steps, nodes=nodes, families=[name])
              for row, name in enumerate(families) for seed in seeds]
    figure = Figure(figsize=(5.2 * columns, 1.25 * int(np.ceil(len(worlds) / columns))), layout="constrained")
    grid = figure.subplots(int(np.ceil(len(worlds) / columns)), columns, squeeze=False).ravel()
    for axes, world, name in zip(grid, worlds, np.repeat(families, len(seeds)), strict=False):
        values = world.panel[world.target].values
        for node in range(values.shape[1]):
            axes.plot(values[:, node], linewidth=0.6, color=COLOURS[node % len(COLOURS)])
        start = str(world.panel["time"].values[0])[:10]
        told = f"{name}: {world.target}, every {world.panel.attrs['step']} from {start}"
        axes.set_title(told, fontsize=7, loc="left")
        axes.tick_params(labelsize=6)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(worlds):]:
        axes.set_visible(False)
    return figure


if __name__ == "__main__":
    gallery([40]).savefig(Path(sys.argv[1]), dpi=80)
