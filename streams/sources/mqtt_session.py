"""A persistent session at an MQTT broker: messages at QoS 1, acknowledged by hand and in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from terracast.streams.sources.contract import SourceError

SESSION_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Broker:
    """Where the session is and as whom; ``password_from``: the environment variable with the password."""

    host: str = "127.0.0.1"
    port: int = 1883
    client: str = "terracast"
    user: str | None = None
    password_from: str | None = None
    tls: bool = False


class Session:
    """The session; at most ``most`` messages are under way at once. ``clock`` tells the time of arrival (UTC)."""

    def __init__(self, broker: Broker, filters: Sequence[str], clock: Callable[[], np.datetime64], most: int) -> None:
        self._broker, self._filters, self._clock, self._most = broker, filters, clock, most
        self._client: Client | None = None
        self._ready, self._refused = False, ""
        self._waiting: list[tuple[MQTTMessage, np.datetime64]] = []  # delivered, not acknowledged
        self._handed_over = 0

    def hand_over(self) -> tuple[tuple[MQTTMessage, np.datetime64], ...]:
        """All messages that wait, with their times of arrival; ``acknowledge`` is about these."""
        self._handed_over = len(self._waiting)
        return tuple(self._waiting)

    def acknowledge(self) -> None:
        """Acknowledge the messages handed over, in order."""
        done, self._waiting = self._waiting[: self._handed_over], self._waiting[self._handed_over:]
        self._handed_over = 0
        if self._client is None:
            return
        for message, _ in done:
            if self._client.ack(message.mid, message.qos) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break  # the connection is gone: the broker sends them again and the cursor knows them
        deadline = time.monotonic() + 5
        while self._client.want_write() and self._client.is_connected() and time.monotonic() < deadline:
            self._client.loop(0.05)

    def close(self) -> None:
        """Disconnect; the session stays at the broker."""
        if self._client is not None:
            self._client.disconnect()
            self._forget()
            self._client = None

    def listen(self, quiet: float, patience: float) -> bool:
        """Take messages until none came for ``quiet`` seconds (False), or to the limit of time or number (True)."""
        deadline = time.monotonic() + patience
        self.connect()
        last = time.monotonic()
        while len(self._waiting) < self._most and time.monotonic() < deadline:
            count = len(self._waiting)
            if self._loop(0.05) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self.connect()
            if len(self._waiting) != count:
                last = time.monotonic()
            elif time.monotonic() - last > quiet:
                return False
        return True

    def connect(self) -> None:
        """Open the session where it is not open; the broker keeps messages from the first time on."""
        if self._client is not None and self._ready and self._client.is_connected():
            return
        self._forget()
        client = self._client = self._new_client()
        self._refused = ""
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=120, clean_start=False,
                           properties=_properties(self._most))
        except (OSError, ValueError) as failed:
            raise self._error(f"cannot be reached ({failed})") from None
        deadline = time.monotonic() + 10
        while not self._ready:
            result = client.loop(0.05)
            if self._refused or result != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline:
                raise self._error(self._refused or f"does not answer ({result.name})")

    def _loop(self, seconds: float) -> MQTTErrorCode:
        assert self._client is not None
        result = self._client.loop(seconds)
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._forget()
        return result

    def _forget(self) -> None:
        """The connection is gone: all that was not acknowledged will be sent again."""
        self._ready = False
        self._waiting.clear()
        self._handed_over = 0

    def _new_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._broker.client, protocol=MQTTv5, manual_ack=True)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, os.environ.get(self._broker.password_from or "", "") or None)
        if self._broker.tls:
            client.tls_set()

        def connected(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                self._refused = f"refuses the connection ({reason})"
            else:
                client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._filters])

        def subscribed(_client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
            failed = [str(reason) for reason in reasons if reason.is_failure]
            self._refused = f"refuses the subscription ({failed[0]})" if failed else ""
            self._ready = not failed

        def arrived(_client: Client, _data: Any, message: MQTTMessage) -> None:
            self._waiting.append((message, self._clock()))

        client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, arrived
        return client

    def _error(self, what: str) -> SourceError:
        return SourceError(f"the MQTT broker {what}", where=f"{self._broker.host}:{self._broker.port}",
                           expected="a broker that takes the session",
                           remedy="check address, user and rights; nothing is lost, the broker keeps the messages")


def _properties(most: int) -> Properties:
    made: Callable[[int], Any] = Properties  # paho says no types here
    session = made(PacketTypes.CONNECT)
    session.SessionExpiryInterval = SESSION_SECONDS
    session.ReceiveMaximum = most
    return session
