"""Messages of an MQTT broker: QoS 1, a persistent session, acknowledged only when they are in the store.

The broker keeps what comes while nobody listens and sends again what was not acknowledged. A message that was
committed but whose acknowledgement was lost is known by its number and digest, which stand in the cursor. For
Mosquitto set ``max_queued_messages 0`` (by default it drops what exceeds 1000 waiting messages) and ``persistence
true`` (to keep the session over its own restart).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from streams.sources.contract import Batch, Cursor, SourceError
from streams.sources.panels import arranged
from streams.sources.rows import Report, RowError, Terms, report_of

NOT_JSON = "not JSON"
OTHER_TOPIC = "a topic that fits no pattern"
RETAINED = "a retained message without a stamp"
SESSION_SECONDS = 30 * 24 * 3600


class Topics:
    """Topic patterns with named parts; what is named there stands in for a field of the payload.

    >>> topics = Topics(["city/{node}/air/{variable}"])
    >>> topics.filters, topics.fields("city/dongsi/air/pm25")
    (('city/+/air/+',), {'node': 'dongsi', 'variable': 'pm25'})
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.filters = tuple(re.sub(r"\{\w+\}", "+", pattern) for pattern in patterns)
        self._forms = []
        for pattern in patterns:
            form = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}").replace(r"\+", "[^/]+")
            form = re.sub(r"/?\\?#$", "(?:/.*)?", form)
            self._forms.append(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", form)))

    def fields(self, topic: str) -> dict[str, str] | None:
        """The named parts of a topic, None where it fits no pattern."""
        found = (form.fullmatch(topic) for form in self._forms)
        return next((match.groupdict() for match in found if match), None)


class MqttSource:
    """A subscription. A payload is a JSON object (or a list of them), or a number where the topic names the variable.

    ``topics``: patterns such as ``city/{node}/air`` or ``city/{node}/{variable}``; wildcards ``+`` and ``#`` may
    stand beside. ``clock`` tells the time of arrival (UTC). ``client``: the session's name at the broker, the same
    for ever and used by one process at a time. ``password_from``: the environment variable with the password.
    ``most``: messages under way at once, which is also the most a transaction takes. A look ends after ``quiet``
    seconds without a message, after ``patience`` seconds, or with ``most`` messages.
    """

    def __init__(self, name: str, terms: Terms, topics: Sequence[str], clock: Callable[[], np.datetime64], *,
                 host: str = "127.0.0.1", port: int = 1883, client: str = "terracast", user: str | None = None,
                 password_from: str | None = None, tls: bool = False, most: int = 1000, quiet: float = 0.5,
                 patience: float = 20.0) -> None:
        self.name, self.domain, self.terms = name, terms.domain, terms
        self._topics, self._clock = Topics(topics), clock
        self._host, self._port, self._client_name = host, port, client
        self._user, self._password_from, self._tls = user, password_from, tls
        self._most, self._quiet, self._patience = most, quiet, patience
        self._client: Client | None = None
        self._ready, self._refused = False, ""
        self._waiting: list[tuple[MQTTMessage, np.datetime64]] = []  # delivered, not acknowledged
        self._handed_over, self._more = 0, False

    @property
    def more(self) -> bool:
        """Whether the last look ended at its limit."""
        return self._more

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        """The messages that came since the last look, as few panels as possible; see ``streams.sources.panels``."""
        self._listen()
        waiting = tuple(self._waiting)
        self._handed_over = len(waiting)
        taken = [tuple(pair) for pair in cast("list[list[object]]", (cursor or {}).get("taken", []))]
        known = set(taken)
        reports: list[Report] = []
        rejected: dict[str, int] = {}
        faults: list[str] = []
        for message, arrived in waiting:
            mark = (message.mid, hashlib.sha256(message.topic.encode() + b"\0" + message.payload).hexdigest()[:12])
            if message.dup and mark in known:  # in the store already, only the acknowledgement was lost
                continue
            taken.append(mark)
            try:
                reports += self._reports(message, arrived)
            except RowError as error:
                rejected[error.reason] = rejected.get(error.reason, 0) + 1
                faults.append(str(error))
        if not waiting:
            return
        # At most ``most`` messages are under way, and acknowledgements arrive in order: no older one comes again.
        after = {"taken": [list(mark) for mark in taken[-self._most:]]}
        item = f"{len(waiting)} messages"
        pieces = arranged(reports, self.terms)
        for panel in pieces.panels:
            yield Batch(self.domain, panel, None, item)
        left_out = rejected | pieces.rejected
        yield Batch(self.domain, None, after, item, rejected=left_out, duplicate=pieces.repeated,
                    notes=tuple(faults[:3]))

    def committed(self) -> None:
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

    def subscribe(self) -> None:
        """Open the session at the broker, so that it keeps messages from now on."""
        self._connect()

    def _listen(self) -> None:
        deadline = time.monotonic() + self._patience
        self._connect()
        last, self._more = time.monotonic(), True
        while len(self._waiting) < self._most and time.monotonic() < deadline:
            count = len(self._waiting)
            if self._loop(0.05) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._connect()
            if len(self._waiting) != count:
                last = time.monotonic()
            elif time.monotonic() - last > self._quiet:
                self._more = False
                return

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

    def _connect(self) -> None:
        if self._client is not None and self._ready and self._client.is_connected():
            return
        self._forget()
        self._client = self._new_client()
        session: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._refused = ""
        session.SessionExpiryInterval = SESSION_SECONDS
        session.ReceiveMaximum = self._most
        try:
            self._client.connect(self._host, self._port, keepalive=120, clean_start=False, properties=session)
        except (OSError, ValueError) as failed:
            raise self._error(f"cannot be reached ({failed})") from None
        deadline = time.monotonic() + 10
        while not self._ready:
            result = self._client.loop(0.05)
            if self._refused or result != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline:
                raise self._error(self._refused or f"does not answer ({result.name})")

    def _new_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_name, protocol=MQTTv5, manual_ack=True)
        if self._user is not None:
            client.username_pw_set(self._user, os.environ.get(self._password_from or "", "") or None)
        if self._tls:
            client.tls_set()

        def connected(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                self._refused = f"refuses the connection ({reason})"
            else:
                client.subscribe([(topic, _options()) for topic in self._topics.filters])

        def subscribed(_client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
            failed = [str(reason) for reason in reasons if reason.is_failure]
            self._refused = f"refuses the subscription ({failed[0]})" if failed else ""
            self._ready = not failed

        def arrived(_client: Client, _data: Any, message: MQTTMessage) -> None:
            self._waiting.append((message, self._clock()))

        client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, arrived
        return client

    def _reports(self, message: MQTTMessage, arrived: np.datetime64) -> list[Report]:
        try:
            topic = message.topic
            payload = json.loads(message.payload)
        except (ValueError, RecursionError):
            raise self._fault(NOT_JSON, f"the payload is {message.payload[:40]!r}", self.name) from None
        fields = self._topics.fields(topic)
        if fields is None:
            raise self._fault(OTHER_TOPIC, f"topic {topic!r} fits no pattern", self.name)
        if message.retain and self.terms.time is None:
            raise self._fault(RETAINED, "a retained message has no stamp of its own", topic)
        named = {self.terms.node if key == "node" else key: value for key, value in fields.items()}
        variable = named.pop("variable", None)
        reports = []
        for row in payload if isinstance(payload, list) else [payload]:
            if not isinstance(row, dict):
                if variable is None or self.terms.time is not None:
                    raise self._fault(NOT_JSON, f"the payload is {str(row)[:40]!r}", topic)
                row = {variable: row}
            elif variable is not None and self.terms.variable is None:
                rest = {key: value for key, value in row.items() if key != self.terms.value}
                row = {**rest, variable: row.get(self.terms.value, row.get(variable))}
            elif variable is not None:
                row = {**row, self.terms.variable: variable}
            reports.append(report_of({**row, **named}, self.terms, arrived, topic))
        return reports

    def _fault(self, reason: str, what: str, where: str) -> RowError:
        return RowError(reason, what, where=where, expected="a JSON object with stamp and values",
                        remedy="correct the sender or the topic patterns")

    def _error(self, what: str) -> SourceError:
        return SourceError(f"the MQTT broker {what}", where=f"{self._host}:{self._port}",
                           expected="a broker that takes the session",
                           remedy="check address, user and rights; nothing is lost, the broker keeps the messages")


def _options() -> Any:
    from paho.mqtt.subscribeoptions import SubscribeOptions

    return SubscribeOptions(qos=1)
