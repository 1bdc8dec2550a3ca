"""24 simulated hours with faults: the service ends as one that nothing happened to, and people heard the same.

The clock is compressed: each step is told its instant. Three gauges report every five minutes in local time, across the
night in which the clocks go forward, and all of them shift. A step is taken every hour, or every other hour.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.flows.alerting.outbox import deliver_alerts
from terracast.flows.running.run_status import now as wall_clock
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.registry.tracking import RegistryError
from tests.flows.faulty import assert_equal_stores, assert_equal_versions, killed_run, no_room, watched
from tests.flows.receivers import Webhook, webhook

START = np.datetime64("2024-03-30T11:00", "ns")  # at 01:00 UTC of the next day the clocks of Berlin go forward
HOUR = np.timedelta64(1, "h")
PAST = 2100  # stamps before the first step
SHIFT = START + 10 * HOUR
SETTINGS = """\
[stream]
name = "tank"
domain = "tank"
target = "level"
step = "5min"
horizon = "15min"
cadence = "15min"
history = "150min"
label_timeout = "60min"
false_alarms_per_month = 100

[monitor]
detector = "page-hinkley"

[base]
first_fit = "1250min"
steps = 10

[adapt]
policy = "drift-only"
steps = 5
window = "500min"
cooldown = "20h"

[alerts]
to = ["{address}"]
picture = false

[[sources]]
domain = "tank"
path = "incoming"
units = {{level = "m"}}
step = "5min"
time_zone = "Europe/Berlin"
delay = "1s"
"""


class Gauges:
    """A workspace to which three gauges report, a file for each step; from ``SHIFT`` on all read 8 m more."""

    def __init__(self, folder: Path, people: Webhook) -> None:
        self.folder, self.people, self.files, self.seconds = folder, people, 0, 12.0  # of a run, at first
        (folder / "incoming").mkdir(parents=True)
        (folder / "terracast.toml").write_text(SETTINGS.format(address=people.address))
        self.deliver("past", START - PAST * np.timedelta64(5, "m"), START)

    def copied(self, folder: Path, people: Webhook) -> Gauges:
        """The same at another place, whose people are told."""
        other = object.__new__(Gauges)
        shutil.copytree(self.folder, folder)
        other.folder, other.people, other.files, other.seconds = folder, people, self.files, self.seconds
        (folder / "terracast.toml").write_text(SETTINGS.format(address=people.address))
        return other

    def open(self) -> Workspace:
        return Workspace.open(self.folder / "terracast.toml")

    def deliver(self, name: str, first: np.datetime64, last: np.datetime64) -> None:
        """The reports about the stamps from ``first`` on, before ``last``."""
        rows = ["time,node,level"]
        for stamp in np.arange(first, last, np.timedelta64(5, "m")):
            seconds = int(stamp.astype("datetime64[s]").astype(int))
            noise = np.random.default_rng(seconds).normal(0, 0.3, 3) + (8.0 if stamp >= SHIFT else 0.0)
            local = pd.Timestamp(stamp, tz="UTC").tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
            rows += [f"{local},{node},{10 + place + np.sin(2 * np.pi * seconds / 86400) + noise[place]:.4f}"
                     for place, node in enumerate("abc")]
        scratch = self.folder / "incoming" / f"{name}.part"
        scratch.write_text("\n".join(rows) + "\n")
        scratch.rename(scratch.with_suffix(".csv"))
        self.files += 1

    def step(self, number: int, every: np.timedelta64) -> np.datetime64:
        """Deliver what comes before the step ``number``, of which every fifth part comes one step late."""
        late = [number - 1] if number > 1 and (number - 1) % 5 == 0 else []
        for part in ([number] if number % 5 else []) + late:
            self.deliver(f"part-{part:03d}", START + (part - 1) * every, START + part * every)
        return START + number * every

    def alerts(self) -> list[str]:
        """The titles of what people were told of the stream, sorted: each message counts once by its id, and one of
        several alerts as these. That a step failed is no news of the stream."""
        found: list[str] = []
        for one in dict(zip(self.people.keys, self.people.got, strict=True)).values():
            several = re.fullmatch(r"tank: \d+ alerts", one["title"])
            found += [line for line in one["message"].splitlines() if line.startswith("tank: ")] if several else [
                one["title"]]
        return sorted(title for title in found if "`watch`" not in title)


Fault = Callable[[Gauges, np.datetime64, random.Random], None]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Gauges, Gauges]]:
    """Two workspaces in service, one a copy of the other."""
    with webhook() as calm, webhook() as people:
        undisturbed = Gauges(tmp_path / "undisturbed", calm)
        first = watch_once(undisturbed.open(), START)
        assert first.waiting is None and first.champion == "1"
        yield undisturbed, undisturbed.copied(tmp_path / "disturbed", people)


def killed(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """At any instant between the first import and the end of the step; again and again, until one hits."""
    while killed_run(gauges.folder, at, draw.uniform(0.2, 1.0) * gauges.seconds) is not None:
        gauges.seconds *= 0.8


def full(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """No file may grow while the step is taken: one line, and nothing of it stands."""
    before = gauges.open().store.read().snapshot
    step = watched(gauges.folder, at, no_room)
    assert step.returncode == 1 and "Traceback" not in step.stderr, step.stderr
    assert gauges.open().store.read().snapshot == before


def without_database(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """MLflow's file is lost for a while."""
    place = gauges.folder / "mlflow.db"
    place.rename(place.with_suffix(".away"))
    place.write_bytes(bytes(4096))
    with pytest.raises(RegistryError, match="cannot read the database"):
        watch_once(gauges.open(), at)
    place.with_suffix(".away").replace(place)


def with_a_locked_database(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """Another program holds MLflow's file for as long as a step lasts."""
    with closing(sqlite3.connect(gauges.folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        killed_run(gauges.folder, at, 2 * gauges.seconds)
        other.execute("rollback")


def set_back(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """The clock says six hours less than at the last step."""
    step = watch_once(gauges.open(), at - np.timedelta64(6, "h"))
    assert step.ticks == 0 and step.behind is not None


def twice(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """What came once comes again, under another name."""
    newest = max((gauges.folder / "incoming").glob("part-*.csv"))
    shutil.copy(newest, newest.with_name(f"again-{newest.name}"))


def away(gauges: Gauges, at: np.datetime64, draw: random.Random) -> None:
    """Who is to be told does not answer."""
    gauges.people.answers = 503


SHORT: dict[int, Fault] = {1: twice, 2: full, 3: set_back, 6: killed, 7: away, 8: without_database}
LONG: dict[int, Fault] = {
    1: killed, 2: twice, 3: killed, 4: full, 5: killed, 6: without_database, 7: set_back, 8: with_a_locked_database,
    9: killed, 10: away, 11: killed, 12: killed, 13: full, 14: without_database, 15: killed, 16: twice, 17: killed,
    18: full, 19: set_back, 20: killed, 21: away, 22: killed, 23: without_database, 24: killed}


@pytest.mark.integration
@pytest.mark.parametrize(("faults", "every"), [pytest.param(SHORT, 2 * HOUR, id="few"),
                                               pytest.param(LONG, HOUR, id="many", marks=pytest.mark.slow)])
def test_a_day_with_faults_ends_as_one_without(  # type: ignore[no-untyped-def]
        both: tuple[Gauges, Gauges], same_trees, faults: dict[int, Fault], every: np.timedelta64) -> None:
    calm, disturbed = both
    draw = random.Random(11)
    drifts: set[str] = set()
    for number in range(1, 24 * HOUR // every + 1):
        at = calm.step(number, every)
        disturbed.step(number, every)
        drifts |= {one["id"] for one in watch_once(calm.open(), at).episodes if one["type"] != "health"}
        if number in faults:
            faults[number](disturbed, at, draw)
        watch_once(disturbed.open(), at)
        disturbed.people.answers = 200
    for gauges in both:
        left = deliver_alerts(gauges.open(), wall_clock() + timedelta(hours=2))
        assert left.waiting == 0 and not left.failing
    assert_equal_stores(calm.open(), disturbed.open(), {"tank": calm.files}, same_trees)
    assert drifts, "the shift is found, or the test shows little"
    assert_equal_versions(calm.open(), disturbed.open(), 2)
    assert calm.alerts() == disturbed.alerts() and any("reads" in title for title in calm.alerts())
    repeated = len(disturbed.people.got) - len(set(disturbed.people.keys))
    assert len(calm.people.got) == len(set(calm.people.keys))
    assert repeated <= list(faults.values()).count(killed), "once more for a kill, at most"
