"""The bench of alarms on a small stream: a fall is detected, and what is said of it is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.integration
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
DAYS, PAST = 420, 250


def test_a_fall_of_all_nodes_is_detected_and_judged(tmp_path: Path) -> None:
    draws = np.random.default_rng(5)
    days = pd.date_range("2022-01-01", periods=DAYS, freq="D")
    week = 100 + 10 * np.sin(np.arange(DAYS) * 2 * np.pi / 7)[:, None]
    counts = pd.DataFrame(week + draws.normal(0, 5, (DAYS, 3)), index=days, columns=["east", "west", "north"])
    counts.rename_axis("date").to_csv(tmp_path / "visitors.csv")
    asked = ["bench", "alarms", "--data", "visitors.csv", "--changes", "x 0.6", "--past", str(PAST), "--json"]
    done = subprocess.run([*COMMAND, *asked], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    clean = answer["rows"][0]
    assert clean["change"] == "none" and clean["episodes"] <= clean["stated"]
    assert clean["months"] == pytest.approx((DAYS - 1 - PAST) / 30.44, abs=0.1)
    (fall,) = answer["summary"]["alarms"]["visitors"]
    assert fall["delay"] <= 7 and fall["change_type"] == "level" and fall["effect_error"] < 0.3, fall
    assert answer["command"].endswith(f"--data visitors.csv --changes 'x 0.6' --past {float(PAST)}")
