"""``terracast bench adapt`` prints one JSON object, or a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import typer
from typer.testing import CliRunner

from terracast.flows.benches.adapt import adapt


def test_rows_as_json_and_as_a_table(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    wave = np.sin(np.arange(400)[:, None] * 2 * np.pi / 4) + 0.2 * draws.normal(size=(400, 1))
    frame = pd.DataFrame(wave, columns=["x"])
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=400, freq="6h"))
    path = tmp_path / "small.csv"
    frame.to_csv(path, index=False)
    app = typer.Typer()
    app.command()(adapt)
    found = CliRunner().invoke(app, ["--data", str(path), "--protocol", "A", "--horizon", "2", "--json"])
    answer = json.loads(found.stdout)
    assert answer["bench"] == "adapt"
    assert answer["rows"][0]["method"] == "terracast"
    shown = CliRunner().invoke(app, ["--data", str(path), "--protocol", "B", "--horizon", "2", "--no-base"])
    assert "repeat: terracast bench adapt" in shown.stdout
