"""Everything in force, as one frozen value."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import model_validator

from terracast.flows.settings.alerts import AlertSettings
from terracast.flows.settings.names import as_model
from terracast.flows.settings.sections import (
    AdaptSettings,
    BaseSettings,
    DiscoverySettings,
    MonitorSettings,
    RegistrySettings,
    StoreSettings,
    StreamSettings,
    UpkeepSettings,
)
from terracast.flows.settings.source_types import AnySource
from terracast.flows.settings.values import Frozen


class Settings(Frozen):
    """Everything in force; relative paths are taken from ``folder``, where the file lies."""

    folder: Path
    stream: StreamSettings
    sources: tuple[AnySource, ...]
    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    base: BaseSettings = BaseSettings()
    monitor: MonitorSettings = MonitorSettings()
    adapt: AdaptSettings = AdaptSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    alerts: AlertSettings = AlertSettings()
    upkeep: UpkeepSettings = UpkeepSettings()

    @model_validator(mode="after")
    def _target_has_a_source(self) -> Settings:
        """The target is a variable of a source of the stream's own domain, where the sources say what they hold."""
        stream, own = self.stream, [one for one in self.sources if one.domain == self.stream.domain]
        if not own and self.sources:
            domains = ", ".join(sorted({one.domain for one in self.sources}))
            raise ValueError(f"stream.domain is {stream.domain!r}, and no [[sources]] has it (they have {domains})")
        named = [name for one in own for name in one.variables]
        if named and stream.target not in named and all(one.variables for one in own):
            raise ValueError(f"stream.target is {stream.target!r}, and the sources of domain {stream.domain!r} hold "
                             + ", ".join(named))
        return self

    def path(self, text: str) -> Path:
        """A path of the file, taken from the folder the file lies in."""
        return (self.folder / text).resolve()

    @property
    def model_name(self) -> str:
        """The name of the stream's model in MLflow."""
        return as_model(f"{self.stream.name}-{self.stream.target}")

    def digest(self) -> str:
        """Names these settings in lineage; neither the folder nor who is told counts, nor what is tidied when."""
        return hashlib.sha256(self.model_dump_json(exclude={"folder", "alerts", "upkeep"}).encode()).hexdigest()[:12]
