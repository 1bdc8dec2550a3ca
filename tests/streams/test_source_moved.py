"""A watched folder that was moved or copied together with its store: what was taken in is known where it lies now."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.kinds.raster_stream import raster_panels
from terracast.streams.readers.wanted import Wanted
from terracast.streams.sources import FilesSource, IngestAnswer, Source, drain
from terracast.streams.sources.gathered import GatheredSource, RowTerms
from terracast.streams.sources.rasters import RasterSource
from terracast.streams.store import Store

END = np.datetime64("2100-01-01")
Build = Callable[[Path, str, "Path | None"], Source]


def _files(folder: Path, place: str, root: Path | None) -> Source:
    return FilesSource("files", "air", folder / place, {"step": "1h"}, clock=lambda: END, root=root)


def _gathered(folder: Path, place: str, root: Path | None) -> Source:
    terms = RowTerms("fires", "event", cell=1.0, step="1h", delay="1h")
    return GatheredSource("fires", "fires", folder / place, terms, clock=lambda: np.datetime64("2020-01-02"), root=root)


def _rasters(folder: Path, place: str, root: Path | None) -> Source:
    def read(path: Path):  # type: ignore[no-untyped-def]
        wanted = Wanted(where=path.name, domain="sky", kind="raster", step=pd.Timedelta("1h"),
                        delay=pd.Timedelta("1h"))
        return raster_panels(path, wanted, 1)

    return RasterSource("sky", "sky", folder / place, read, clock=lambda: END, root=root)


def _rows(first: int, stop: int, value: float = 1.5) -> str:
    start = pd.Timestamp("2020-01-01")
    return "time,node,x\n" + "".join(f"{(start + pd.Timedelta(hours=hour)).isoformat()},a,{value}\n"
                                     for hour in range(first, stop))


def _fires(first: int, stop: int) -> str:
    start = pd.Timestamp("2020-01-01")
    return "time,lat,lon\n" + "".join(f"{(start + pd.Timedelta(minutes=7 * one)).isoformat()},50.1,8.2\n"
                                      for one in range(first, stop))


def _sky(path: Path, first: int, stop: int) -> None:
    time = pd.date_range("2020-01-01", periods=48, freq="h")[first:stop]
    values = np.arange(len(time) * 4, dtype="f4").reshape(len(time), 2, 2)
    xr.Dataset({"rain": (("time", "lat", "lon"), values, {"units": "mm", "long_name": "rain"})},
               {"time": time, "lat": [50.0, 51.0], "lon": [8.0, 9.0]}).to_netcdf(path)


def _look(build: Build, folder: Path, place: str, *, rooted: bool = True) -> tuple[IngestAnswer, ...]:
    return drain([build(folder, place, folder if rooted else None)], Store.open(folder / "store"))


def _deliver(build: Build, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, first, stop in (("a", 0, 24), ("b", 24, 30)):
        if build is _rasters:
            _sky(folder / f"{name}.nc", first, stop)
        else:
            (folder / f"{name}.csv").write_text((_rows if build is _files else _fires)(first, stop))


@pytest.mark.parametrize("rooted", [True, False], ids=["as now", "a cursor of old, with absolute paths"])
@pytest.mark.parametrize("build", [_files, _gathered, _rasters], ids=["files", "gathered", "rasters"])
@pytest.mark.parametrize("how", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_what_was_taken_in_is_known_elsewhere(tmp_path: Path, build: Build, how: Callable[..., object],
                                              rooted: bool) -> None:
    old, new = tmp_path / "old", tmp_path / "new place"
    _deliver(build, old / "in")
    assert sum(one.new for one in _look(build, old, "in", rooted=rooted)) > 0
    before = [one.id for one in Store.open(old / "store").snapshots()]
    how(old, new)
    assert _look(build, new, "in") == ()
    assert _look(build, new, "in") == ()
    held = Store.open(new / "store")
    assert len(held.snapshots()) <= len(before) + 1, "the cursor is written once; looks after that change nothing"
    text = str(held.read().cursor(build(new, "in", new).name))
    assert str(new) not in text, "no address of this machine is kept of what lies in the workspace"


def test_a_correction_is_not_undone_by_reading_the_first_export_again(tmp_path: Path) -> None:
    """Read again elsewhere, the older file would revise what the newer one had corrected."""
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "in").mkdir(parents=True)
    (old / "in" / "z-first.csv").write_text(_rows(0, 5, 1.0))
    assert [one.new for one in _look(_files, old, "in")] == [5]
    (old / "in" / "corrected.csv").write_text(_rows(0, 5, 2.0))
    assert [one.revised for one in _look(_files, old, "in")] == [5]
    shutil.move(old, new)
    assert _look(_files, new, "in") == ()
    panel = Store.open(new / "store").read().as_known_at("air", END)
    assert panel["x"].values.ravel().tolist() == [2.0] * 5


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "in" / "in").mkdir(parents=True)
    (old / "in" / "a.csv").write_text(_rows(0, 5))
    (old / "in" / "in" / "a.csv").write_text(_rows(5, 10))
    assert [one.new for one in _look(_files, old, "**/*.csv", rooted=False)] == [5, 5]
    shutil.move(old, new)
    assert _look(_files, new, "**/*.csv") == ()
    (new / "in" / "in" / "a.csv").write_text(_rows(5, 11))
    assert [(one.new, one.duplicate) for one in _look(_files, new, "**/*.csv")] == [(1, 5)]


def test_a_file_outside_keeps_its_whole_path(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "old", tmp_path / "data"
    outside.mkdir()
    workspace.mkdir()
    (outside / "a.csv").write_text(_rows(0, 5))

    def look(folder: Path) -> tuple[IngestAnswer, ...]:
        return drain([FilesSource("files", "air", outside, {"step": "1h"}, root=folder)], Store.open(folder / "store"))

    assert [one.new for one in look(workspace)] == [5]
    assert list(Store.open(workspace / "store").read().cursor("files") or {}) == [str(outside / "a.csv")]
    shutil.move(workspace, tmp_path / "new")
    assert look(tmp_path / "new") == ()


def test_a_refused_file_is_not_told_again_elsewhere(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "in").mkdir(parents=True)
    (old / "in" / "a.csv").write_bytes(b"\x00\x01\x02 no table \x00")
    assert _look(_files, old, "in")[0].refused
    shutil.move(old, new)
    assert _look(_files, new, "in") == ()
