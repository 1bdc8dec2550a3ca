"""A small simulated city whose files arrive day by day, as a workspace that the flows are tried on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.streams.city import simulate_city
from tests.few_trees import few_rounds
from tests.flows.made_once import MadeOnce

SETTINGS = """\
[stream]
name = "city"
domain = "air"
target = "no2"
horizon = "12h"
cadence = "6h"
history = "4d"
label_timeout = "12h"

[base]
first_fit = "30d"

[adapt]
cooldown = "7d"
window = "20d"
steps = 20

[discovery]
max_lag = 2
trial_steps = 20
"""

SOURCE = """
[[sources]]
domain = "{domain}"
path = "incoming/{domain}"
known_time = "known_time"
"""


@pytest.fixture(scope="module", autouse=True)
def _few_trees() -> Iterator[None]:
    """Flows are tried, not the worth of what they serve."""
    with few_rounds():
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Shared by all processes of the run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept"
    folder.mkdir(exist_ok=True)
    return MadeOnce(folder)


@dataclass(frozen=True)
class SmallCity:
    """A workspace folder and the days of data that can be delivered to it."""

    folder: Path
    panels: dict[str, xr.Dataset]
    made_once: MadeOnce

    @property
    def config(self) -> Path:
        return self.folder / "terracast.toml"

    def deliver(self, first: int, last: int) -> None:
        """Put the reports about days ``first`` … ``last - 1`` into the incoming folders, a file each domain."""
        for domain, panel in self.panels.items():
            part = panel.isel(time=slice(24 * first, 24 * last))
            part.to_netcdf(self.folder / "incoming" / domain / f"days-{first:03d}-{last:03d}.nc")

    def day(self, number: int) -> np.datetime64:
        """The instant at which a day begins."""
        return self.panels["air"]["time"].values[0] + np.timedelta64(number, "D")

    def open(self) -> Workspace:
        return Workspace.open(self.config)

    def begin(self, days: int) -> None:
        """Service has begun on the first days of a workspace in which nothing was done before. It is made once for the
        same settings and then copied: a workspace may be moved."""
        settings = self.config.read_text()

        def make(folder: Path) -> None:
            made = make_city(self.panels, folder / "city", self.made_once)
            made.config.write_text(settings)
            made.deliver(0, days)
            step = watch_once(made.open(), made.day(days))
            assert (step.waiting, step.ticks, step.champion) == (None, 1, "1")

        name = hashlib.sha256(f"{days} {settings}".encode()).hexdigest()[:16]
        shutil.copytree(self.made_once.folder_of(name, make) / "city", self.folder, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def city_panels() -> dict[str, xr.Dataset]:
    city = simulate_city(seed=3, days=45, weather_nodes=2, traffic_nodes=3, air_nodes=3, drifts=())
    return {domain: city.panels[domain] for domain in ("air", "weather")}


@pytest.fixture
def small_city(city_panels: dict[str, xr.Dataset], tmp_path: Path, made_once: MadeOnce) -> SmallCity:
    """A fresh workspace; nothing has been delivered."""
    return make_city(city_panels, tmp_path / "city", made_once)


@pytest.fixture
def build_city(city_panels: dict[str, xr.Dataset], tmp_path: Path, made_once: MadeOnce) -> Callable[[str], SmallCity]:
    """Makes more workspaces of the same data."""
    return lambda name: make_city(city_panels, tmp_path / name, made_once)


def make_city(panels: dict[str, xr.Dataset], folder: Path, made_once: MadeOnce) -> SmallCity:
    for domain in panels:
        (folder / "incoming" / domain).mkdir(parents=True)
    sources = "".join(SOURCE.format(domain=domain) for domain in panels)
    (folder / "terracast.toml").write_text(SETTINGS + sources)
    made_once.give_registry(folder)
    return SmallCity(folder, panels, made_once)


BERLIN = """\
[stream]
name = "berlin"
domain = "air"
target = "no2"
step = "1h"
horizon = "12h"
cadence = "6h"
history = "4d"
label_timeout = "12h"

[base]
first_fit = "20d"

[adapt]
steps = 5

[discovery]
max_lag = 1
trial_steps = 5

[[sources]]
domain = "air"
path = "air.csv"
units = {no2 = "ug m-3", wind = "m s-1"}
time_zone = "Europe/Berlin"
delay = "1h"
"""


@pytest.fixture(scope="session")
def berlin(tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> Path:
    """A folder with a small CSV of 35 days in local time, in service since 2024-01-25T00:00; do not write into it."""
    folder = tmp_path_factory.mktemp("berlin")
    clock, random = pd.date_range("2024-01-01", periods=24 * 35, freq="h"), np.random.default_rng(0)
    wind = 4 + random.normal(0, 1, len(clock))
    rows = []
    for place, node in enumerate(("Mitte", "Wedding")):
        level = 30 + 10 * np.sin(2 * np.pi * clock.hour / 24 + place) - wind + random.normal(0, 3, len(clock))
        rows.append(pd.DataFrame({"time": clock.strftime("%Y-%m-%d %H:%M"), "station": node, "lat": 52.5 + place / 20,
                                  "lon": 13.4, "no2": level.round(2), "wind": wind.round(2)}))
    pd.concat(rows).to_csv(folder / "air.csv", index=False)
    (folder / "terracast.toml").write_text(BERLIN, encoding="utf-8")
    made_once.give_registry(folder)
    step = watch_once(Workspace.open(folder / "terracast.toml"), np.datetime64("2024-01-25T00:30", "ns"))
    assert step.waiting is None and step.forecast is not None
    return folder


@pytest.fixture(scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a workspace was made, and a copy of it as it was then."""
    from tests.flows.moving import serve

    folder = tmp_path_factory.mktemp("places")
    serve(folder / "first place")
    shutil.copytree(folder / "first place", folder / "as it was")
    return folder / "first place", folder / "as it was"


@pytest.fixture
def served_place(_pristine: tuple[Path, Path]) -> Path:
    """A workspace in service with two versions, at the place where it was made; a fresh one for each test."""
    place, kept = _pristine
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place)
    return place


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server on loopback, on a free port, ended by its pid; yields its API address."""
    import os
    import signal
    import socket
    import subprocess
    import sys
    import threading
    import urllib.request

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                   "PREFECT_LOGGING_LEVEL": "ERROR"}
    environment.pop("PREFECT_API_URL", None)
    log = (home / "server.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
        env=environment, stdout=log, stderr=log, start_new_session=True)
    api = f"http://127.0.0.1:{port}/api"
    up, deadline = False, pd.Timestamp.now() + pd.Timedelta("120s")
    while not up and server.poll() is None and pd.Timestamp.now() < deadline:
        try:
            up = urllib.request.urlopen(f"{api}/health", timeout=2).status == 200
        except OSError:
            threading.Event().wait(0.2)
    try:
        assert up, (home / "server.log").read_text()[-2000:]
        yield api
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        log.close()
