"""A workspace: the settings of one watched stream with its store, its registry and its watched target at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.service.spans import YEAR, usual_spans
from terracast.flows.settings import Settings, SettingsError, nanoseconds, read_settings
from terracast.flows.terminal.output import note
from terracast.registry.versions import Registry
from terracast.stfm.bases import context_steps, fit_base
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.clock import Clock, span_text
from terracast.streams.even_history import EvenHistory
from terracast.streams.store import Store, View

if TYPE_CHECKING:  # what brings torch along is imported where it is needed: a verb that only reads starts in a second
    from terracast.adapt.promotion.executor import Executor
    from terracast.adapt.promotion.policy import Policy
    from terracast.adapt.promotion.version_history import VersionHistory
    from terracast.adapt.rungs.fine_tune import FineTune
    from terracast.adapt.rungs.rung import Rung
    from terracast.adapt.task import ForecastTask


@dataclass(frozen=True)
class Workspace:
    """Everything a flow needs, opened from one settings file."""

    settings: Settings
    store: Store
    registry: Registry

    @classmethod
    def open(cls, config: str | Path) -> Workspace:
        """Read the settings and open (or create) store and registry; relative places lie beside the file."""
        settings = read_settings(config)
        tracking = settings.registry.address
        if tracking.startswith("sqlite:///") and not tracking.startswith("sqlite:////"):
            tracking = f"sqlite:///{settings.path(tracking.removeprefix('sqlite:///'))}"
        registry = Registry(tracking=tracking, artifacts=settings.path(settings.registry.artifacts),
                            name=settings.model_name, tell=note)
        return cls(settings, open_store(config), registry)

    @property
    def request(self) -> Request:
        """What is asked of a forecaster in this stream; the issue time is filled in at each tick."""
        stream = self.settings.stream
        return Request(stream.target, np.datetime64("NaT", "ns"), round(stream.horizon / stream.step),
                       nanoseconds(stream.step), stream.quantiles)

    def watched(self, nodes: tuple[str, ...], drivers: Mapping[str, tuple[str, ...]]) -> ForecastTask:
        """The watched target with these nodes and drivers."""
        from terracast.adapt.task import ForecastTask

        stream, history = self.settings.stream, nanoseconds(self.settings.stream.history)
        base = self.settings.base  # what must be fitted begins with windows within its first fit
        free = base.zero_shot and base.first_fit is None
        most = nanoseconds(usual_spans(stream.step).first_fit if free else base.wait) // 5
        history = max(history, min(context_steps(self.settings.base.model) * nanoseconds(stream.step), most))
        return ForecastTask(stream.domain, nodes, self.request, nanoseconds(stream.cadence), history,
                            nanoseconds(stream.label_timeout), dict(drivers), zone=self.zone or "UTC")

    @property
    def zone(self) -> str | None:
        """The time zone that the target's source speaks of, None where it speaks UTC."""
        return next((source.time_zone for source in self.settings.sources
                     if source.domain == self.settings.stream.domain and source.time_zone), None)

    @property
    def policies(self) -> dict[str, Policy]:
        """All policies by name."""
        from terracast.adapt.promotion.catalog import steps_of
        from terracast.adapt.promotion.policy import ladder_policy, policies

        stream, adapt = self.settings.stream, self.settings.adapt
        cadence, horizon = nanoseconds(stream.cadence), nanoseconds(stream.horizon)
        steps = steps_of(adapt.rungs, horizon, base=self.settings.base.model == "shipped")
        found = (*policies(cadence, horizon), ladder_policy(cadence, horizon, steps, adapt.budget.total_seconds()))
        return {policy.name: policy for policy in found}

    @property
    def policy(self) -> Policy:
        """The policy in service, with what a person has to agree to; a replay has nobody to ask."""
        from terracast.adapt.promotion.policy import ApprovalRule

        wanted = self.settings.adapt.policy
        if wanted not in self.policies:
            raise SettingsError(f"adapt.policy is {wanted!r}", where="terracast.toml",
                                expected="one of " + ", ".join(self.policies), remedy="mend adapt.policy")
        rule = ApprovalRule(self.settings.adapt.approval, nanoseconds(self.settings.adapt.approval_timeout))
        return replace(self.policies[wanted], approval=rule)

    @property
    def fine_tune(self) -> FineTune:
        """The fine-tune rung as set."""
        from terracast.adapt.rungs.fine_tune import FineTune

        return FineTune(nanoseconds(self.settings.adapt.window), self.settings.adapt.steps)

    def maker(self, past: VersionHistory | None = None, load: Callable[[str], Forecaster] | None = None) -> Executor:
        """What carries out acts, with every rung there is. ``past``: what is remembered (default: nothing);
        ``load``: finds the forecaster of a version (default: among those that the maker itself made, in a replay)."""
        from terracast.adapt.promotion.catalog import custom_rungs, default_rungs, optional_rungs
        from terracast.adapt.promotion.executor import Executor
        from terracast.adapt.promotion.version_history import VersionHistory
        from terracast.adapt.rungs.recall import Recall
        from terracast.adapt.rungs.refit import Refit

        past = past or VersionHistory()
        versions: dict[str, Forecaster] = {}
        made: list[Rung] = [*default_rungs(), *optional_rungs(), replace(self.fine_tune, judges=True, name="continue"),
                            Recall(past.regimes, load or versions.__getitem__),
                            Refit(self.fit, nanoseconds(self.settings.base.first_fit or YEAR),
                                  seed=self.settings.base.seed)]
        rungs = {rung.name: rung for rung in made} | custom_rungs(self.settings.adapt.rungs)
        return Executor(self.fine_tune, rungs, past=past, versions=versions)

    def fit(self, panel: xr.Dataset, seed: int, progress: Callable[[float], None] | None = None) -> Forecaster:
        """Fit the base that the settings name on a context panel; driver variables are those beside the target.
        ``progress`` hears the share that is done."""
        base = self.settings.base
        return fit_base(base.model, panel, self.request, steps=base.steps, seed=seed, progress=progress)

    @property
    def clock(self) -> Clock:
        """Which stamps the target has: as its source's settings say, else as the store found."""
        stream = self.settings.stream
        told: dict[str, str] = {"step": span_text(stream.step)}
        for source in self.settings.sources:
            if source.domain == stream.domain and (source.anchor or source.calendar):
                told |= {"anchor": source.anchor} if source.anchor else {}
                told |= {"calendar": source.calendar} if source.calendar else {}
                return Clock.of(told)
        held = self.store.read().clock(stream.domain)
        return held if held is not None and pd.Timedelta(held.step) == stream.step else Clock.of(told)

    def floor(self, now: np.datetime64) -> np.datetime64:
        """The last tick of the cadence at or before ``now``, both on the loop's even axis (see ``streams.clock``)."""
        return self.clock.floor(now, nanoseconds(self.settings.stream.cadence))

    def history(self, view: View, since: np.datetime64 | None = None) -> InMemoryHistory | EvenHistory:
        """All domains held, rows from the even instant ``since`` on, with stamps on the loop's even axis."""
        clock = self.clock
        held = view.history(None if since is None else clock.shown(since))
        return EvenHistory(held, clock) if clock.calendar else held


def open_store(config: str | Path) -> Store:
    """The store of a settings file alone; a relative folder lies beside the file."""
    settings = read_settings(config)
    location = settings.store.location
    return Store.open(location if "://" in location else settings.path(location))
