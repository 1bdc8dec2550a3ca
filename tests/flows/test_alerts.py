"""Alerts by the way people get them: a webhook and a mail server on loopback, the commands, default settings."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.alarm_text import Subject
from terracast.adapt.monitoring.episodes.episodes import Episode, EvidenceSum
from terracast.flows.alerting.message import Message
from terracast.flows.alerting.outbox import STATE, deliver_alerts, kept, post_episode_alerts
from terracast.flows.alerting.sending import send
from terracast.flows.running.failures import failure_alerts
from terracast.flows.running.forms import Forms
from terracast.flows.running.page import served
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.settings.alerts import AlertSettings
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError
from tests.flows.cases import CASES, case_since
from tests.flows.made_once import MadeOnce
from tests.flows.receivers import Webhook, mail_server, webhook
from tests.small_disk import mounted

AT = np.datetime64("2024-03-04T06", "ns")
NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as made:
        yield made


def types(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", "from terracast.flows.command import main; main()", *words],
                          cwd=folder, capture_output=True, text=True)


def telling(config: Path, section: str) -> None:
    config.write_text(f"{config.read_text()}\n[alerts]\n{section}\n")


def episode(name: str, **parts: Any) -> Episode:
    clue = Evidence(AT, AT, ("Dongsi",), "level", "up", 3.0, amount=31.0)
    made = Episode(name, "level", "opened", AT, AT, AT, {"Dongsi": 3.0}, {"level": EvidenceSum.of(AT, clue)},
                   subject=Subject("NO2", "ug m-3", 12, 1.0))
    return replace(made, **parts)


def stronger(name: str, strength: float) -> Episode:
    clue = Evidence(AT, AT, ("Dongsi",), "level", "up", strength, amount=31.0)
    return episode(name, phase="growing", by_type={"level": EvidenceSum.of(AT, clue)})


def post(workspace: Workspace, *changed: Episode) -> None:
    with workspace.store.transaction("a step") as step:
        post_episode_alerts(step, workspace.settings.alerts, "air", changed)


def state_of(workspace: Workspace) -> Mapping[str, Any]:
    return kept(workspace.store.read().state(STATE))


def test_a_dead_feed_reaches_a_person_once_with_a_picture_and_can_be_acknowledged(
        tmp_path: Path, hook: Webhook, made_once: MadeOnce) -> None:
    made_once.give_registry(tmp_path)
    file = case_since("feed-that-ended", "2023-12-01", tmp_path)
    types(tmp_path, "init", "mine", "--from", str(file), "--folder", ".")
    telling(tmp_path / "terracast.toml", f'to = ["{hook.address}"]\npage = "http://watch.example.org"')
    step = types(tmp_path, "watch", "--once", "--json", "--now", "2026-11-28T22:00")
    assert step.returncode == 3, step.stderr
    (told,) = hook.got
    assert told["title"].startswith("mine: ") and "Nothing came" in told["title"], told["title"]
    assert "2024-12-31" in told["message"] and "http://watch.example.org" in told["message"]
    assert "the data are at fault" in told["message"].lower()
    (picture,) = told["attachments"]
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG") and picture["mimetype"] == "image/png"

    types(tmp_path, "watch", "--once", "--now", "2026-11-28T23:00")
    assert len(hook.got) == 1, "what was told is not told again"
    held = json.loads(types(tmp_path, "alerts", "--json").stdout)
    assert held["addresses"][0]["kinds"] == ["drift", "data", "graph", "system"] and held["waiting"] == []
    (name,) = json.loads(types(tmp_path, "status", "--json").stdout)["streams"][0]["open_episodes"]
    wrong = types(tmp_path, "ack", "no-such", "--by", "Ann")
    assert wrong.returncode == 1 and name["id"] in wrong.stderr and wrong.stderr.strip().count("\n") == 0
    assert types(tmp_path, "ack", name["id"], "--by", "Ann", "--note", "asked the owner").returncode == 0
    assert "Ann looks after it: asked the owner" in types(tmp_path, "status").stdout
    assert f"terracast ack {name['id']}" in told["message"], "what the message says can be typed"


def test_every_address_is_tried(tmp_path: Path, hook: Webhook) -> None:
    types(tmp_path, "init", "mine", "--from", str(CASES / "feed-that-ended.csv"), "--folder", ".")
    assert "nobody is told" in types(tmp_path, "alerts").stdout
    telling(tmp_path / "terracast.toml", f'to = ["{hook.address}"]\ndata = ["json://127.0.0.1:9/nobody"]')
    tried = types(tmp_path, "alerts", "--test")
    assert tried.returncode == 1 and hook.titles == ["mine: test"]
    assert f"{hook.address}: arrived" in tried.stdout and "9/nobody: did not arrive" in tried.stdout


def test_fifty_episodes_in_a_step_are_one_message_and_none_comes_twice(small_city, hook: Webhook) -> None:  # type: ignore[no-untyped-def]
    telling(small_city.config, f'drift = ["{hook.address}"]\npicture = false')
    workspace = small_city.open()
    post(workspace, *(episode(f"e{number}") for number in range(50)))
    assert deliver_alerts(workspace, NOON).sent == 1 and deliver_alerts(workspace, NOON).sent == 0
    assert hook.titles == ["city: 50 alerts"] and hook.got[0]["message"].count("31 µg m⁻³ above forecast") >= 50
    post(workspace, stronger("e1", 4.0))
    assert deliver_alerts(workspace, NOON).sent == 0, "it grew, but not much"
    post(workspace, stronger("e1", 9.0))
    post(workspace, episode("e2", phase="closed", closed=AT), episode("unknown", phase="closed", closed=AT))
    assert deliver_alerts(workspace, NOON).sent == 1
    assert hook.titles[1] == "city: 2 alerts"
    assert "air: more: " in hook.got[1]["message"] and "air: closed: " in hook.got[1]["message"]


def test_who_does_not_answer_gets_it_later_and_is_told_of(small_city, hook: Webhook, capsys) -> None:  # type: ignore[no-untyped-def]
    with webhook() as other:
        telling(small_city.config, f'to = ["{hook.address}", "{other.address}"]\npicture = false')
        workspace = small_city.open()
        other.answers = 503
        post(workspace, episode("e1"))
        done = deliver_alerts(workspace, NOON)
        assert (done.sent, done.waiting) == (1, 1) and other.address in done.failing[0]
        assert f"Alerts wait for {other.address}" in types(small_city.folder, "status").stdout
        other.answers = 200
        assert deliver_alerts(workspace, NOON + timedelta(seconds=5)).sent == 0, "not at once"
        assert deliver_alerts(workspace, NOON + timedelta(minutes=1)) == replace(done, sent=1, waiting=0, failing=())
        assert len(hook.got) == len(other.got) == 1


def test_quiet_hours_digest_and_mute_let_alerts_wait_and_lose_none(small_city, hook: Webhook) -> None:  # type: ignore[no-untyped-def]
    telling(small_city.config, f'to = ["{hook.address}"]\nquiet_hours = "22:00-07:00"\ndigest = "6h"\npicture = false')
    workspace, night = small_city.open(), NOON.replace(hour=23)
    post(workspace, episode("e1"))
    assert deliver_alerts(workspace, night) == replace(deliver_alerts(workspace, night), sent=0, waiting=1)
    assert deliver_alerts(workspace, night + timedelta(hours=8)).sent == 1
    post(workspace, episode("e2"))
    post(workspace, episode("e3"))
    assert deliver_alerts(workspace, night + timedelta(hours=9)).waiting == 2, "one message in six hours"
    assert deliver_alerts(workspace, night + timedelta(hours=15)).sent == 1 and hook.titles[-1] == "city: 2 alerts"
    assert types(small_city.folder, "ack", "--mute", "365d").returncode == 0
    post(workspace, episode("e4"))
    assert deliver_alerts(workspace, datetime.now(UTC).replace(hour=12)).sent == 0
    assert types(small_city.folder, "ack", "--mute", "0s").returncode == 0
    assert deliver_alerts(workspace, datetime.now(UTC).replace(hour=12) + timedelta(days=1)).sent == 1


DELIVERY = """
import sys
from datetime import datetime
from pathlib import Path
from terracast.flows.alerting.outbox import deliver_alerts
from terracast.flows.workspace import Workspace
done = deliver_alerts(Workspace.open(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
print(done.sent, done.waiting)
from terracast.flows.cli.leaving import leave
leave(0)
"""


def test_a_kill_while_a_message_is_under_way_repeats_it_once_and_under_the_same_id(  # type: ignore[no-untyped-def]
        small_city, hook: Webhook) -> None:
    telling(small_city.config, f'to = ["{hook.address}"]\npicture = false')
    post(small_city.open(), episode("e1"))

    def delivery() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", DELIVERY, str(small_city.config), NOON.isoformat()],
                                stdout=subprocess.PIPE, text=True)

    killed = delivery()
    hook.first = killed.kill  # between the message and what its sender writes down of it
    assert killed.communicate()[0] == "" and killed.returncode == -signal.SIGKILL
    hook.first = lambda: None
    post(small_city.open(), episode("e2"))  # what came since is another message
    assert delivery().communicate()[0] == "1 1\n"
    assert hook.titles == [hook.titles[0]] * 2 and hook.keys[0] == hook.keys[1] is not None
    assert f"Message {hook.keys[0]}" in hook.got[0]["message"]
    assert delivery().communicate()[0] == "1 0\n" and len(set(hook.keys)) == 2
    assert delivery().communicate()[0] == "0 0\n" and len(hook.got) == 3


FULL_DISK = r"""
import shutil, sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
sys.path.append(sys.argv[3])  # not first: rooms are found as they are installed
from terracast.flows.alerting.outbox import deliver_alerts
from terracast.flows.workspace import Workspace
from tests.flows.receivers import webhook
from tests.flows.test_alerts import NOON, episode, post, telling
place = Path(sys.argv[1])
ballast = place / "ballast"

def fill():
    for size in (2**16, 1):
        with suppress(OSError), ballast.open("ab", buffering=0) as much:
            while True:
                much.write(bytes(size))

with webhook() as hook:
    shutil.copy(sys.argv[2], place / "terracast.toml")
    (place / "incoming").mkdir()
    telling(place / "terracast.toml", f'to = ["{hook.address}"]\npicture = false')
    post(Workspace.open(place / "terracast.toml"), episode("e1"))
    hook.first = fill
    for step in range(6):
        done = deliver_alerts(Workspace.open(place / "terracast.toml"), NOON + timedelta(hours=6 * step))
        print(step, len(hook.got), done.waiting, flush=True)
    hook.first = lambda: None
    ballast.unlink()
    for step in range(6, 9):
        done = deliver_alerts(Workspace.open(place / "terracast.toml"), NOON + timedelta(hours=6 * step))
    print("in the end", len(hook.got), len(set(hook.keys)), done.waiting, flush=True)
from terracast.flows.cli.leaving import leave
leave(0)
"""


def test_a_disk_that_fills_up_under_way_repeats_a_message_once_and_loses_none(small_city, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    disk = tmp_path / "disk"
    disk.mkdir()
    done = mounted(disk, "size=4m", sys.executable, "-c", FULL_DISK, str(disk), str(small_city.config),
                   str(Path(__file__).parents[2]))
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line[0].isdigit()] == [f"{step} 1 1" for step in range(6)]
    assert "in the end 2 1 0" in done.stdout, "once more when there is room again, under the same id; then no more"
    assert "may come a second time" in done.stderr and "wait: " in done.stderr


def test_a_clock_that_is_set_back_does_not_keep_alerts_back(small_city, hook: Webhook) -> None:  # type: ignore[no-untyped-def]
    telling(small_city.config, f'to = ["{hook.address}"]\ndigest = "1h"\npicture = false')
    workspace = small_city.open()
    post(workspace, episode("e1"))
    assert deliver_alerts(workspace, NOON).sent == 1
    post(workspace, episode("e2"))
    assert deliver_alerts(workspace, NOON + timedelta(minutes=1)).sent == 0
    assert deliver_alerts(workspace, NOON - timedelta(days=1)).sent == 1, "not only a day later"


def test_an_acknowledged_episode_is_told_again_only_when_it_closes(small_city, hook: Webhook) -> None:  # type: ignore[no-untyped-def]
    telling(small_city.config, f'to = ["{hook.address}"]\npicture = false')
    workspace = small_city.open()
    post(workspace, episode("e1"))
    deliver_alerts(workspace, NOON)
    with workspace.store.transaction("acknowledged") as step:
        step.set_state(STATE, {**kept(step.state(STATE)), "acknowledged": {"e1": {"by": "Ann", "at": "", "note": ""}}})
    post(workspace, stronger("e1", 30.0))
    assert deliver_alerts(workspace, NOON).sent == 0
    post(workspace, episode("e1", phase="closed", closed=AT))
    assert deliver_alerts(workspace, NOON).sent == 1 and hook.titles[-1].startswith("air: closed: ")
    assert state_of(workspace)["acknowledged"] == {} == state_of(workspace)["told"]


def test_a_mail_has_the_words_and_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECIPIENT", "ann+night@example.org")
    with mail_server() as box:
        address = (f"mailto://127.0.0.1:{box.port}/?from=terracast@example.org&to=$RECIPIENT&smtp=127.0.0.1"
                   "&mode=insecure")
        message = Message("air: NO₂ is high", "It began.\nNothing has been done.", picture=b"\x89PNG..")
        assert send(address, message) is None
    (mail,) = box.got
    assert (mail["Subject"], mail["To"]) == ("air: NO₂ is high", "ann+night@example.org")
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert "It began." in parts["text/plain"].get_content() and parts["image/png"].get_content() == b"\x89PNG.."


def test_no_key_stands_in_the_settings_nor_in_what_is_told(  # type: ignore[no-untyped-def]
        small_city, monkeypatch: pytest.MonkeyPatch, hook: Webhook) -> None:
    calm = small_city.config.read_text()
    for address in ("mailtos://ann:hunter2@example.org", "slack://T1/B2/C3", "not an address", "json://h/?token=abc"):
        telling(small_city.config, f'to = ["{address}"]')
        with pytest.raises(SettingsError) as refused:
            read_settings(small_city.config)
        assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)
        small_city.config.write_text(calm)
    monkeypatch.setenv("HOOK_KEY", "hunter2secret")
    hook.answers = 403
    telling(small_city.config, f'to = ["json://ann:$HOOK_KEY@127.0.0.1:{hook.port}/x", "slack://$NOT_SET"]')
    workspace = small_city.open()
    post(workspace, episode("e1"))
    done = deliver_alerts(workspace, NOON)
    assert len(done.failing) == 2 and "the environment has no NOT_SET" in "".join(done.failing)
    kept_files = b"".join(one.read_bytes() for one in small_city.folder.rglob("*") if one.is_file())
    assert b"hunter2secret" not in kept_files and "hunter2secret" not in "".join(done.failing)


def test_a_step_that_fails_is_told_once_and_when_it_works_again(small_city, hook: Webhook) -> None:  # type: ignore[no-untyped-def]
    telling(small_city.config, f'system = ["{hook.address}"]')

    def run(error: Exception | None) -> None:
        with failure_alerts(small_city.config, "watch"):
            if error is not None:
                raise error

    run(None)
    for _ in range(3):
        with pytest.raises(OSError, match="disk"):
            run(OSError(28, "disk"))
    assert hook.titles == ["city: `watch` failed"] and "the disk is full" in hook.got[0]["message"]
    run(None)
    run(None)
    assert hook.titles[1:] == ["city: `watch` works again"]
    hook.answers = 500
    with pytest.raises(TerracastError):
        run(TerracastError("a", where="b", expected="c", remedy="d"))
    hook.answers = 200
    with pytest.raises(TerracastError):
        run(TerracastError("a", where="b", expected="c", remedy="d"))
    assert hook.titles[2:] == ["city: `watch` failed"], "who did not hear it hears it with the next one"


def test_each_kind_has_its_own_people() -> None:
    alerts = AlertSettings(to=("json://all",), data=("json://sensors", "json://all"), system=("json://operators",))
    assert alerts.addresses("data") == ("json://all", "json://sensors") and alerts.addresses("drift") == ("json://all",)
    assert alerts.every_address == ("json://all", "json://sensors", "json://operators")


def test_the_page_takes_a_name_for_an_open_episode_and_from_nobody_else(
        tmp_path: Path, made_once: MadeOnce) -> None:
    made_once.give_registry(tmp_path)
    file = case_since("feed-that-ended", "2023-12-01", tmp_path)
    types(tmp_path, "init", "mine", "--from", str(file), "--folder", ".")
    assert types(tmp_path, "watch", "--once", "--now", "2026-11-28T22:00").returncode == 3
    (name,) = json.loads(types(tmp_path, "status", "--json").stdout)["streams"][0]["open_episodes"]
    opened = [{"id": name["id"], "words": "<script>alert(1)</script>", "by": None}]
    form = Forms(tmp_path / "terracast.toml", lambda: opened)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def press(host: str = f"127.0.0.1:{port}", **parts: str) -> tuple[int, str]:
        sent = {"secret": form.secret, "subject": name["id"], "by": "Ann", "note": "called the owner"} | parts
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/ack", urllib.parse.urlencode(sent).encode(),
                                       {"Host": host})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, ""

    with served(tmp_path / "none", lambda: {"trouble": [], "waiting": "nothing yet"}, port, forms=form):
        assert press(secret="guessed")[0] == 403 and press(host="evil.example.org")[0] == 403
        assert press(subject="--config=elsewhere")[0] == 404 and press(note="x" * 5000)[0] == 413
        assert "looks after it" not in types(tmp_path, "status").stdout
        code, page = press()
    assert code == 200 and "Ann looks after it" in page and "<script>alert" not in page
    assert "Ann looks after it: called the owner" in types(tmp_path, "status").stdout
