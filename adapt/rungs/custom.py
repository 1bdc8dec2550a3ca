"""Rungs of other packages by name: an entry point of a group, or ``module:Class``.

A rung of your own is a class that fulfils ``CustomRung`` and is made without arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import xarray as xr

from terracast.streams.errors import TerracastError
from terracast.streams.plugins import find_plugin

if TYPE_CHECKING:  # torch comes along with it; a verb that only reads asks for the cost of a rung
    from terracast.adapt.rungs.rung import Adapted
    from terracast.stfm.forecaster import Forecaster, Request

GROUP = "terracast.rungs"  # of entry points
NEEDED = ("name", "paper", "cost", "expiry", "seconds", "horizons", "adapt")


class CustomRungError(TerracastError):
    """A class that is no rung."""


class CustomRung(Protocol):
    """What a rung of your own offers: a ``Rung`` that says what the ladder must know to choose it.

    Attributes
    ----------
    name, paper, cost : str
        What it is called, where it comes from, and what it costs, in a sentence with figures.
    expiry : timedelta64, optional
        How long an act holds; None: until something better replaces it.
    seconds : float
        About what an act costs, in seconds of computing: the ladder climbs from cheap to dear, within ``adapt.budget``.
    horizons : int
        How many horizons (days, where the horizon is shorter) of labels from after a change it needs.
    """

    name: str
    paper: str
    cost: str
    expiry: np.timedelta64 | None
    seconds: float
    horizons: int

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """See ``adapt.rungs.rung.Rung``."""
        ...


def custom_rung(name: str, built_in: tuple[str, ...] = ()) -> CustomRung:
    """Make the rung that a name leads to.

    Parameters
    ----------
    name : str
        Name of an entry point of the group ``terracast.rungs``, or ``module:Class``.
    built_in : tuple of str
        Names that need no entry point; an error lists them.

    Raises
    ------
    PluginError
        The name leads to no class.
    CustomRungError
        The class is not made without arguments, or lacks a part of ``CustomRung``.

    Examples
    --------
    >>> custom_rung("json:JSONDecoder")
    Traceback (most recent call last):
    terracast.adapt.rungs.custom.CustomRungError: JSONDecoder has no name, paper, cost, expiry, seconds, horizons, adapt
    (adapt.rungs): expected a class with name, paper, cost, expiry, seconds, horizons, adapt; see docs/extend/rung.md
    """
    found = find_plugin(GROUP, name, built_in)
    try:
        made = found()
    except TypeError as error:
        raise CustomRungError(f"{found.__name__} is not made without arguments ({error})", where="adapt.rungs",
                              expected="defaults for all of them", remedy="see docs/extend/rung.md") from error
    missing = [part for part in NEEDED if not hasattr(made, part)]
    if missing:
        raise CustomRungError(f"{found.__name__} has no {', '.join(missing)}", where="adapt.rungs",
                              expected="a class with " + ", ".join(NEEDED), remedy="see docs/extend/rung.md")
    return cast("CustomRung", made)
