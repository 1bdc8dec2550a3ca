"""SQL on SQLite and on a real PostgreSQL: incremental, late rows, writers that overlap, no password in any text."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql

from terracast.streams.sources import SourceError, Terms, drain
from terracast.streams.sources.sql import SqlSource
from terracast.streams.store import Store
from tests.streams.row_forms import FORMS as ROW_FORMS
from tests.streams.row_forms import NAMES, RowForm, said_by
from tests.streams.servers import POSTGRES, ROOT, postgres, stop

pytestmark = pytest.mark.integration

END, NOW = np.datetime64("2100-01-01"), np.datetime64("2020-02-01", "ns")
AIR = Terms("air", pd.Timedelta("1h"), variables=("no2",), delay=pd.Timedelta("1h"), units={"no2": "ug m-3"})
TABLE = """create table readings (id {identity}, time {stamp} not null, node text not null, no2 {number},
           note text, updated_at {stamp})"""
FORMS = {"sqlite": {"identity": "integer primary key", "stamp": "text", "number": "real"},
         "postgresql": {"identity": "bigserial primary key", "stamp": "timestamptz", "number": "numeric(12, 3)"}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    if POSTGRES is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/air.db"
        (tmp_path / "air.db").touch()
    else:
        url = request.getfixturevalue("cluster")
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sql.text("drop table if exists readings"))
        connection.execute(sql.text(TABLE.format(**FORMS[request.param])))
    yield url
    engine.dispose()


def insert(url: str, rows: list[dict[str, object]]) -> None:
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sql.text("insert into readings (time, node, no2, note, updated_at) "
                                    "values (:time, :node, :no2, 'a text', :updated_at)"), rows)
    engine.dispose()


def row(hour: int, node: str, value: float | None, changed: str | None = "2020-01-10 00:00:00+00:00"
        ) -> dict[str, object]:
    stamp = pd.Timestamp("2020-01-01") + pd.Timedelta(hours=hour)
    return {"time": stamp.strftime("%Y-%m-%d %H:%M:%S+00:00"), "node": node, "no2": value, "updated_at": changed}


def source(url: str, column: str = "id", **more: object) -> SqlSource:
    return SqlSource("sql", AIR, url, column, lambda: NOW, table=None if "query" in more else "readings", **more)


def counts(source: SqlSource, store: Store) -> tuple[int, int, int, int]:
    found = drain([source], store)
    source.close()
    assert not [one.refused for one in found if one.refused]
    return tuple(sum(getattr(one, fate) for one in found) for fate in ("new", "late", "duplicate", "revised"))


def test_incremental_by_id_with_late_rows(database: str, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    insert(database, [row(hour, node, hour) for hour in range(48) for node in "ab"])
    new, late, *others = counts(source(database, batch=10, most=30), store)  # many rounds, none left out
    assert new + late == 96 and others == [0, 0]  # late: the other half of a stamp that a round has cut
    assert counts(source(database), store) == (0, 0, 0, 0)
    insert(database, [row(3, "c", 33), row(48, "a", None), row(48, "b", 48.125)])
    assert counts(source(database), store) == (1, 1, 0, 0)
    panel = store.read().as_known_at("air", END)
    assert panel.no2.sel(node="c").values[3] == 33 and panel.no2.sel(node="b").values[-1] == 48.125
    assert np.array_equal(panel.no2.sel(node="a").values[:48], np.arange(48.0))


def test_incremental_by_last_change_with_overlap(database: str, tmp_path: Path) -> None:
    store, overlap = Store.open(tmp_path / "store"), pd.Timedelta("10min")
    terms = Terms("air", pd.Timedelta("1h"), variables=("no2",), known_time="updated_at", units={"no2": "ug m-3"})

    def changes() -> SqlSource:
        return SqlSource("sql", terms, database, "updated_at", lambda: NOW, table="readings", overlap=overlap)

    insert(database, [row(0, "a", 1, "2020-01-10 00:00:00+00:00"), row(1, "a", 2, "2020-01-10 00:20:00+00:00"),
                      row(2, "a", 3, None)])
    said, answer = drain([changes()], store)
    assert answer.new == 2 and said.notes == ("1 rows have no updated_at: they are never read",)
    insert(database, [row(3, "a", 4, "2020-01-10 00:15:00+00:00")])  # began earlier, was committed later
    assert counts(changes(), store) == (1, 0, 0, 0)
    engine = sql.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sql.text("update readings set no2 = 9, updated_at = '2020-01-11 00:00:00+00:00' "
                                    "where no2 = 1"))
    engine.dispose()
    assert counts(changes(), store) == (0, 0, 0, 1)
    assert counts(changes(), store) == (0, 0, 0, 0)
    assert store.read().as_known_at("air", np.datetime64("2020-01-10T12:00")).no2.values[0, 0] == 1
    assert store.read().as_known_at("air", END).no2.values[0, 0] == 9


def test_a_query_of_one_row_per_variable(database: str, tmp_path: Path) -> None:
    insert(database, [row(0, "a", 1), row(0, "b", 2)])
    query = "select id, time, node, 'pm' as name, no2 as value from readings union all " \
            "select id, time, node, 'no2', no2 * 10 from readings;"
    terms = Terms("air", pd.Timedelta("1h"), variable="name", delay=pd.Timedelta("1h"))
    store = Store.open(tmp_path / "store")
    source = SqlSource("sql", terms, database, "id", lambda: NOW, query=query)
    assert counts(source, store)[0] == 2
    panel = store.read().as_known_at("air", END)
    assert panel.pm.values.tolist() == [[1, 2]] and panel.no2.values.tolist() == [[10, 20]]


@pytest.mark.parametrize("form", ROW_FORMS, ids=NAMES)
def test_rows_in_the_forms_that_files_have(database: str, tmp_path: Path, form: RowForm) -> None:
    engine, name = sql.create_engine(database), f"form_{ROW_FORMS.index(form)}"
    types = {int: sql.BigInteger, float: sql.Numeric(12, 3), str: sql.Text}
    columns = {column: types[type(value)] for column, value in form.rows[0].items()}
    table = sql.Table(name, sql.MetaData(), sql.Column("row_number", sql.Integer, primary_key=True),
                      *(sql.Column(column, kind) for column, kind in columns.items()))
    table.drop(engine, checkfirst=True)
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), form.rows)
    engine.dispose()
    store = Store.open(tmp_path / "store")
    later = np.datetime64("2021-02-01", "ns")
    source = SqlSource("sql", form.terms(), database, "row_number", lambda: later, table=name)
    assert counts(source, store)[0] > 0
    panel = store.read().as_known_at("air", END)
    assert said_by(panel) == form.said
    assert {variable: panel[variable].attrs["units"] for variable in form.units} == form.units


def test_errors_in_words_and_without_password(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, secrets = Store.open(tmp_path / "store"), ("s3cr:t/p@ss", "s3cr%3At%2Fp%40ss")
    address = sql.make_url(cluster)
    monkeypatch.setenv("AIR_DATABASE", cluster)
    assert source("$AIR_DATABASE")._url == address
    monkeypatch.setenv("AIR_DATABASE", "s3cr:t/p@ss is no address")
    wrong = [source(cluster, query="select 1 as one"), source(cluster, "no_such_column"),
             source(address.set(password="wrong s3cr:t/p@ss").render_as_string(hide_password=False)),
             source(address.set(port=1).render_as_string(hide_password=False)),
             source(address.set(drivername="postgresql+nothing").render_as_string(hide_password=False)),
             source(cluster, query="select 's3cr:t/p@ss' as id, 1/0 as x")]
    for one in wrong:
        (answer,) = drain([one], store)
        one.close()
        said = f"{answer.refused} {one!r}"
        assert answer.refused and "\n" not in said and not any(secret in said for secret in secrets)
        with pytest.raises(SourceError) as told:
            list(one.batches(None))
        assert not any(secret in line for line in traceback.format_exception(told.value) for secret in secrets)
    for url in ("$AIR_DATABASE", "$NO_SUCH_VARIABLE", "s3cr:t/p@ss", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(SourceError) as told:
            source(url)
        assert not any(secret in line for line in traceback.format_exception(told.value) for secret in secrets)


READER = """
import sys
import numpy as np
import pandas as pd
from terracast.streams.sources import Terms, ingest_from
from terracast.streams.sources.sql import SqlSource
from terracast.streams.store import Store
store = Store.open(sys.argv[1])
source = SqlSource("sql", Terms("air", pd.Timedelta("1h"), variables=("no2",), delay=pd.Timedelta("1h")), sys.argv[2],
                   "id", lambda: np.datetime64("2020-02-01"), table="readings", overlap=2000, most=150, batch=50)
print("ready", flush=True)
while True:
    with store.transaction("sql") as step:
        answers = ingest_from(source, step)
        kept = (step.state("kept") or {"rows": 0, "again": 0})
        step.set_state("kept", {"rows": kept["rows"] + sum(one.new + one.late for one in answers),
                                "again": kept["again"] + sum(one.duplicate for one in answers)})
    source.committed()
    print(kept, flush=True)
"""


def overlapping_writers(url: str, ending: threading.Event, sent: list[int], writer: int) -> None:
    """Transactions of several rows with pauses: ids are given in one order and committed in another."""
    engine, rng = sql.create_engine(url), np.random.default_rng(writer)
    while not ending.is_set():
        with engine.begin() as connection:
            for _ in range(int(rng.integers(1, 6))):
                value = sent[writer]
                connection.execute(sql.text("insert into readings (time, node, no2) values (:time, :node, :no2)"),
                                   {**row(value, f"writer{writer}", value)})
                sent[writer] += 1
                time.sleep(rng.uniform(0, 0.01))
    engine.dispose()


@pytest.mark.parametrize("kills", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_killed_at_random_instants_while_writers_overlap(cluster: str, tmp_path: Path, kills: int) -> None:
    engine, rng = sql.create_engine(cluster), np.random.default_rng(kills)
    with engine.begin() as connection:
        connection.execute(sql.text("drop table if exists readings"))
        connection.execute(sql.text(TABLE.format(**FORMS["postgresql"])))
    engine.dispose()
    ending, sent = threading.Event(), [0, 0, 0]
    writers = [threading.Thread(target=overlapping_writers, args=(cluster, ending, sent, writer))
               for writer in range(len(sent))]
    for writer in writers:
        writer.start()
    try:
        for _ in range(kills):
            reader = subprocess.Popen([sys.executable, "-c", READER, str(tmp_path / "store"), cluster],
                                      stdout=subprocess.PIPE, cwd=ROOT)
            for _ in range(int(rng.integers(1, 12))):
                assert reader.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))  # the instant of the kill, not a wait for anything
            reader.kill()
            stop(reader)
    finally:
        ending.set()
        for writer in writers:
            writer.join()
    store = Store.open(tmp_path / "store")
    terms = Terms("air", pd.Timedelta("1h"), variables=("no2",), delay=pd.Timedelta("1h"))
    last = SqlSource("sql", terms, cluster, "id", lambda: NOW, table="readings", overlap=2000)
    rest = drain([last], store)
    last.close()
    kept = store.read().state("kept")
    assert kept["rows"] + sum(one.new + one.late for one in rest) == sum(sent)
    assert kept["again"] == 0 and sum(one.duplicate for one in rest) == 0
    panel = store.read().as_known_at("air", END)
    for writer, count in enumerate(sent):
        assert np.array_equal(panel.no2.sel(node=f"writer{writer}").values[:count], np.arange(float(count)))
