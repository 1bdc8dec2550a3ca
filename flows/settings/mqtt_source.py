"""Sources of type ``mqtt``: messages of a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from terracast.flows.settings.rows_source import RowsSourceSettings
from terracast.flows.settings.source import SourceContext

if TYPE_CHECKING:  # brings its own library along
    from terracast.streams.sources.mqtt import MqttSource


class MqttSourceSettings(RowsSourceSettings):
    """``topics`` at ``host``; ``client`` names the session, ``password_from`` the environment variable."""

    type: Literal["mqtt"] = "mqtt"
    topics: tuple[str, ...] = Field(min_length=1)
    host: str = "127.0.0.1"
    port: int = Field(default=1883, gt=0)
    client: str = "terracast"
    user: str | None = None
    password_from: str | None = None
    tls: bool = False

    def build(self, context: SourceContext) -> MqttSource:
        """A subscription to the topics."""
        from terracast.streams.sources.mqtt import MqttSource

        return MqttSource(f"{self.domain}:mqtt:{','.join(self.topics)}", self.terms(), self.topics, context.clock,
                          host=self.host, port=self.port, client=self.client, user=self.user,
                          password_from=self.password_from, tls=self.tls)
