"""Terracast: forecasts over space and time that stay true while the world changes.

The public names, each fetched when it is first used, so that ``import terracast`` costs nothing:

>>> import terracast as tc
>>> "discover" in dir(tc)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in ROOM_OF, for readers and type checkers
    from terracast.adapt.clock import Moment as Moment
    from terracast.adapt.evaluation.replay import replay as replay
    from terracast.adapt.loop import Loop as Loop
    from terracast.adapt.monitoring.detection.conformance import DetectorConformance as DetectorConformance
    from terracast.adapt.monitoring.detection.detector import Detector as Detector
    from terracast.adapt.monitoring.monitor import Monitor as Monitor
    from terracast.adapt.rungs.conformance import RungConformance as RungConformance
    from terracast.causal.discover import discover as discover
    from terracast.causal.graph.graph import CausalGraph as CausalGraph
    from terracast.causal.knowledge import Knowledge as Knowledge
    from terracast.causal.search.robust_search import robust_search as robust_search
    from terracast.drivers.direct_causes import choose_drivers as choose_drivers
    from terracast.drivers.selection import select_by_ablation as select_by_ablation
    from terracast.registry.versions import Registry as Registry
    from terracast.stfm.base.model import Base as Base
    from terracast.stfm.conformance import ForecasterConformance as ForecasterConformance
    from terracast.stfm.forecaster import Forecaster as Forecaster
    from terracast.stfm.forecaster import Request as Request
    from terracast.stfm.seasonal_naive import SeasonalNaive as SeasonalNaive
    from terracast.streams.bitemporal import InMemoryHistory as InMemoryHistory
    from terracast.streams.errors import TerracastError as TerracastError
    from terracast.streams.panel import check_panel as check_panel
    from terracast.streams.quality import judge as judge
    from terracast.streams.quality import learn as learn
    from terracast.streams.readers import read as read
    from terracast.streams.sources.conformance import SourceConformance as SourceConformance
    from terracast.streams.store import Store as Store

ROOM_OF = {
    "read": "streams.readers", "check_panel": "streams.panel", "learn": "streams.quality", "judge": "streams.quality",
    "Store": "streams.store", "InMemoryHistory": "streams.bitemporal", "TerracastError": "streams.errors",
    "Base": "stfm.base.model", "Forecaster": "stfm.forecaster", "Request": "stfm.forecaster",
    "SeasonalNaive": "stfm.seasonal_naive",
    "ForecasterConformance": "stfm.conformance", "SourceConformance": "streams.sources.conformance",
    "Loop": "adapt.loop", "Moment": "adapt.clock", "replay": "adapt.evaluation.replay",
    "Monitor": "adapt.monitoring.monitor", "Detector": "adapt.monitoring.detection.detector",
    "DetectorConformance": "adapt.monitoring.detection.conformance",
    "RungConformance": "adapt.rungs.conformance",
    "discover": "causal.discover", "robust_search": "causal.search.robust_search",
    "Knowledge": "causal.knowledge",
    "CausalGraph": "causal.graph.graph",
    "choose_drivers": "drivers.direct_causes", "select_by_ablation": "drivers.selection",
    "Registry": "registry.versions",
}
__all__ = sorted(ROOM_OF)


def __getattr__(name: str) -> object:
    if name not in ROOM_OF:
        raise AttributeError(f"module 'terracast' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"terracast.{ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
