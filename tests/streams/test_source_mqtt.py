"""MQTT against a real Mosquitto: mapping of topics, a session that outlives the listener, kills at any instant."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from terracast.streams.sources import SourceError, Terms, drain
from terracast.streams.sources.mqtt import NOT_JSON, MqttSource
from terracast.streams.store import Store
from tests.streams.row_forms import FORMS, NAMES, RowForm, said_by
from tests.streams.servers import MOSQUITTO, ROOT, free_port, mosquitto, stop

pytestmark = [pytest.mark.integration,
              pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed (apt-get install mosquitto)")]
END = np.datetime64("2100-01-01")
NOW = np.datetime64("2020-02-01T00:00", "ns")
HOURLY = Terms("air", pd.Timedelta("1h"), delay=pd.Timedelta("1h"))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as port:
        yield port


def send(port: int, messages: list[tuple[str, bytes | str]]) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(2000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        for info in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            info.wait_for_publish(20)
    finally:
        client.disconnect()
        client.loop_stop()


def listener(port: int, name: str, topics: list[str], terms: Terms = HOURLY, **more: object) -> MqttSource:
    source = MqttSource(name, terms, topics, lambda: NOW, port=port, client=name, quiet=0.15, **more)
    source.subscribe()
    source.close()
    return source


def hourly(name: str, count: int, nodes: int = 10) -> list[tuple[str, str]]:
    start = pd.Timestamp("2020-01-01")
    return [(f"{name}/n{number % nodes}/air", json.dumps(
        {"time": (start + pd.Timedelta(hours=number // nodes)).isoformat() + "Z", "no2": number}))
        for number in range(count)]


def test_what_came_while_nobody_listened(port: int, tmp_path: Path) -> None:
    source, store = listener(port, "away", ["away/{node}/air"], most=300), Store.open(tmp_path)
    send(port, hourly("away", 1000))
    answers = drain([source], store)
    source.close()
    assert sum(one.new for one in answers) == 1000 and len(answers) == 4  # at most 300 a transaction
    panel = store.read().as_known_at("air", END)
    assert np.array_equal(np.sort(panel.no2.values, axis=None), np.arange(1000.0))
    again = listener(port, "away", ["away/{node}/air"])
    assert drain([again], store) == ()
    again.close()


def test_a_topic_per_variable_and_broken_payloads(port: int, tmp_path: Path) -> None:
    terms = Terms("air", pd.Timedelta("1h"), time=None, stamps="floor")
    source, store = listener(port, "plain", ["plain/{node}/{variable}"], terms), Store.open(tmp_path)
    send(port, [("plain/a/no2", "12.5"), ("plain/a/temp", "-3"), ("plain/b/no2", "nonsense"), ("plain/b/no2", b"\xff"),
                ("plain/b/no2", '{"value": 7}'), ("plain/b/no2", '"much"')])
    (answer,) = drain([source], store)
    source.close()
    assert answer.new == 2 and answer.rejected == {NOT_JSON: 2, "a value is no number": 1}
    assert len(answer.notes) == 3 and not any("\n" in note for note in answer.notes)
    panel = store.read().as_known_at("air", END)
    assert panel.no2.values.tolist() == [[12.5, 7]] and panel.temp.values[0, 0] == -3


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_messages_in_the_forms_that_files_have(port: int, tmp_path: Path, form: RowForm) -> None:
    name = f"form{FORMS.index(form)}"
    source, store = listener(port, name, [f"{name}/#"], form.terms()), Store.open(tmp_path)
    send(port, [(f"{name}/x", json.dumps({"readings": form.rows}))])
    (answer,) = drain([source], store)
    source.close()
    assert not answer.rejected and not answer.refused
    panel = store.read().as_known_at("air", END)
    assert said_by(panel) == form.said
    assert {variable: panel[variable].attrs["units"] for variable in form.units} == form.units


def test_numbers_with_a_decimal_comma_and_objects_within_objects(port: int, tmp_path: Path) -> None:
    terms = Terms("air", pd.Timedelta("1h"), time=None, stamps="floor", reading={"decimal": ","})
    source, store = listener(port, "comma", ["comma/{node}/{variable}"], terms), Store.open(tmp_path)
    send(port, [("comma/a/no2", "12,5"), ("comma/b/no2", "n/a")])
    (answer,) = drain([source], store)
    source.close()
    assert answer.new == 1 and not answer.rejected
    terms = Terms("air", pd.Timedelta("1h"), time="Time", variables=("AM2301.Temperature",), delay=pd.Timedelta("1h"))
    source = listener(port, "nested", ["nested/{node}/SENSOR"], terms)
    send(port, [("nested/k/SENSOR", json.dumps({"Time": "2020-01-01T00:00:00", "AM2301": {
        "Temperature": 20.5, "Humidity": 40}, "TempUnit": "C"}))])
    drain([source], store)
    source.close()
    assert store.read().as_known_at("air", END)["AM2301.Temperature"].sel(node="k").values[0] == 20.5


def test_a_commit_that_fails_and_an_acknowledgement_that_is_lost(port: int, tmp_path: Path) -> None:
    """Sent again is counted once, also where a value was revised and the first report comes again."""
    terms = Terms("air", pd.Timedelta("1h"))
    source, store = listener(port, "again", ["again/{node}/air"], terms), Store.open(tmp_path)
    stamp = "2020-01-01T00:00Z"
    send(port, [("again/a/air", json.dumps({"time": stamp, "no2": value})) for value in (1, 2)])
    ticks = iter(NOW + np.arange(1000))
    source._session._clock = lambda: next(ticks)
    with pytest.raises(ZeroDivisionError), store.transaction("fails") as step:
        for batch in source.batches(step.cursor("again")):
            if batch.panel is not None:
                step.ingest("air", batch.panel)
        raise ZeroDivisionError
    source.close()  # nothing was acknowledged
    assert store.read().domains == ()
    for _ in range(2):  # committed, but the connection breaks before the acknowledgement
        with store.transaction("step") as step:
            for batch in source.batches(step.cursor("again")):
                if batch.panel is not None:
                    step.ingest("air", batch.panel)
                if batch.cursor is not None:
                    step.set_cursor("again", batch.cursor)
        assert len(source._session._waiting) == 2
        source.close()
    assert drain([source], store) == () and drain([source], store) == ()
    source.close()
    recorded = store.read().history().recorded("air")
    assert recorded.panel.no2.values.tolist() == [[1.0]]
    assert recorded.revisions["value"].tolist() == [2.0]


def test_a_broker_that_is_away_or_refuses(port: int, tmp_path: Path) -> None:
    store, away = Store.open(tmp_path), MqttSource("away", HOURLY, ["x/{node}"], lambda: NOW, port=free_port())
    (answer,) = drain([away], store)
    assert "cannot be reached" in str(answer.refused) and "\n" not in str(answer.refused)
    (tmp_path / "closed").mkdir()
    with mosquitto(tmp_path / "closed", f"acl_file {_acl(tmp_path)}\n") as closed:
        source = MqttSource("acl", HOURLY, ["x/{node}"], lambda: NOW, port=closed, client="acl", quiet=0.1)
        source.subscribe()  # Mosquitto grants a subscription and passes nothing on
        source.close()
    with pytest.raises(SourceError, match="broker"):
        source.subscribe()


def _acl(folder: Path) -> Path:
    (folder / "acl").write_text("topic read nothing/#\n")
    return folder / "acl"


LISTENER = """
import itertools
import sys
import numpy as np
import pandas as pd
from terracast.streams.sources import Terms, ingest_from
from terracast.streams.sources.mqtt import MqttSource
from terracast.streams.store import Store
store, ticks = Store.open(sys.argv[1]), itertools.count(int(sys.argv[3]))  # arrival times that never come twice
source = MqttSource("kill", Terms("air", pd.Timedelta("1h")), ["kill/{node}/air"],
                    lambda: np.datetime64("2021-01-01", "ns") + np.timedelta64(next(ticks), "ns"),
                    port=int(sys.argv[2]), client="kill", most=200, quiet=0.1)
source.subscribe()
print("ready", flush=True)
while True:
    with store.transaction("messages") as step:
        answers = ingest_from(source, step)
        kept = (step.state("kept") or {"rows": 0})["rows"]
        step.set_state("kept", {"rows": kept + sum(one.new + one.late for one in answers)})
    source.committed()
    print(kept, flush=True)
"""


def run_until_killed(command: list[str], rng: np.random.Generator) -> None:
    process = subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        for _ in range(int(rng.integers(1, 4))):
            assert process.stdout.readline()
        time.sleep(rng.uniform(0, 0.15))  # the instant of the kill, not a wait for anything
        process.kill()
    finally:
        stop(process)


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_killed_at_random_instants(port: int, tmp_path: Path, kills: int) -> None:
    """Every message is in the store, none twice, whatever instant the listener is killed at."""
    rng, count, place = np.random.default_rng(kills), 600 * kills, str(tmp_path / f"store{kills}")
    listener(port, "kill", ["kill/{node}/air"])
    messages = hourly("kill", count)
    for number in range(kills):
        send(port, messages[number * 600: (number + 1) * 600])
        run_until_killed([LISTENER, place, str(port), str(number * 10 ** 6)], rng)
    store = Store.open(place)
    last = MqttSource("kill", Terms("air", pd.Timedelta("1h")), ["kill/{node}/air"],
                      lambda: np.datetime64("2022-01-01"), port=port, client="kill", quiet=0.3)
    answers = drain([last], store)
    last.close()
    kept = store.read().state("kept")["rows"] + sum(one.new + one.late for one in answers)
    recorded = store.read().history().recorded("air")
    assert kept == count and len(recorded.revisions) == 0
    assert np.array_equal(np.sort(recorded.panel.no2.values, axis=None), np.arange(float(count)))
