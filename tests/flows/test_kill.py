"""Promise 4: ``terracast watch --once`` killed at any instant, then run again, ends as if undisturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from terracast.flows.watch import watch_once

SEED_DAYS = 31
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()", "watch", "--once"]


@pytest.mark.parametrize(("policy", "hours", "kills"), [
    ("weekly", 72, 3),
    pytest.param("loop", 12, 10, marks=pytest.mark.slow), pytest.param("weekly", 24, 10, marks=pytest.mark.slow),
    pytest.param("mixture", 12, 5, marks=pytest.mark.slow)])
def test_sigkill_at_random_instants_loses_and_doubles_nothing(  # type: ignore[no-untyped-def]
        build_city: Callable, same_trees: Callable, policy: str, hours: int,
        kills: int) -> None:
    """The weekly policy trains, registers and promotes on the way; the loop calibrates, the mixture reads company."""
    undisturbed, killed = build_city("undisturbed"), build_city("killed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for city in (undisturbed, killed):
        settings = city.config.read_text().replace("[adapt]", f'[adapt]\npolicy = "{policy}"')
        city.config.write_text(settings)
        city.begin(SEED_DAYS)
    length = _seconds_of_a_run(killed, environment)
    draw = random.Random(5)
    hit, delivered = 0, SEED_DAYS
    for kill in range(1, kills + 1):
        now = killed.day(SEED_DAYS) + kill * np.timedelta64(hours, "h")
        while killed.day(delivered) < now:
            for city in (undisturbed, killed):
                city.deliver(delivered, delivered + 1)
            delivered += 1
        lived = _killed_run(killed, now, environment, draw.uniform(0.3, 1.0) * length)
        hit, length = (hit + 1, length) if lived is None else (hit, lived)  # a machine may have become faster
        watch_once(killed.open(), now)
        watch_once(undisturbed.open(), now)
    assert hit >= kills // 2, "most kills must fall while the command runs, or the test shows nothing"
    _assert_equal_stores(undisturbed, killed, delivered - SEED_DAYS + 1, same_trees)
    versions = [[version.lineage.key for version in city.open().registry.versions()] for city in (killed, undisturbed)]
    assert versions[0] == versions[1] and len(set(versions[0])) == len(versions[0])
    assert len(versions[0]) == (2 if policy == "weekly" else 1)
    assert killed.open().registry.aliases() == undisturbed.open().registry.aliases()


def _seconds_of_a_run(city, environment: dict[str, str]) -> float:  # type: ignore[no-untyped-def]
    began = time.monotonic()
    now = np.datetime_as_string(city.day(SEED_DAYS), "s")
    done = subprocess.run([*COMMAND, "--now", now], cwd=city.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def _killed_run(city, now: np.datetime64, environment: dict[str, str],  # type: ignore[no-untyped-def]
                after: float) -> float | None:
    """None where the kill hit, or the seconds that the run took before it could."""
    began = time.monotonic()
    process = subprocess.Popen([*COMMAND, "--now", np.datetime_as_string(now, "s")], cwd=city.folder, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return None
    return time.monotonic() - began


def _assert_equal_stores(one, two, files: int, same_trees: Callable) -> None:  # type: ignore[no-untyped-def]
    left, right = one.open().store.read(), two.open().store.read()
    for domain in ("air", "weather"):
        xr.testing.assert_identical(left.history().recorded(domain).panel, right.history().recorded(domain).panel)
    for name in ("forecasts/air", "scores/air"):
        xr.testing.assert_identical(left.ledger(name), right.ledger(name))
    for source in ("air:incoming/air", "weather:incoming/weather"):
        theirs = {os.path.basename(path): digest for path, (digest, _, _) in left.cursor(source).items()}
        ours = {os.path.basename(path): digest for path, (digest, _, _) in right.cursor(source).items()}
        assert theirs == ours and len(ours) == files
    same_trees(left.state("loop"), right.state("loop"))
