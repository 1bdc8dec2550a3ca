"""The demo: a simulated city goes through the whole loop, in one process, into a workspace that stays to be tried."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.report import report_on
from terracast.flows.reporting.content import KnownEvent
from terracast.flows.settings import SettingsError
from terracast.flows.terminal.output import note
from terracast.flows.terminal.share_shown import progress
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.streams.city import City, PlantedDrift, PlantedFault, demo_city

SETTINGS = """\
# The workspace that `terracast demo` made: a simulated city, air quality driven by weather and traffic.

[stream]
name = "city"
domain = "air"
target = "no2"
step = "1h"
horizon = "24h"
cadence = "6h"
history = "7d"
label_timeout = "2d"
false_alarms_per_month = 0.2

[store]
location = "store"

[base]
first_fit = "150d"

[adapt]
cooldown = "7d"
window = "56d"
steps = 150

[discovery]
knowledge = "knowledge.txt"
max_lag = 4
window = "150d"
"""

KNOWLEDGE = """\
# What an expert knows beforehand; discovery honours it. Try adding a line and run `terracast discover`.
air.* never causes weather.*
air.* never causes traffic.*
traffic.* never causes weather.*
"""

SOURCE = """
[[sources]]
domain = "{domain}"
path = "incoming/{domain}"
known_time = "known_time"
"""


def run_demo(folder: Path) -> dict[str, Any]:
    """Simulate, ingest, discover, fit, watch half a year, adapt, promote, report; answers what a person looks at."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "terracast.toml").exists() or not (folder / "incoming").is_dir():
            raise SettingsError("the folder is not empty and not a demo's", where=str(folder),
                                expected="a new folder", remedy="name another one with --folder")
        shutil.rmtree(folder)
    note("simulating a year of a city")
    city = demo_city()
    write_city(city, folder)
    workspace = Workspace.open(folder / "terracast.toml")
    begin = pd.Timestamp(city.panels["air"]["time"].values[0]) + workspace.settings.base.wait
    end = pd.Timestamp(city.panels["air"]["time"].values[-1]).floor("D")
    note("ingesting, discovering causes, fitting the base")
    steps = [watch_once(workspace, begin.to_datetime64())]
    with progress("watching", int((end - begin) / workspace.settings.stream.cadence)) as advance:
        steps.append(watch_once(workspace, end.to_datetime64(), advance))
    note("writing the report")
    changes: list[PlantedDrift | PlantedFault] = sorted([*city.drifts, *city.faults], key=lambda change: change.start)
    planted = [(one.start, one.end, f"{_type_of(one)} of {one.domain}.{one.variable}") for one in changes]
    events = [KnownEvent(start, end, f"planted: {words.split()[0]}") for start, end, words in planted]
    page = report_on(workspace, end.to_datetime64(), folder / "report.html", events=events)
    alarms = {name: alarm for step in steps for name, alarm in step.alarms.items()}
    return {"champion": steps[-1].champion, "alarms": list(alarms.values()),
            "decisions": [text for step in steps for text in step.decisions], "report": str(page.resolve()),
            "planted": [f"{words} from {str(start)[:10]}" for start, _, words in planted]}


def write_city(city: City, folder: Path) -> None:
    """Write the city as files a source would deliver: first reports, then the corrections."""
    for domain, panel in city.panels.items():
        incoming = folder / "incoming" / domain
        incoming.mkdir(parents=True)
        _write(panel, incoming / "2023-reports.nc")
        revised = _revised(panel, city.revisions[domain])
        if revised is not None:
            _write(revised, incoming / "2023-revisions.nc")
    sources = "".join(SOURCE.format(domain=domain) for domain in city.panels)
    (folder / "knowledge.txt").write_text(KNOWLEDGE, encoding="utf-8")
    (folder / "terracast.toml").write_text(SETTINGS + sources, encoding="utf-8")


def _write(panel: xr.Dataset, path: Path) -> None:
    encoding = {name: {"zlib": True, "complevel": 1} for name in panel.data_vars}
    panel.to_netcdf(path, encoding=encoding)


def _revised(panel: xr.Dataset, ledger: pd.DataFrame) -> xr.Dataset | None:
    """The ledger of corrections as a panel with a value only where one was corrected."""
    if ledger.empty:
        return None
    revised = panel.copy(deep=True)
    for name in revised.data_vars:
        revised[name].values[:] = np.nan
    revised["known_time"].values[:] = np.datetime64("NaT")
    rows = pd.Index(panel["time"].values).get_indexer(ledger["time"])
    columns = pd.Index(panel["node"].values).get_indexer(ledger["node"])
    for name in ledger["variable"].unique():
        mine = (ledger["variable"] == name).to_numpy()
        revised[name].values[rows[mine], columns[mine]] = ledger["value"].to_numpy()[mine]
    revised["known_time"].values[rows, columns] = ledger["known_time"].to_numpy()
    return revised.isel(time=np.unique(rows))


def _type_of(planted: PlantedDrift | PlantedFault) -> str:
    return planted.change_type if isinstance(planted, PlantedDrift) else planted.fault_type
