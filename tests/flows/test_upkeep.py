"""What goes by itself once a day: values, runs and logs that have outlived their time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from terracast.flows.running.place import ASIDE, RunningPlace
from terracast.flows.service.maintenance import TIDIED, maintain

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
WRITER = "import sys, time\nwhile True:\n    print('a line', flush=True)\n    time.sleep(0.01)"


def test_a_log_is_put_aside_while_its_process_writes_on(tmp_path) -> None:  # type: ignore[no-untyped-def]
    place = RunningPlace(tmp_path)
    log = place.log("steps")
    log.write_text("old\n" * 1000)
    with log.open("ab") as opened:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=opened)
    try:
        place.drop_logs(1000, NOON - timedelta(days=3650))
        assert log.with_suffix(".log.1").read_text().startswith("old\nold") and log.stat().st_size < 1000
        deadline = time.monotonic() + 60
        while not log.read_text().startswith("a line") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert log.read_text().startswith("a line"), "it goes on at the beginning of the emptied file, without a hole"
    finally:
        writer.kill()
        writer.wait()
    for _ in range(ASIDE + 2):
        log.write_text("x" * 2000)
        place.drop_logs(1000, NOON - timedelta(days=3650))
    aside = sorted(log.parent.glob("*.log.*"))
    assert len(aside) == ASIDE
    os.utime(aside[-1], (0, 0))
    place.drop_logs(1000, datetime(2001, 1, 1, tzinfo=UTC))
    assert sorted(log.parent.glob("*.log.*")) == aside[:-1]


def test_values_go_once_a_day_by_the_instant_of_the_step(  # type: ignore[no-untyped-def]
        small_city, capsys: pytest.CaptureFixture[str]) -> None:
    from terracast.flows.ingest import ingest_new

    text = small_city.config.read_text()
    small_city.config.write_text(f'{text}\n[store]\nkeep_observations = "5d"\n')
    small_city.deliver(0, 12)
    workspace, now = small_city.open(), small_city.day(12)
    ingest_new(workspace)

    def days() -> int:
        held = small_city.open().store.read().history().recorded("air").panel["time"].values
        return round((held[-1] - held[0]) / np.timedelta64(1, "D"))

    maintain(workspace, now, NOON)
    assert days() == 12, "the first step of a workspace has nothing old"
    maintain(workspace, now, NOON + timedelta(hours=1))
    assert days() == 12
    maintain(workspace, now, NOON + timedelta(days=1))
    assert days() <= 6
    place = RunningPlace.of(small_city.config)
    before = place.read(TIDIED)
    maintain(workspace, now, NOON)  # the clock was set back: it is done again rather than never
    assert place.read(TIDIED) != before and not capsys.readouterr().err
