"""Messages of an MQTT broker: QoS 1, a persistent session, acknowledged only when they are in the store.

The broker keeps what comes while nobody listens and sends again what was not acknowledged. A message that was
committed but whose acknowledgement was lost is known by its number and digest, which stand in the cursor. For
Mosquitto set ``max_queued_messages 0`` (by default it drops what exceeds 1000 waiting messages) and ``persistence
true`` (to keep the session over its own restart).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
from paho.mqtt.client import MQTTMessage

from terracast.streams.readers.numbers import numbers_of
from terracast.streams.readers.records import rows_of_json
from terracast.streams.sources.contract import Cursor, SourceBatch
from terracast.streams.sources.mqtt_session import Broker, Session
from terracast.streams.sources.panels import arranged
from terracast.streams.sources.reports import Arrival, Reported, reports_of_rows
from terracast.streams.sources.rows import RowError, Terms

NOT_JSON = "not JSON"
OTHER_TOPIC = "a topic that fits no pattern"
RETAINED = "a retained message without a stamp"


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
        self._topics, self._most, self._quiet, self._patience = Topics(topics), most, quiet, patience
        broker = Broker(host, port, client, user, password_from, tls)
        self._session = Session(broker, self._topics.filters, clock, most)
        self._more = False

    @property
    def more(self) -> bool:
        """Whether the last look ended at its limit."""
        return self._more

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """The messages that came since the last look, as few panels as possible; see ``streams.sources.panels``."""
        self._more = self._session.listen(self._quiet, self._patience)
        waiting = self._session.hand_over()
        taken = [tuple(pair) for pair in cast("list[list[object]]", (cursor or {}).get("taken", []))]
        known = set(taken)
        arrivals: list[Arrival] = []
        wrong: list[RowError] = []
        for message, arrived in waiting:
            mark = (message.mid, hashlib.sha256(message.topic.encode() + b"\0" + message.payload).hexdigest()[:12])
            if message.dup and mark in known:  # in the store already, only the acknowledgement was lost
                continue
            taken.append(mark)
            try:
                arrivals += self._rows(message, arrived)
            except RowError as error:
                wrong.append(error)
        if not waiting:
            return
        # At most ``most`` messages are under way, and acknowledgements arrive in order: no older one comes again.
        after = {"taken": [list(mark) for mark in taken[-self._most:]]}
        item = f"{len(waiting)} messages"
        reports, faults = reports_of_rows(arrivals, self.terms)
        pieces, lost = arranged(reports, self.terms), Reported([], [*wrong, *faults])
        for panel in pieces.panels:
            yield SourceBatch(self.domain, panel, None, item)
        yield SourceBatch(self.domain, None, after, item, rejected=lost.rejected | pieces.rejected,
                          duplicate=pieces.repeated, notes=tuple(map(str, lost.faults[:3])))

    def committed(self) -> None:
        """Acknowledge the messages handed over, in order."""
        self._session.acknowledge()

    def close(self) -> None:
        """Disconnect; the session stays at the broker."""
        self._session.close()

    def subscribe(self) -> None:
        """Open the session at the broker, so that it keeps messages from now on."""
        self._session.connect()

    def _rows(self, message: MQTTMessage, arrived: np.datetime64) -> list[Arrival]:
        """The rows of a message, in any form that JSON files have, with what its topic says."""
        topic, payload = message.topic, self._payload(message)
        fields = self._topics.fields(topic)
        if fields is None:
            raise self._fault(OTHER_TOPIC, f"topic {topic!r} fits no pattern", self.name)
        if message.retain and self.terms.time is None:
            raise self._fault(RETAINED, "a retained message has no stamp of its own", topic)
        named = {str(self.terms.node) if key == "node" else key: value for key, value in fields.items()}
        variable = named.pop("variable", None)
        rows = []
        said: list[object] = [*rows_of_json(payload)]
        for row in said or (payload if isinstance(payload, list) else [payload]):
            if not isinstance(row, dict):
                if variable is None or self.terms.time is not None:
                    raise self._fault(NOT_JSON, f"the payload is {str(row)[:40]!r}", topic)
                row = {self.terms.variable: variable, self.terms.value: row} if self.terms.variable else {variable: row}
            elif variable is not None and self.terms.variable is None:
                rest = {key: value for key, value in row.items() if key != self.terms.value}
                row = {**rest, variable: row.get(self.terms.value, row.get(variable))}
            elif variable is not None:
                row = {**row, self.terms.variable: variable}
            rows.append(Arrival({**row, **named}, arrived, topic))
        return rows

    def _payload(self, message: MQTTMessage) -> object:
        """What a message holds: JSON, or a number as text, such as ``12,5``."""
        try:
            return json.loads(message.payload)
        except (ValueError, RecursionError):
            text = bytes(message.payload).decode("utf-8", "replace").strip()
        values, wrong = numbers_of(np.array([text], dtype=object), "value", self.terms.wanted)
        if wrong[0] or (np.isnan(values[0]) and not text):
            raise self._fault(NOT_JSON, f"the payload is {message.payload[:40]!r}", self.name) from None
        return text

    def _fault(self, reason: str, what: str, where: str) -> RowError:
        return RowError(reason, what, where=where, expected="a JSON object with stamp and values",
                        remedy="correct the sender or the topic patterns")
