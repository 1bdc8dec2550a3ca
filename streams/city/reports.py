"""From the world to what reaches us: delays, late reports, gaps, and values corrected afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import REVISION_COLUMNS, no_revisions
from terracast.streams.city.clock import HOUR
from terracast.streams.city.faults import PlantedFault, faulty, hours_behind, with_faults
from terracast.streams.city.variables import VARIABLES
from terracast.streams.city.world import CityWorld

LONGEST_LATE_HOURS = 96


@dataclass(frozen=True)
class Reporting:
    """How reports reach us. Shares are expected; half of the late and missing come one by one, half in runs.

    ``delay_hours``: when a punctual report is known. ``late_share``: share of reports (time, node) that
    come hours to days later. ``gap_share``: share of values that never come. ``revised_share`` per domain:
    share of values whose first report is off by 5 to 40 % and is corrected 1 to 14 days later.
    """

    delay_hours: Mapping[str, int] = field(default_factory=lambda: {"weather": 1, "traffic": 1, "air": 1})
    late_share: float = 0.02
    gap_share: float = 0.015
    revised_share: Mapping[str, float] = field(default_factory=lambda: {"air": 0.01})


def reported(world: CityWorld, domain: str, rows: slice, faults: Sequence[PlantedFault], reporting: Reporting
             ) -> tuple[xr.Dataset, pd.DataFrame]:
    """The panel of first reports of one domain, and the ledger of its revisions."""
    time, names = world.time[rows], world.layout.names[domain]
    known = _known_times(world, domain, time, faults, reporting)
    values, ledgers = {}, []
    silent = _runs(world.random(domain + ".silent"), known.shape, reporting.gap_share / 2, mean_length=8) > 0
    for name in VARIABLES[domain]:
        series = f"{domain}.{name}"
        told = with_faults(world.made[series][rows], series, faults, time, names)
        lost = world.random(series + ".lost").random(told.shape) < reporting.gap_share / 2
        told = np.where(lost | silent, np.nan, told)
        fixed = faulty(series, faults, time, names)
        share = reporting.revised_share.get(domain, 0.0)
        first, ledger = _revised(world, series, told, fixed, known, share, time)
        values[name] = first
        ledgers.append(ledger)
    # A report of which no value came never came.
    known[np.all([np.isnan(one) for one in values.values()], axis=0)] = np.datetime64("NaT", "ns")
    kept = [ledger for ledger in ledgers if len(ledger)]
    revisions = pd.concat(kept, ignore_index=True) if kept else no_revisions()
    return _panel(world, domain, time, values, known), revisions


def _known_times(world: CityWorld, domain: str, time: np.ndarray, faults: Sequence[PlantedFault],
                 reporting: Reporting) -> np.ndarray:
    """When each report is known, (time, node)."""
    names = world.layout.names[domain]
    shape = (len(time), len(names))
    random = world.random(domain + ".late")
    alone = random.random(shape) < reporting.late_share / 2
    slow = np.minimum(1 + random.exponential(10.0, shape).astype(np.int64), LONGEST_LATE_HOURS)
    # While a link is down its reports queue; all of them arrive in the hour in which it is up again.
    queued = _runs(random, shape, reporting.late_share / 2, mean_length=10)
    hours = np.maximum(np.where(alone, slow, 0), queued) + hours_behind(domain, faults, time, names)
    return np.asarray(time[:, None] + (reporting.delay_hours[domain] + hours) * HOUR)


def _runs(random: np.random.Generator, shape: tuple[int, int], share: float, mean_length: int) -> np.ndarray:
    """Random runs along time that cover about ``share``: hours until the run is over, 0 outside runs."""
    # Runs begin independently and may overlap: a share is covered where -log(1 - share) / length begin.
    begins = random.random(shape) < -np.log1p(-share) / mean_length
    lengths = np.minimum(random.geometric(1 / mean_length, shape), LONGEST_LATE_HOURS)
    left = np.zeros(shape, dtype=np.int64)
    for row, column in np.argwhere(begins):
        span = left[row : row + lengths[row, column], column]
        span[:] = np.maximum(span, lengths[row, column] - np.arange(len(span)))
    return left


def _revised(world: CityWorld, series: str, told: np.ndarray, fixed: np.ndarray, known: np.ndarray,
             share: float, time: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """First reports, wrong in a share of the cells without fault, and the ledger of what replaced them."""
    random = world.random(series + ".revised")
    chosen = (random.random(told.shape) < share) & ~fixed & ~np.isnan(told)
    error = np.exp(random.choice([-1.0, 1.0], told.shape) * random.uniform(0.05, 0.4, told.shape))
    wait = random.integers(24, 14 * 24, told.shape) * HOUR
    rows, columns = np.nonzero(chosen)
    ledger = pd.DataFrame({"time": time[rows], "node": np.array(world.names(series))[columns],
                           "variable": series.partition(".")[2], "value": told[chosen],
                           "known_time": (known + wait)[chosen]}, columns=list(REVISION_COLUMNS))
    return np.where(chosen, told * error, told), ledger


def _panel(world: CityWorld, domain: str, time: np.ndarray, values: Mapping[str, np.ndarray],
           known: np.ndarray) -> xr.Dataset:
    latitude, longitude = world.layout.degrees(domain)
    dims = ("time", "node")
    return xr.Dataset(
        {name: (dims, array, VARIABLES[domain][name].attrs) for name, array in values.items()},
        {"time": ("time", time, {"standard_name": "time"}),
         "node": ("node", np.array(world.layout.names[domain]), {"cf_role": "timeseries_id"}),
         "lat": ("node", latitude, {"standard_name": "latitude", "units": "degrees_north"}),
         "lon": ("node", longitude, {"standard_name": "longitude", "units": "degrees_east"}),
         "known_time": (dims, known, {"long_name": "time at which the report was known"})},
        {"domain": domain, "kind": "sensor", "step": "1h", "featureType": "timeSeries"},
    )
