"""``terracast status``: how a stream stands, from the store alone: before service, in it, while nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import xarray as xr

from terracast.flows.serving.routes import serving_app
from terracast.flows.serving.snapshot_reader import SnapshotReader
from terracast.flows.status import status
from terracast.flows.terminal.output import json_text
from terracast.flows.watch import watch_once

SEED_DAYS = 31
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


def test_before_service_and_while_nothing_runs(small_city) -> None:  # type: ignore[no-untyped-def]
    done = subprocess.run([*COMMAND, "status", "--json"], cwd=small_city.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["streams"]
    assert {"name", "last_step", "sources", "open_episodes", "champion", "next_run", "store_bytes"} <= told.keys()
    assert (told["name"], told["last_step"], told["champion"], told["next_run"]) == ("city", None, None, None)
    assert [(one["domain"], one["newest"], one["overdue"]) for one in told["sources"]] == [
        ("air", None, False), ("weather", None, False)]
    said = subprocess.run([*COMMAND, "status"], cwd=small_city.folder, capture_output=True, text=True).stdout
    assert "nothing runs" in said and "none yet" in said and max(map(len, said.splitlines())) <= 120


def test_it_needs_neither_torch_nor_prefect_nor_mlflow(small_city) -> None:  # type: ignore[no-untyped-def]
    assert _imported(small_city.folder, "status", "--json") == "[]"


def _imported(folder: Path, *verb: str) -> str:
    """Which of the heavy packages a verb imports."""
    heavy = (f"import sys; from terracast.flows.command import run_verb; sys.argv = {['terracast', *verb]}\n"
             "try:\n    run_verb()\nexcept SystemExit:\n    pass\n"
             "print([name for name in ('prefect', 'mlflow', 'torch', 'sklearn') if name in sys.modules], "
             "file=sys.stderr)")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run([sys.executable, "-c", heavy], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stderr.splitlines()[-1]


async def _asked(config: Path, now: np.datetime64, addresses: tuple[str, ...]) -> list[dict[str, Any]]:
    """What ``terracast serve`` would answer at ``now``."""
    transport = httpx.ASGITransport(app=serving_app(SnapshotReader(config), lambda: now, token=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return [(await client.get(one)).json() for one in addresses]


def test_in_service_it_says_what_the_loop_says(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.begin(SEED_DAYS)
    now = small_city.day(SEED_DAYS)
    calm = status(small_city.config, str(now))
    assert calm.champion == "1" and calm.last_step == f"{np.datetime_as_string(now, 's')}Z"
    assert calm.store_bytes > 10_000 and calm.next_run is None and calm.running is None
    idle = _imported(small_city.folder, "watch", "--once", "--now", str(now))
    assert idle == "[]", "a step with nothing to do"
    small_city.deliver(SEED_DAYS, SEED_DAYS + 5)
    (report,) = (small_city.folder / "incoming" / "air").glob(f"days-{SEED_DAYS:03d}-*.nc")
    with xr.open_dataset(report) as opened:
        panel = opened.load()
    panel["no2"].values[:] = 3 * panel["no2"].values + 20
    report.unlink()
    panel.to_netcdf(report)
    later = small_city.day(SEED_DAYS + 5)
    step = watch_once(small_city.open(), later)
    told = status(small_city.config, str(later))
    assert step.alarms and {one.id for one in told.open_episodes} == step.alarms.keys()
    assert all(str(one.alarm) == step.alarms[one.id] for one in told.open_episodes)
    assert not told.calm and told.to_json()["open_episodes"][0]["nodes"]
    addresses = ("/status", "/episodes?open=true", "/episodes?open=false", "/episodes")
    stood, active, over, every = asyncio.run(_asked(small_city.config, later, addresses))
    as_printed = json.loads(json_text(told.to_json()))
    assert stood == {"streams": [as_printed]} and active["episodes"] == as_printed["episodes"] != []
    assert every["episodes"] == active["episodes"] + over["episodes"]
    assert not {one["id"] for one in over["episodes"]} & step.alarms.keys()
    assert told.to_json()["episodes"] == [one for one in step.episodes if one["closed"] is None]
    assert {"id", "type", "since", "since_low", "since_high", "nodes", "effect", "effect_percent", "units", "strength",
            "expected_false_per_month", "opened", "closed", "text"} == step.episodes[0].keys()
    state = small_city.open().store.read().state("events")
    assert state is not None and state["told"].keys() == step.alarms.keys()  # type: ignore[attr-defined]
