"""Files watched: what is new counts once, what is broken is refused in a line and comes when it is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.errors import ReadError
from terracast.streams.readers import read, read_counted
from terracast.streams.readers.tables import Reading
from terracast.streams.sources import FilesSource, IngestAnswer, drain
from terracast.streams.sources.files import NO_LINE_END, STILL_CHANGING
from terracast.streams.sources.rows import AMBIGUOUS
from terracast.streams.store import Store
from tests.streams.servers import ROOT, stop

END = np.datetime64("2100-01-01")


class Watch:
    """A folder watched into a store."""

    def __init__(self, folder: Path, **reading: object) -> None:
        self.folder, self.store = folder / "in", Store.open(folder / "store")
        self.folder.mkdir()
        self.reading = reading

    def look(self) -> tuple[IngestAnswer, ...]:
        """As a new process would: nothing but the store's cursor is remembered."""
        return drain([FilesSource("files", "air", self.folder, self.reading)], self.store)

    def panel(self) -> xr.Dataset:
        return self.store.read().as_known_at("air", END)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path, step="1h")


def table(first: int, stop: int, nodes: str = "ab") -> str:
    start = pd.Timestamp("2020-01-01")
    return "time,node,x\n" + "".join(f"{(start + pd.Timedelta(hours=hour)).isoformat()},{node},{hour}.5\n"
                                     for hour in range(first, stop) for node in nodes)


def test_a_file_that_grows_and_one_copied_again(watch: Watch) -> None:
    file = watch.folder / "air.csv"
    file.write_text(table(0, 5))
    assert [one.new for one in watch.look()] == [10]
    assert watch.look() == ()
    with file.open("a") as more:
        more.write(table(5, 8).split("\n", 1)[1])
    (answer,) = watch.look()
    assert (answer.new, answer.duplicate) == (6, 10)
    shutil.copy(file, watch.folder / "copy.csv")
    (answer,) = watch.look()
    assert (answer.new, answer.duplicate, answer.item) == (0, 16, str(watch.folder / "copy.csv"))
    os.utime(file)
    snapshot = watch.store.read().snapshot
    assert watch.look() == () and watch.store.read().snapshot != snapshot  # touched, known by its content
    assert watch.look() == () and watch.panel().sizes["time"] == 8


def test_a_last_line_without_an_end_waits_for_the_next_look(watch: Watch) -> None:
    file = watch.folder / "air.csv"
    file.write_text(table(0, 3, "a") + "2020-01-01T03:00,a,12")  # is it 12, or the beginning of 12.75?
    (answer,) = watch.look()
    assert answer.new == 3 and answer.notes == (NO_LINE_END,)
    with file.open("a") as more:
        more.write(".75\n2020-01-01T04:00,a,4")
    (answer,) = watch.look()
    assert answer.new == 1 and watch.panel().x.values[-1, 0] == 12.75
    (answer,) = watch.look()  # unchanged: that is how the file ends
    assert answer.new == 1 and watch.panel().x.values[-1, 0] == 4
    assert watch.look() == ()


def test_half_a_classic_file_is_refused(watch: Watch) -> None:
    """The netCDF library reads zeros where a NetCDF 3 file was cut."""
    import netCDF4

    place = watch.folder / "air.nc"
    with netCDF4.Dataset(place, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.createDimension("time", 200)
        file.createDimension("node", 2)
        file.createVariable("time", "f8", ("time",))[:] = np.arange(200)
        file["time"].units = "hours since 2020-01-01"
        file.createVariable("x", "f8", ("time", "node"))[:] = 7
    whole = place.read_bytes()
    place.write_bytes(whole[: len(whole) * 2 // 3])
    assert "not a sound NetCDF file" in str(watch.look()[0].refused)
    place.write_bytes(whole)
    assert watch.look()[0].new == 400 and bool((watch.panel().x == 7).all())


@pytest.mark.parametrize("suffix", [".nc", ".parquet", ".csv", ".zarr"])
def test_half_a_file_is_refused_and_comes_when_it_is_whole(watch: Watch, tmp_path: Path, suffix: str) -> None:
    whole, place = tmp_path / f"whole{suffix}", watch.folder / f"air{suffix}"
    panel = xr.Dataset({"x": (("time", "node"), np.arange(400.0).reshape(200, 2))},
                       {"time": pd.date_range("2020-01-01", periods=200, freq="h"), "node": ["a", "b"]})
    if suffix == ".nc":
        panel.to_netcdf(whole)
    elif suffix == ".zarr":
        panel.to_zarr(whole)
    elif suffix == ".parquet":
        panel.to_dataframe().reset_index().to_parquet(whole)
    else:
        panel.to_dataframe().reset_index().to_csv(whole, index=False)
    if suffix == ".zarr":
        shutil.copytree(whole, place)
        (place / "time" / "zarr.json").unlink()
        (place / "zarr.json").unlink()
    else:
        place.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        if suffix == ".csv":  # cut inside a row
            place.write_bytes(place.read_bytes().rsplit(b",", 1)[0] + b"\n")
    (answer,) = watch.look()
    assert answer.refused and "\n" not in answer.refused and answer.new == 0
    assert watch.look() == ()  # said once
    if suffix == ".zarr":
        shutil.copytree(whole, place, dirs_exist_ok=True)
    else:
        place.write_bytes(whole.read_bytes())
    (answer,) = watch.look()
    assert answer.new == 400 and answer.refused is None
    assert np.array_equal(watch.panel().x.values, panel.x.values)


def test_a_file_that_has_stood_still_is_read_to_its_end(watch: Watch) -> None:
    file = watch.folder / "air.csv"
    file.write_text(table(0, 3, "a").rstrip("\n"))
    touched = np.datetime64(file.stat().st_mtime_ns, "ns")
    for seconds, new in ((10, 2), (50, 0), (60, 1)):
        now = touched + np.timedelta64(seconds, "s")
        source = FilesSource("files", "air", watch.folder, watch.reading, clock=lambda now=now: now)
        (answer,) = drain([source], watch.store)
        assert answer.new == new
    assert drain([source], watch.store) == ()


def test_a_file_that_changes_under_the_eyes(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    import terracast.streams.sources.files as files

    file = watch.folder / "air.csv"
    file.write_text(table(0, 3))

    def read_while_written(path: Path, **reading: object) -> Reading:
        panel = read_counted(path, **reading)
        with file.open("a") as more:
            more.write(table(3, 4).split("\n", 1)[1])
        return panel

    with monkeypatch.context() as writing:
        writing.setattr(files, "read_counted", read_while_written)
        (answer,) = watch.look()
    assert answer.new == 0 and STILL_CHANGING in str(answer.refused)
    (answer,) = watch.look()
    assert answer.new == 8


def test_transfers_under_way_and_other_files(watch: Watch) -> None:
    for name in (".air.csv.x7", "air.csv.part", "air.csv.tmp"):
        (watch.folder / name).write_text(table(0, 2))
    assert watch.look() == ()
    (watch.folder / "README").write_text("hello")
    (answer,) = watch.look()
    assert "are not read" in str(answer.refused) and watch.look() == ()
    (watch.folder / "air.csv.part").rename(watch.folder / "air.csv")
    assert [one.new for one in watch.look()] == [4]


def test_a_pattern_and_a_cursor_of_old(tmp_path: Path) -> None:
    deep = tmp_path / "2020" / "01"
    deep.mkdir(parents=True)
    (deep / "air.csv").write_text(table(0, 2))
    store = Store.open(tmp_path / "store")
    source = FilesSource("files", "air", tmp_path / "**" / "*.csv", {})
    assert [one.new for one in drain([source], store)] == [4]
    signature = store.read().cursor("files")[str(deep / "air.csv")][0]
    with store.transaction("as an older version wrote it") as step:
        step.set_cursor("files", {str(deep / "air.csv"): signature})
    assert drain([source], store) == ()
    assert store.read().cursor("files")[str(deep / "air.csv")][0] == signature


def test_a_refused_panel_does_not_stop_the_others(watch: Watch) -> None:
    watch.reading["units"] = {"x": "K"}
    (watch.folder / "a.csv").write_text(table(0, 2))
    watch.look()
    watch.reading["units"] = {"x": "degC"}
    (watch.folder / "b.csv").write_text(table(2, 4))
    watch.look()
    watch.reading["units"] = {"x": "K"}
    (watch.folder / "c.csv").write_text(table(4, 6))
    (answer,) = watch.look()
    assert answer.new == 4 and watch.panel().sizes["time"] == 6
    assert bool(watch.panel().x.isel(time=slice(2, 4)).isnull().all())


GERMAN = """Zeit;Stelle;Wert (µg/m³)
25.10.2020 01:00;a;1.234,5
25.10.2020 02:00;a;0,5
25.10.2020 02:00;a;-0,25
25.10.2020 03:00;a;
25.10.2020 02:00;b;7
25.10.2020 03:00;b;8
"""


def test_a_german_table(tmp_path: Path) -> None:
    watch = Watch(tmp_path, time="Zeit", node="Stelle", time_format="%d.%m.%Y %H:%M", decimal=",", separator=";",
                  encoding="latin-1", time_zone="Europe/Berlin", step="1h")
    (watch.folder / "werte.csv").write_bytes(GERMAN.encode("latin-1"))
    (answer,) = watch.look()
    assert (answer.new, answer.rejected) == (4, {AMBIGUOUS: 1})
    panel = watch.panel()
    assert panel["time"].values.astype("datetime64[h]").astype(str).tolist() == [
        "2020-10-24T23", "2020-10-25T00", "2020-10-25T01", "2020-10-25T02"]
    values = panel["Wert (µg/m³)"]
    assert values.sel(node="a").values[:3].tolist() == [1234.5, 0.5, -0.25]
    assert values.sel(node="b").values[3] == 8
    for decimal, wrong in ((",", "1.5"), (",", "12.34,5"), (".", "1,5")):
        (tmp_path / "wrong.csv").write_text(f"time;node;x\n2020-01-01;a;{wrong}\n2020-01-02;a;1\n")
        with pytest.raises(ReadError, match="line 2"):
            read(tmp_path / "wrong.csv", domain="air", decimal=decimal)


def test_the_missing_half_of_the_doubled_hour_comes_later(tmp_path: Path) -> None:
    """While a file grows through the doubled hour its first half stands alone: it waits for the second."""
    watch = Watch(tmp_path, time_zone="Europe/Berlin", wide="x", step="1h")
    file = watch.folder / "air.csv"
    rows = ["2020-10-25T01:00,1,1\n", "2020-10-25T02:00,2,2\n", "2020-10-25T02:00,3,3\n", "2020-10-25T03:00,4,4\n"]
    file.write_text("time,a,b\n" + "".join(rows[:2]))
    (answer,) = watch.look()
    assert (answer.new, answer.rejected) == (2, {AMBIGUOUS: 2}), "a row of two nodes"
    file.write_text("time,a,b\n" + "".join(rows))
    (answer,) = watch.look()
    assert (answer.new, answer.rejected) == (6, {})
    assert watch.panel().x.sel(node="a").values.tolist() == [1, 2, 3, 4]


def test_stamps_with_an_offset_need_no_zone(tmp_path: Path) -> None:
    file = tmp_path / "air.csv"
    file.write_text("time,node,x\n2020-10-25T02:00+02:00,a,1\n2020-10-25T02:00+01:00,a,2\n2020-10-25T03:00,a,3\n")
    panel = read(file, domain="air", time_zone="Europe/Berlin")
    assert panel["time"].values.astype("datetime64[h]").astype(str).tolist() == [
        "2020-10-25T00", "2020-10-25T01", "2020-10-25T02"]
    file.write_text("time,node,x\n2020-03-29T01:00,a,1\n2020-03-29T02:00,a,2\n2020-03-29T03:00,a,3\n")
    panel = read(file, domain="air", time_zone="Europe/Berlin")
    assert panel.attrs["nonexistent_dropped"] == 1 and panel.x.values.ravel().tolist() == [1, 3]
    aware = tmp_path / "air.parquet"
    stamps = pd.date_range("2020-07-01", periods=3, freq="h", tz="Europe/Berlin")
    pd.DataFrame({"time": stamps, "x": [1.0, 2, 3]}).to_parquet(aware)
    assert read(aware, domain="air", time_zone="Asia/Tokyo")["time"].values[0] == stamps[0].tz_convert(
        None).to_datetime64()
    pd.DataFrame({"time": stamps.tz_localize(None), "x": [1.0, 2, 3]}).to_parquet(aware)
    assert read(aware, domain="air", time_zone="Europe/Berlin")["time"].values[0] == stamps[0].tz_convert(
        None).to_datetime64()
    with pytest.raises(ReadError, match="time_zone"):
        read(aware, domain="air", time_zone="Berlin")


def test_london_s_hours_are_local_time(tmp_path: Path) -> None:
    """TfL's counts are stamped in local time, without the doubled hour's second half."""
    file = Path(__file__).parents[2].parent / "shared" / "data" / "london_bike_weather" / "london_merged.csv"
    if not file.is_file():
        pytest.skip("the shared London bike data are not here")
    local = read(file, domain="bike", variables=["cnt"], step="1h")
    panel = read(file, domain="bike", variables=["cnt"], step="1h", time_zone="Europe/London")
    left_out = panel.attrs["ambiguous_dropped"] + panel.attrs["nonexistent_dropped"]
    assert panel.sizes["time"] + left_out == local.sizes["time"]
    assert panel.attrs["ambiguous_dropped"] <= 2 and panel.attrs["nonexistent_dropped"] <= 2
    for stamp, utc in (("2015-07-01T08", "2015-07-01T07"), ("2015-12-01T08", "2015-12-01T08")):
        assert panel.cnt.sel(time=utc).item() == local.cnt.sel(time=stamp).item()


READER = """
import sys
import time
from pathlib import Path
import numpy as np
from terracast.streams.sources import FilesSource, ingest_from
from terracast.streams.store import Store
store, clock = Store.open(sys.argv[1]), lambda: np.datetime64(time.time_ns(), "ns")
source = FilesSource("files", "air", Path(sys.argv[2]), {"step": "1h"}, clock=clock)
print("ready", flush=True)
while True:
    with store.transaction("files") as step:
        answers = ingest_from(source, step)
        kept = (step.state("kept") or {"rows": 0})["rows"]
        step.set_state("kept", {"rows": kept + sum(one.new + one.late for one in answers)})
    source.committed()
    print(kept, flush=True)
"""


def append_for_ever(folder: Path, ending: threading.Event, written: list[int]) -> None:
    """Rows appended in small pieces that end anywhere, as a slow writer does; a new file every 50 hours."""
    rng, pending, place = np.random.default_rng(5), b"", folder
    while not ending.is_set() or pending:
        if not pending:
            hour, place = written[0], folder / f"{written[0] // 50:05d}.csv"
            head = b"" if hour % 50 else b"time,node,x\n"
            stamp = pd.Timestamp("2020-01-01") + pd.Timedelta(hours=hour)
            pending = head + f"{stamp.isoformat()},a,{hour}.125\n".encode()
            written[0] += 1
        size = int(rng.integers(1, len(pending) + 1))
        with place.open("ab") as file:
            file.write(pending[:size])
        pending = pending[size:]
        time.sleep(rng.uniform(0, 0.01))


@pytest.mark.parametrize("kills", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_killed_at_random_instants_while_files_grow(tmp_path: Path, kills: int) -> None:
    rng, folder, ending, written = np.random.default_rng(kills), tmp_path / "in", threading.Event(), [0]
    folder.mkdir()
    writer = threading.Thread(target=append_for_ever, args=(folder, ending, written))
    writer.start()
    try:
        for _ in range(kills):
            reader = subprocess.Popen([sys.executable, "-c", READER, str(tmp_path / "store"), str(folder)],
                                      stdout=subprocess.PIPE, cwd=ROOT)
            for _ in range(int(rng.integers(1, 20))):
                assert reader.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))  # the instant of the kill, not a wait for anything
            reader.kill()
            stop(reader)
    finally:
        ending.set()
        writer.join()
    store, source = Store.open(tmp_path / "store"), FilesSource("files", "air", folder, {"step": "1h"})
    rest = [*drain([source], store), *drain([source], store)]
    recorded = store.read().history().recorded("air")
    values = recorded.panel.x.values[:, 0]
    assert store.read().state("kept")["rows"] + sum(one.new + one.late for one in rest) == written[0]
    assert np.array_equal(values, np.arange(float(written[0])) + 0.125) and len(recorded.revisions) == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_large_table_is_read_in_pieces_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                             encoding: str) -> None:
    from terracast.streams.readers import pieces
    from terracast.streams.sources import files

    monkeypatch.setattr(files, "PIECE", 5000)
    monkeypatch.setattr(pieces, "PIECE", 5000)
    watch = Watch(tmp_path, step="1h", encoding=encoding, header=2)
    stamps = pd.date_range("2020-01-01", periods=600, freq="h")
    rows = [f"{stamp},{node},{at}" for at, stamp in enumerate(stamps) for node in "ab"]
    file = watch.folder / "air.csv"
    file.write_text("\n".join(["a remark", "time,node,x", *rows]) + "\n", encoding=encoding)
    (answer,) = watch.look()
    assert (answer.new + answer.late, answer.read, answer.refused, answer.rejected) == (1200, 1200, None, {})
    assert watch.panel().x.values[:, 0].tolist() == list(range(600)) and watch.look() == ()
    broken = [*rows[:1100], *["broken,a,1"] * 100]
    file.write_text("\n".join(["a remark", "time,node,x", *broken]) + "\n", encoding=encoding)
    told, refused = watch.look()
    assert told.duplicate > 900 and "broken" in str(refused.refused) and "from line" in str(refused.refused)
    assert watch.panel().sizes["time"] == 600
