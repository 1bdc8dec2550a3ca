"""Examples of the tutorials run as a reader would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.prose import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True,
                         timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    expected = script.with_suffix(".txt")
    wanted = expected.read_text(encoding="utf-8").splitlines()
    assert [line for line in wanted if line not in run.stdout] == [], run.stdout


@pytest.mark.slow
def test_the_verbs_of_the_tutorial_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    made = subprocess.run([sys.executable, str(ROOT / "examples/csv_to_forecasts.py")], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, timeout=240, check=False)
    assert made.returncode == 0, made.stderr
    run = subprocess.run(["bash", str(ROOT / "examples/csv_to_service.sh")], cwd=tmp_path, env=environment,
                         capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode in (0, 3), run.stderr
    assert "harbour" in run.stdout
