"""Whose holidays a stream knows: of the country that is set, else where its places lie, else those that fit best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.days_off import DaysOff
from terracast.adapt.task import ForecastTask
from terracast.flows.settings.settings import Settings
from terracast.flows.terminal.output import note
from terracast.stats.holidays import COUNTRIES, country_of, has_holidays
from terracast.streams.schema.zone import keeps_one_offset, zone_at


def with_holidays(watched: ForecastTask, settings: Settings, moment: Moment) -> ForecastTask:
    """The same where the monitor leaves days off out, if it is to; says whose they are."""
    wanted, zone = settings.monitor.holidays, zone_of(settings, moment.known(settings.stream.domain))
    if wanted == "none":
        return watched
    if wanted != "auto":
        return replace(watched, days_off=DaysOff(wanted, zone or "UTC"))
    country = None if zone is None else country_of(zone)
    countries = COUNTRIES if country is None else (country,) if has_holidays(country) else ()
    watched = replace(watched, holidays=tuple(DaysOff(one, zone or "UTC") for one in countries)).with_days_off(moment)
    if watched.days_off is not None:
        whose = watched.days_off.country if country else f"{watched.days_off.country} fit best and"
        note(f"holidays of {whose} are unlike other days here: the monitor leaves them out; to watch them, set "
             'monitor.holidays = "none"')
    return watched


def zone_of(settings: Settings, panel: xr.Dataset) -> str | None:
    """The time zone of the stream: as its source says, else where its places lie."""
    told = [one.time_zone for one in settings.sources if one.domain == settings.stream.domain and one.time_zone]
    if told and (country_of(told[0]) is not None or not keeps_one_offset(told[0])):
        return str(told[0])
    if not {"lat", "lon"} <= set(panel.coords):
        return None
    lat, lon = (np.asarray(panel[name].values, float).ravel() for name in ("lat", "lon"))
    return zone_at(lat.tolist(), lon.tolist()) if len(lat) == len(lon) else None
