"""Which rungs a ladder climbs unless told otherwise, and which are there to be asked for.

By what ``terracast bench rungs`` showed on Beijing, Münster and London: a rung that was not better than a cheaper
one, or that did harm where it was let in, is off by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from terracast.adapt.promotion.ladder import LadderError, LadderStep
from terracast.adapt.rungs.custom import custom_rung

if TYPE_CHECKING:  # rungs bring torch along; what they cost is asked for without carrying one out
    from terracast.adapt.rungs.rung import Rung

DAY = np.timedelta64(1, "D")
# About what an act costs in seconds, and the horizons (days, where the horizon is shorter) of labels from after the
# change that it needs. ``remembered`` and ``retrain`` need more than a panel: whoever runs the ladder makes them.
REACH = {"remembered": (1.0, 4), "output-recursive": (2.0, 7), "context-meta": (15.0, 10),
         "adapter": (20.0, 10), "continue": (40.0, 14), "fine-tune": (41.0, 14), "adapter-whole": (120.0, 14),
         "adapter-alike": (200.0, 14), "retrain": (300.0, 28)}
# Rungs that change what only the pre-trained base has.
ONLY_BASE = ("context-meta", "adapter", "adapter-whole", "adapter-alike")
ALIKE = 0.1  # how hard ``adapter-alike`` drives the states to tell no node
USUAL = ("remembered", "output-recursive", "adapter", "continue", "retrain")


def default_rungs() -> list[Rung]:
    """Cheapest first: the closed form on outputs, an adapter on the heads, continued training.

    >>> [rung.name for rung in default_rungs()]
    ['output-recursive', 'adapter', 'continue']
    """
    from terracast.adapt.rungs.adapter_rung import AdapterRung
    from terracast.adapt.rungs.fine_tune import FineTune
    from terracast.adapt.rungs.output_rls import recursive_rung

    return [recursive_rung(), AdapterRung(), FineTune(steps=100, judges=True, name="continue")]


def optional_rungs() -> list[Rung]:
    """Available, off by default: none of them beat the usual ones.

    >>> [rung.name for rung in optional_rungs()]
    ['context-meta', 'adapter-whole', 'adapter-alike']
    """
    from terracast.adapt.rungs.adapter_rung import AdapterRung
    from terracast.adapt.rungs.adapter_training import AdapterEffort
    from terracast.adapt.rungs.cavia_rung import ContextRung

    return [ContextRung(),
            AdapterRung(AdapterEffort(heads=False), steps=10, masked=0.0, name="adapter-whole"),
            AdapterRung(AdapterEffort(heads=False), steps=10, masked=0.0, alike=ALIKE, name="adapter-alike")]


def steps_of(names: Sequence[str], horizon: np.timedelta64, *, base: bool) -> tuple[LadderStep, ...]:
    """The steps of a ladder with these rungs (none named: the usual ones), cheapest first. A name that is not built in
    is that of a rung of your own (``custom_rung``). ``base``: what serves is the pre-trained base; rungs that change
    only that are refused for another, or left out where nothing was named.

    >>> [step.rung for step in steps_of((), DAY, base=False)]
    ['remembered', 'output-recursive', 'continue', 'retrain']
    """
    able = tuple(name for name in REACH if base or name not in ONLY_BASE)
    if wrong := [name for name in names if name in ONLY_BASE and not base]:
        raise LadderError(f"the rung {wrong[0]!r} changes the shipped base only", where="adapt.rungs",
                          remedy="mend adapt.rungs", expected=f"some of {', '.join(able)}, or module:Class")
    chosen = names or tuple(name for name in USUAL if base or name not in ONLY_BASE)
    unit = max(horizon.astype("timedelta64[ns]"), DAY.astype("timedelta64[ns]"))
    reach = {name: REACH[name] if name in REACH else _reach_of(name, able) for name in chosen}
    found = [LadderStep(name, seconds, horizons * unit) for name, (seconds, horizons) in reach.items()]
    return tuple(sorted(found, key=lambda step: step.seconds))


def custom_rungs(names: Sequence[str]) -> dict[str, Rung]:
    """Rungs of your own among these names, by the name in the settings.

    >>> custom_rungs(("continue", "retrain"))
    {}
    """
    return {name: custom_rung(name, tuple(REACH)) for name in names if name not in REACH}


def _reach_of(name: str, built_in: tuple[str, ...]) -> tuple[float, int]:
    """Seconds and horizons of a rung of your own."""
    rung = custom_rung(name, built_in)
    return float(rung.seconds), int(rung.horizons)
