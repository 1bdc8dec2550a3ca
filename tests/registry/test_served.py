"""A version is served by plain MLflow: tidy table in, tidy table out, equal to the forecaster itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.registry.lineage import Lineage
from terracast.registry.promotion import promote
from terracast.registry.tidy import Interface, table_of, table_of_forecast
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive
from tests.streams.servers import answers, free_port, wait_for


@pytest.fixture
def mlflow_here(registry: Registry) -> Iterator[Any]:
    """MLflow's own global address, as a user who serves a model sets it; put back afterwards."""
    import mlflow

    mlflow.set_tracking_uri(registry.tracking.uri)
    yield mlflow
    mlflow.set_tracking_uri(None)


def test_mlflow_serves_the_champion(registry: Registry, mlflow_here: Any, model: NativeModel,
                                    panel: xr.Dataset, asked: Request) -> None:
    registry.add(model, Lineage("base", "SNAP"), panel=panel, request=asked)
    promote(registry, "1", decision={})
    served = mlflow_here.pyfunc.load_model("models:/air-pm25@champion")
    answer = served.predict(table_of(panel))
    assert list(answer.columns) == ["issue_time", "lead", "valid_time", "node", "quantile", "value"]
    direct = model.forecast(panel, asked)
    assert len(answer) == direct["pm25"].size
    cube = answer.set_index(["lead", "node", "quantile"])["value"].to_xarray()
    np.testing.assert_array_equal(cube, direct["pm25"][0].astype("float64"))
    assert (answer["valid_time"] - answer["issue_time"] == answer["lead"] * pd.Timedelta("1h")).all()
    earlier = served.predict(table_of(panel), params={"horizon": 2, "issue_time": "2024-01-10T00:00"})
    assert earlier["lead"].max() == 2
    cut = panel.sel(time=slice(None, "2024-01-10T00:00"))
    alone = served.predict(table_of(cut), params={"horizon": 2})
    np.testing.assert_array_equal(earlier["value"], alone["value"])
    example = served.input_example
    assert list(example.columns) == ["time", "node", "pm25"]
    assert len(served.predict(example)) == 2 * 6 * len(asked.quantiles)  # a few rows of two nodes


def test_a_version_without_an_interface_asks_its_caller(registry: Registry, mlflow_here: Any,
                                                        panel: xr.Dataset) -> None:
    registry.add(SeasonalNaive(), Lineage("base", "SNAP"))
    served = mlflow_here.pyfunc.load_model("models:/air-pm25/1")
    with pytest.raises(RegistryError, match="no horizon"):
        served.predict(table_of(panel))
    assert served.predict(table_of(panel), params={"horizon": 3})["lead"].max() == 3


def test_a_panel_survives_its_table(panel: xr.Dataset, asked: Request) -> None:
    gappy = panel.assign(pm25=panel["pm25"].where(panel["pm25"] > 16), wind=panel["pm25"] * 2)
    gappy["wind"].attrs = {"units": "m s-1", "long_name": "wind", "role": "past_driver"}
    back, request = Interface.of(gappy, asked).asked(table_of(gappy).sample(frac=1, random_state=1), {})
    xr.testing.assert_identical(back, gappy)
    assert request == asked


def test_rows_may_be_missing_and_nodes_may_move(panel: xr.Dataset, asked: Request) -> None:
    table = table_of(panel)
    table["lat"], table["lon"] = np.linspace(50, 51, len(table)), 8.0
    back, _ = Interface.of(panel, asked).asked(table[table.index % 7 != 3], {})
    assert back["lat"].dims == ("time", "node")
    assert int(np.isnan(back["pm25"]).sum()) == int((table.index % 7 == 3).sum())


def test_what_lies_after_the_issue_time_is_not_read(panel: xr.Dataset, asked: Request) -> None:
    ahead = panel.assign(rain=panel["pm25"] * 0 + 1)
    ahead["rain"].attrs = {"units": "mm", "long_name": "rain", "role": "future_driver"}
    interface = Interface.of(ahead, asked)
    back, _ = interface.asked(table_of(ahead), {"issue_time": "2024-01-10"})
    later = back.sel(time=slice("2024-01-10T01", None))
    assert later.sizes["time"] > 0
    assert bool(np.isnan(later["pm25"]).all())
    assert bool((later["rain"] == 1).all())
    assert back["rain"].attrs["role"] == "future_driver"
    assert back["pm25"].attrs == panel["pm25"].attrs


@pytest.mark.parametrize(("change", "words"), [
    (lambda table: table.rename(columns={"pm25": "ozone"}), "columns are"),
    (lambda table: pd.concat([table, table.head(1)]), "two rows"),
    (lambda table: table.head(0), "no rows"),
    (lambda table: table.assign(time=table["time"] + pd.to_timedelta(table.index % 3, "min")), "off the"),
])
def test_a_table_that_cannot_be_read_is_refused(panel: xr.Dataset, asked: Request, change: Any,
                                                    words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        Interface.of(panel, asked).asked(change(table_of(panel)), {})


def test_a_forecast_becomes_one_row_per_value(model: NativeModel, panel: xr.Dataset, asked: Request) -> None:
    forecast = model.forecast(panel, asked)
    table = table_of_forecast(forecast, "pm25", asked.step)
    row = table.iloc[5]
    held = forecast["pm25"].sel(issue_time=row["issue_time"], node=row["node"], quantile=row["quantile"])
    assert float(held.isel(lead=row["lead"] - 1)[()]) == row["value"]


@pytest.mark.slow
def test_the_champion_answers_over_http(registry: Registry, model: NativeModel, panel: xr.Dataset, asked: Request,
                                        tmp_path: Path) -> None:
    """As an operator does it: ``mlflow models serve``, and a table as JSON."""
    registry.add(model, Lineage("base", "SNAP"), panel=panel, request=asked)
    promote(registry, "1", decision={})
    port = free_port()
    active = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow looks for its server there
    told = {**os.environ, "MLFLOW_TRACKING_URI": registry.tracking.uri, "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": active}
    log = tmp_path / "serve.log"
    with log.open("w") as opened:
        server = subprocess.Popen([sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/air-pm25@champion",
                                   "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "1"],
                                  env=told, stdout=opened, stderr=opened, start_new_session=True)
    try:
        wait_for(lambda: server.poll() is not None or answers(port), "mlflow models serve", 240)
        assert server.poll() is None, log.read_text()[-2000:]
        table = table_of(panel)
        body = {"dataframe_split": json.loads(table.to_json(orient="split", date_format="iso", index=False)),
                "params": {"horizon": 3}}
        query = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(),
                                       {"Content-Type": "application/json"})
        with urllib.request.urlopen(query, timeout=120) as answer:
            rows = pd.DataFrame(json.loads(answer.read())["predictions"])
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
    direct = model.forecast(panel, Request("pm25", asked.issue_time, 3, asked.step, asked.quantiles))
    cube = rows.set_index(["lead", "node", "quantile"])["value"].to_xarray()
    np.testing.assert_allclose(cube, direct["pm25"][0].astype("float64"), rtol=1e-6)  # JSON has 10 digits
