"""Clean files, made up as small networks are: no ticket on them is true, so all that are told are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.quality import judge, tickets

YEAR = np.timedelta64(365, "D") + np.timedelta64(6, "h")


@dataclass(frozen=True)
class CleanFile:
    """What is made up: ``stations`` that report every ``step`` for ``days``, and the share of values that are missing
    at random."""

    step: str
    days: int
    stations: int
    missing: float = 0.02


FILES = tuple(CleanFile(step, days, stations) for step, days, stations in (
    ("1h", 42, 1), ("1h", 42, 2), ("1h", 42, 3), ("1h", 42, 4), ("1h", 420, 1), ("1h", 90, 5), ("1D", 730, 3),
    ("1D", 1095, 1), ("10min", 35, 2), ("10min", 35, 4)))


def made_up(file: CleanFile, seed: int) -> xr.Dataset:
    """A season, a daily cycle, slow noise that stations share in part, values rounded to a tenth, gaps at random, and
    a station that joins late where there are three or more; (time, node)."""
    random = np.random.default_rng(seed)
    time = pd.date_range("2024-01-01", periods=round(pd.Timedelta(days=file.days) / pd.Timedelta(file.step)),
                         freq=file.step)
    hours = np.asarray((time - time[0]) / pd.Timedelta("1h"))[:, None]
    own, level = random.uniform(0.8, 1.2, file.stations), random.uniform(15, 40)
    cycle = 0.3 * own * np.sin(2 * np.pi * (hours - random.uniform(6, 9)) / 24) if file.step != "1D" else 0.0
    season = 0.25 * np.sin(2 * np.pi * hours / (24 * 365.25) + random.uniform(0, 6))
    memory = float(np.exp(-pd.Timedelta(file.step) / pd.Timedelta(random.choice(["12h", "1D", "3D"]))))
    noise = 0.3 * _slow(random, len(time), 1, memory) + 0.15 * _slow(random, len(time), file.stations, memory)
    noise += 0.03 * random.normal(size=noise.shape)
    values = np.round(level * np.exp(cycle + season + noise), 1)
    values[random.random(values.shape) < file.missing] = np.nan
    if file.stations >= 3:
        values[: len(time) // 2, -1] = np.nan
    return xr.Dataset({"pm25": (("time", "node"), values, {"units": "ug m-3", "long_name": "PM2.5"})},
                      {"time": time, "node": [f"S{place}" for place in range(file.stations)]},
                      {"domain": "air", "kind": "sensor", "step": file.step})


def _slow(random: np.random.Generator, rows: int, columns: int, memory: float) -> np.ndarray:
    """AR(1) noise of deviation one, (rows, columns)."""
    from scipy.signal import lfilter

    shocks = random.normal(size=(rows, columns)) * np.sqrt(1 - memory**2)
    shocks[0] = random.normal(size=columns)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=0))


def false_tickets(panel: xr.Dataset, *, since: str | None = None, leave: tuple[str, ...] = ()) -> Counter[str]:
    """How many tickets each type has on a clean panel, those that begin before ``since`` and types to ``leave`` out."""
    told = tickets(judge(panel).hindsight(), panel)
    first = panel["time"].values[0] if since is None else np.datetime64(since)
    return Counter(one.fault_type for one in told if one.start >= first and one.fault_type not in leave)


def node_years(panel: xr.Dataset, since: str | None = None) -> float:
    """For how many years nodes were judged, all together."""
    time = panel["time"].values
    first = time[0] if since is None else np.datetime64(since)
    return float((time[-1] - first) / YEAR) * panel.sizes["node"]


def bench_clean(seed: int) -> dict[str, Any]:
    """False tickets on the ten clean ``FILES``, made from ``seed`` on: a row for each file, in the benches' one
    form."""
    rows: list[dict[str, Any]] = []
    for file, one in enumerate(FILES):
        panel = made_up(one, seed + file)
        told = false_tickets(panel)
        rows.append({"method": "terracast", **asdict(one), "tickets": sum(told.values()),
                     "node_years": node_years(panel),
                     **told})
    tickets_told, years = sum(row["tickets"] for row in rows), sum(row["node_years"] for row in rows)
    return {"bench": "quality", "data": "ten clean files, made up", "protocol": {"seed": seed}, "rows": rows,
            "summary": {"false_tickets_per_node_year": tickets_told / years},
            "command": f"terracast bench quality --seed {seed}"}
