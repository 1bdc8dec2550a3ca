"""The first service: when it can begin, and how far it is while it does."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.initialise import ServiceInit, begin, past_needed
from terracast.adapt.task import ForecastTask
from terracast.flows.discovery.saved_discovery import Discovery
from terracast.flows.service.days_off import with_holidays, zone_of
from terracast.flows.service.spans import SHORT_WAIT, YEAR, spans_for
from terracast.flows.settings import in_words
from terracast.flows.terminal.output import note
from terracast.flows.terminal.share_shown import Told
from terracast.flows.workspace import Workspace
from terracast.stfm.forecaster import Forecaster
from terracast.streams.bitemporal import History
from terracast.streams.schema.zone import keeps_one_offset

FITS, FITTING = 3, 0.7  # how many fits a beginning takes, and their share of its time
BEFORE_REPLAY = 200  # steps that a replay leaves to what is compared with; more than a week of hours
DAY = pd.Timedelta("1D")
EVER = np.datetime64("2261-01-01", "ns")


def begun(workspace: Workspace, watched: ForecastTask, moment: Moment, tell: Told) -> ServiceInit:
    """The base and what is normal, as known at ``moment``; ``tell`` hears how far it is."""
    numbers, zero_shot = count(), workspace.settings.base.zero_shot
    fitting = 0.0 if zero_shot else FITTING

    def fit(panel: xr.Dataset, seed: int) -> Forecaster:
        number = next(numbers)

        def report_progress(share: float) -> None:
            tell(FITTING * min((number + share) / FITS, 1.0), f"fit {number + 1} of {FITS}")

        if zero_shot:
            return workspace.fit(panel, seed)
        report_progress(0.0)
        return workspace.fit(panel, seed, report_progress)

    return begin(watched, moment, fit, seed=workspace.settings.base.seed, zero_shot=zero_shot,
                 progress=lambda share: tell(fitting + (1 - fitting) * share, "learning what is normal"))


def task_at(workspace: Workspace, moment: Moment, discovery: Discovery, *, covariates: bool) -> ForecastTask:
    """What is watched from ``moment`` on: all nodes known, with the drivers discovered, a mixture's ``covariates``, and
    weather, calendar and holidays for the monitor."""
    nodes = tuple(str(node) for node in moment.known(workspace.settings.stream.domain)["node"].values)
    watched = workspace.watched(nodes, discovery.inputs()).with_outside(moment)
    watched = with_holidays(watched, workspace.settings, moment)
    zone = zone_of(workspace.settings, moment.known(workspace.settings.stream.domain))
    watched = watched.with_clocks(moment, None if zone is None or keeps_one_offset(zone) else zone)
    return watched.with_covariates(moment) if covariates else watched


def too_early(workspace: Workspace, moment: Moment) -> str | None:
    """Why service cannot begin yet, in words, with what to set to begin now, or None."""
    settings = workspace.settings
    domain = settings.stream.domain
    if domain not in moment.domains:
        return f"nothing of domain {domain} is in the store; put files where [[sources]] looks"
    panel = moment.known(domain)
    if settings.base.zero_shot and not bool(panel[settings.stream.target].notnull().any()):
        return f"no value of {domain}.{settings.stream.target} is known yet; service begins with the first"
    have, least = _span(panel), least_past(workspace)
    if have >= least and have + settings.stream.cadence >= settings.base.wait:
        return None
    needed = max(settings.base.wait, least)
    return f"{_days(have)} of {_days(needed)} days of {domain} are known; {_way_out(workspace, panel, have)}"


def first_start(workspace: Workspace, history: History) -> np.datetime64:
    """The first step at which service can begin, or, where one value is enough, at which there is something to compare
    it with; where there is none, the last step of the data."""
    settings = workspace.settings
    time = history.as_known_at(settings.stream.domain, EVER)["time"].values
    wait = max(settings.base.wait, least_past(workspace))
    if settings.base.zero_shot:
        wait = max(wait, min(BEFORE_REPLAY * settings.stream.step, SHORT_WAIT * pd.Timedelta(time[-1] - time[0])))
    start, last = workspace.floor(time[0] + wait.to_timedelta64()), workspace.floor(time[-1])
    cadence = settings.stream.cadence.to_timedelta64()
    low, high = 0, max(int(-(-(last - start) // cadence)), 0)  # what is known only grows: the first step is bisected
    while low < high:
        middle = (low + high) // 2
        if too_early(workspace, Moment(start + middle * cadence, history)) is None:
            high = middle
        else:
            low = middle + 1
    return min(start + low * cadence, last)


def least_past(workspace: Workspace) -> pd.Timedelta:
    """The past without which no beginning can be made with these settings: none for a base that is taken as it is."""
    if workspace.settings.base.zero_shot:
        return pd.Timedelta(0)
    watched = workspace.watched((), {})
    return pd.Timedelta(past_needed(watched.request.step, watched.cadence, watched.history,
                                    watched.request.leads[-1]))


def note_short_past(workspace: Workspace, moment: Moment) -> None:
    """Say what it means that less than a year is known."""
    domain = workspace.settings.stream.domain
    have = _span(moment.known(domain))
    if have < YEAR - DAY:
        note(f"{_days(have)} days of {domain} are known, less than a year: yearly seasons are not known yet")


def _span(panel: xr.Dataset) -> pd.Timedelta:
    time = panel["time"].values
    return pd.Timedelta(time[-1] - time[0]) if len(time) else pd.Timedelta(0)


def _way_out(workspace: Workspace, panel: xr.Dataset, have: pd.Timedelta) -> str:
    """What to set so that service begins with what there is, where that is enough."""
    stream, step = workspace.settings.stream, workspace.settings.stream.step
    fitting = spans_for(step, have)
    if have >= least_past(workspace):
        return f'to begin with what there is, set base.first_fit = "{in_words(have // step * step)}"'
    if fitting.first_fit > have:
        return "too few for any beginning: wait, or ingest more of the past"
    wanted = {"stream.horizon": (fitting.horizon, stream.horizon), "stream.history": (fitting.history, stream.history),
              "base.first_fit": (fitting.first_fit, workspace.settings.base.wait)}
    told = ", ".join(f'{key} = "{in_words(new)}"' for key, (new, old) in wanted.items() if new < old)
    return f"to begin with what there is, set {told}"


def _days(span: pd.Timedelta) -> str:
    """Days, as exactly as it matters.

    >>> _days(pd.Timedelta("365D")), _days(pd.Timedelta("4h"))
    ('365', '0.17')
    """
    days = span / DAY
    return f"{days:.0f}" if days >= 10 else f"{days:.2g}"
