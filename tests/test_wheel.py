"""The wheel: one package named terracast, built from a clean copy, at work in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git would hand out, so that nothing which only lies here can be in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], text=True, check=True,
                            capture_output=True).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w",
                    str(out), str(source)], check=True)
    return next(out.glob("terracast-*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment: the wheel, and the libraries of this one beside it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages),
                    str(wheel)], check=True)
    # a line in a .pth file adds a folder, not the .pth files in it: the checkout stays out
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin" / "python"


def _run(python: Path, *command: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(python), *command], cwd=folder, env=environment, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def test_the_wheel_brings_one_top_level_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        tops = {name.split("/")[0] for name in held.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"terracast"}


def test_every_public_name_is_there_and_comes_from_the_wheel(python: Path, tmp_path: Path) -> None:
    told = _run(python, "-c", "import terracast as tc; print(tc.__file__); [getattr(tc, name) for name in tc.__all__]",
                folder=tmp_path)
    assert Path(told.strip()).is_relative_to(python.parents[1])


def test_the_command_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "rain.csv").write_text("time,node,rain\n" + "".join(
        f"2024-01-{1 + at // 24:02d}T{at % 24:02d}:00,a,{at % 7}\n" for at in range(24 * 28)), encoding="utf-8")
    told = _run(python, "-m", "terracast", "init", "rain", "--from", "rain.csv", folder=tmp_path)
    assert "terracast.toml written" in told and (tmp_path / "terracast.toml").exists()


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    _run(python, "-m", "terracast", "demo", folder=tmp_path)
    assert list((tmp_path / "terracast-demo").glob("**/report.html"))
