"""Promise 4: ``terracast watch --once`` killed at any instant, then run again, ends as if undisturbed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import numpy as np
import pytest

from terracast.flows.watch import watch_once
from tests.flows.faulty import assert_equal_stores, assert_equal_versions, killed_run, watched

SEED_DAYS = 31


@pytest.mark.parametrize(("policy", "hours", "kills"), [
    ("weekly", 72, 3),
    pytest.param("loop", 12, 10, marks=pytest.mark.slow), pytest.param("weekly", 24, 10, marks=pytest.mark.slow),
    pytest.param("mixture", 12, 5, marks=pytest.mark.slow)])
def test_sigkill_at_random_instants_loses_and_doubles_nothing(  # type: ignore[no-untyped-def]
        build_city: Callable, same_trees: Callable, policy: str, hours: int,
        kills: int) -> None:
    """The weekly policy trains, registers and promotes on the way; the loop calibrates, the mixture reads company."""
    undisturbed, killed = build_city("undisturbed"), build_city("killed")
    for city in (undisturbed, killed):
        settings = city.config.read_text().replace("[adapt]", f'[adapt]\npolicy = "{policy}"')
        city.config.write_text(settings)
        city.begin(SEED_DAYS)
    length = _seconds_of_a_run(killed)
    draw = random.Random(5)
    hit, delivered = 0, SEED_DAYS
    for kill in range(1, kills + 1):
        now = killed.day(SEED_DAYS) + kill * np.timedelta64(hours, "h")
        while killed.day(delivered) < now:
            for city in (undisturbed, killed):
                city.deliver(delivered, delivered + 1)
            delivered += 1
        lived = killed_run(killed.folder, now, draw.uniform(0.3, 1.0) * length)
        hit, length = (hit + 1, length) if lived is None else (hit, lived)  # a machine may have become faster
        watch_once(killed.open(), now)
        watch_once(undisturbed.open(), now)
    assert hit >= kills // 2, "most kills must fall while the command runs, or the test shows nothing"
    files = dict.fromkeys(("air", "weather"), delivered - SEED_DAYS + 1)
    assert_equal_stores(undisturbed.open(), killed.open(), files, same_trees)
    assert_equal_versions(killed.open(), undisturbed.open(), 2 if policy == "weekly" else 1)


def _seconds_of_a_run(city) -> float:  # type: ignore[no-untyped-def]
    began = time.monotonic()
    done = watched(city.folder, city.day(SEED_DAYS))
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began
