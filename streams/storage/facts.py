"""Facts of nodes that do not change (height, type of road, a name), kept on the node axis beside their positions.

A fact has no known time. So the first value stays: another one given later would change what earlier views say.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.streams.storage.arrays import read_array, write_array
from terracast.streams.storage.growing import GrowingDomain
from terracast.streams.storage.observations import POSITIONS

NAMED = 3  # nodes that a note names


def facts_of(panel: xr.Dataset) -> dict[str, np.ndarray]:
    """Facts in a panel: coordinates on its nodes, numbers as floats, all else as texts.

    >>> panel = xr.Dataset(coords={"node": ["a"], "lat": ("node", [50.0]), "height": ("node", [12])})
    >>> facts_of(panel)
    {'height': array([12.])}
    """
    found = {}
    for name, held in panel.coords.items():
        known = name in ("", "node", "known_time", *POSITIONS) or str(name).startswith("__")
        if held.dims == ("node",) and not known:
            values = np.asarray(held.values)
            found[str(name)] = values.astype(np.float64) if values.dtype.kind in "fiu" else values.astype(str)
    return found


def keep_facts(held: GrowingDomain, panel: xr.Dataset, columns: np.ndarray) -> list[str]:
    """Keep the facts of a panel's nodes, at ``columns`` of the domain; returns what was not taken, in words."""
    notes = []
    for name, given in facts_of(panel).items():
        if name in held.variables or name in ("time", "node"):
            notes.append(f"{name} is a fact of places here and a variable of the domain: the fact is left out")
            continue
        if name not in held.facts:
            held.join_fact(name, given, panel[name].attrs)
        stored = read_array(held.arrays[name])
        if (stored.dtype.kind == "f") != (given.dtype.kind == "f"):
            given = given.astype(str) if given.dtype.kind == "f" else _as_numbers(given)
        mine = stored[columns]
        changed = ~(_absent(mine) | _absent(given) | (mine == given))
        filled = stored.astype(np.result_type(stored, given))
        filled[columns] = np.where(_absent(mine), given, mine)
        if not np.array_equal(filled, stored, equal_nan=filled.dtype.kind == "f"):
            write_array(held.arrays[name], ..., filled)
        if changed.any():
            at = np.flatnonzero(changed)
            said = ", ".join(f"{panel['node'].values[one]} ({given[one]}, not {mine[one]})" for one in at[:NAMED])
            more = f" and {len(at) - NAMED} more" if len(at) > NAMED else ""
            notes.append(f"another {name} was given for {said}{more}: the stored one is kept")
    return notes


def _absent(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.isnan(values) if values.dtype.kind == "f" else values == "")


def _as_numbers(texts: np.ndarray) -> np.ndarray:
    """Texts as numbers, NaN where one is none."""
    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return np.nan

    return np.array([number(str(text)) for text in texts], np.float64)
