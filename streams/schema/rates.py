"""Two rates in one table: variables that come every hour beside others that come once a day are two domains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import Clock, span_text

COARSE = 2  # steps that a slower variable lies apart, at least
AGREED = 0.9  # share of its gaps that are that long
LEAST = 10  # values that show a rate


def by_rate(panel: xr.Dataset, domain: str, target: str | None,
            given: object) -> dict[str, tuple[str | None, list[str]]]:
    """Variables by domain: those of the panel's own rate keep ``domain``, slower ones get one named after their step.

    Returns the step of each (None: as the panel's) and its variables. With a step that was ``given`` there is one.
    """
    names = [str(name) for name in panel.data_vars]
    clock = Clock.of(panel.attrs)
    if given is not None or clock.calendar or len(names) < 2:
        return {domain: (None, names)}
    rates: dict[int, list[str]] = {}
    for name in names:
        rates.setdefault(_rate(panel, name, clock), []).append(name)
    if len(rates) < 2:
        return {domain: (None, names)}
    main = next((count for count, held in rates.items() if target in held), min(rates))
    found: dict[str, tuple[str | None, list[str]]] = {}
    for count, held in rates.items():
        step = span_text(count * pd.Timedelta(clock.step)).lower()
        found[domain if count == main else f"{domain}_{step}"] = (step, held)
    return found


def _rate(panel: xr.Dataset, name: str, clock: Clock) -> int:
    """Steps between two values of a variable: the commonest gap, where nearly all others are as long."""
    values = panel[name].values
    numbers = clock.number(panel["time"].values)
    gaps = []
    for node in range(min(values.shape[1], 50)):
        held = numbers[np.isfinite(values[:, node])]
        if len(held) > LEAST:
            gaps.append(np.diff(held))
    if not gaps:
        return 1
    every = np.concatenate(gaps)
    lengths, counts = np.unique(every, return_counts=True)
    common = int(lengths[np.argmax(counts)])
    return common if common >= COARSE and (every % common == 0).mean() >= AGREED else 1
