"""Names that data hold stay text in all that is written: terminals, tables, pages, messages, files."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from terracast.causal.graph.drawing import draw
from terracast.causal.graph.exports import to_csv, to_graphml
from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.flows.alerting.alert import of_failure, one_line
from terracast.flows.reporting.svg import harmless
from terracast.flows.terminal.output import print_rows, table_lines
from terracast.streams.errors import ReadError
from terracast.streams.printable import printable
from terracast.streams.spreadsheet import text_cell
from tests.flows.moving import table
from tests.flows.receivers import webhook
from tests.flows.terminal import VERBS_ONE_AFTER_THE_OTHER

NAMES = ("<script>stolen = 1</script>", "=cmd|' /C calc'!A0", "+1+cmd", "@SUM(1)", "one\nerror: forged",
         "red\x1b[31mRED\x1b]0;title\x07", "../../evil", "nul\x00after", "x" * 300, "turned\u202egpj", "-5", "Mitte",
         "東京")
TARGET = "<i>=no2</i>"
SETTINGS = f"""\
[stream]
name = "air"
domain = "air"
target = "{TARGET}"
step = "1h"
horizon = "6h"
cadence = "6h"
history = "2d"
label_timeout = "12h"
[base]
model = "native"
first_fit = "12d"
steps = 5
[adapt]
policy = "drift-only"
steps = 5
[alerts]
to = ["ADDRESS"]
[[sources]]
domain = "air"
path = "names.csv"
time_zone = "UTC"
delay = "1h"
"""


def unshown(text: str) -> list[str]:
    return [one for one in text if one != "\n" and printable(one) != one]


def write_names(path: Path, target: str = TARGET) -> None:
    values = table("2024-01-01", 15).query("station == 'Mitte'")
    rows = [pd.DataFrame({"time": values["time"], "station": name, target: values["no2"] + place})
            for place, name in enumerate(NAMES)]
    pd.concat(rows).to_csv(path, index=False)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, str, str]]]:
    """What every verb answered on such a file, by what was typed; the messages that arrived are under ``alert``."""
    folder = tmp_path_factory.mktemp("outside") / "inside"
    folder.mkdir()
    write_names(folder / "names.csv")
    before = sorted(folder.parent.iterdir())
    served, late = ("--now", "2024-01-14T00:30"), ("--now", "2024-01-17T00:30")
    typed = {"look": ["look", "names.csv"], "look --json": ["look", "names.csv", "--json"],
             "init": ["init", "air", "--from", "names.csv", "--folder", "made"],
             "watch": ["watch", "--once", *served], "forecast": ["forecast", *served],
             "forecast node": ["forecast", *served, "--node", NAMES[5]],
             "forecast no node": ["forecast", *served, "--node", "no\x1b[31m"],
             "forecast --out": ["forecast", *served, "--out", "x.csv"], "report": ["report", *served],
             "forecast --json": ["forecast", *served, "--json"],
             "late": ["watch", "--once", *late], "status": ["status", *late], "alerts": ["alerts"],
             "quality": ["quality", *late], "metrics": ["metrics", "--nodes", *late]}
    answers: dict[str, tuple[int, str, str]] = {}
    with webhook() as hook, subprocess.Popen(
            [sys.executable, "-c", VERBS_ONE_AFTER_THE_OTHER], cwd=folder, text=True, stdin=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE) as process:
        (folder / "terracast.toml").write_text(SETTINGS.replace("ADDRESS", hook.address), encoding="utf-8")
        assert process.stdin is not None and process.stdout is not None
        for name, words in typed.items():
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            code, out, err = json.loads(process.stdout.readline())
            answers[name] = code, out, err
        process.stdin.close()
        answers["alert"] = 0, "\n".join(f"{one['title']}\n{one['message']}" for one in hook.got), ""
    assert sorted(folder.parent.iterdir()) == before, "nothing is written outside"
    answers["x.csv"] = 0, (folder / "x.csv").read_bytes().decode(), ""
    answers["report.html"] = 0, (folder / "report.html").read_text(encoding="utf-8"), ""
    answers["terracast.toml"] = 0, (folder / "made" / "terracast.toml").read_text(encoding="utf-8"), ""
    yield answers


@pytest.mark.integration
def test_verbs_say_names_without_obeying_them(said: dict[str, tuple[int, str, str]]) -> None:
    wrong = {name: answer for name, answer in said.items() if answer[0] not in (0, 3) and name != "forecast no node"}
    assert not wrong
    for name in said.keys() - {"x.csv", "report.html", "metrics"}:
        _, out, err = said[name]
        assert not unshown(out + err), name
        assert not [line for line in (out + err).splitlines() if line.startswith("error: forged")], name
    assert "one\\nerror: forged" in said["look"][1] and "red\\x1b[31mRED" in said["forecast"][1]
    code, _, err = said["forecast no node"]
    assert code == 1 and err.startswith("error: no node ") and err.count("\n") == 1
    assert "Nothing came" in said["alert"][1]
    assert not [line for line in said["metrics"][1].splitlines() if line.startswith("error: forged")]


@pytest.mark.integration
def test_programs_get_names_as_they_are(said: dict[str, tuple[int, str, str]]) -> None:
    rows = json.loads(said["forecast --json"][1])["rows"]
    kept = {str(row["node"]) for row in rows}
    assert kept == set(NAMES), kept ^ set(NAMES)


@pytest.mark.integration
def test_a_table_for_spreadsheets_holds_no_formula(said: dict[str, tuple[int, str, str]]) -> None:
    rows = list(csv.DictReader(io.StringIO(said["x.csv"][1], newline="")))
    nodes = {row["node"] for row in rows}
    assert {"'=cmd|' /C calc'!A0", "'+1+cmd", "'@SUM(1)", "-5", "Mitte", "東京", "../../evil"} <= nodes
    assert all(float(row["low"]) <= float(row["median"]) for row in rows)
    assert not [row[name] for row in rows for name in ("node", "units") if text_cell(row[name]) != row[name]]


@pytest.mark.integration
def test_a_page_holds_names_as_text(said: dict[str, tuple[int, str, str]]) -> None:
    page = said["report.html"][1]
    assert "<script>stolen" not in page and "<i>=no2" not in page
    assert NAMES[0] in unescape(page) and TARGET in unescape(page)


@pytest.mark.integration
def test_a_variable_that_cannot_be_shown_is_refused_in_one_line(tmp_path: Path) -> None:
    write_names(tmp_path / "names.csv", "no2\x1b[31m")
    command = [sys.executable, "-c", "from terracast.flows.command import main; main()", "init", "air", "--from",
               "names.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and not unshown(done.stdout + done.stderr)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: 'no2\\x1b[31m' cannot name a variable")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names.csv"], "no settings that cannot be read"


def test_errors_tables_and_messages_write_control_characters_out(capsys: pytest.CaptureFixture[str]) -> None:
    error = ReadError("bad\x1b[2J", where="a\nb", expected="\r\nc", remedy="\u202ed")
    assert str(error) == "bad\\x1b[2J (a b): expected \\r c; \\u202ed"
    print_rows("ti\x1b[31mtle", [{"name": "[red]a\x07\n"}], {"name": "name"})
    told = capsys.readouterr().out
    assert not unshown(told) and "[red]a\\x07\\n" in told and "ti\\x1b[31mtle" in told
    assert table_lines(("node", "value"), [("a\nb", "1")]) == ["node  value", "a\\nb      1"]
    assert one_line("a\nb\x9b31m\u202ec") == "a b\\x9b31m\\u202ec"
    assert "x\\x1b[31m" in of_failure("watch", "x\x1b[31m", "air", "now").text


def test_a_graph_for_spreadsheets_holds_no_formula() -> None:
    cause, effect = Series("air", "wind"), Series("air", "no2")
    graph = CausalGraph((cause, effect), (Link(cause, effect, 2, -0.4, 0.0, note="=1+1"),), "1h", "PCMCI+", 900)
    (row,) = csv.DictReader(io.StringIO(to_csv(graph)))
    assert row["note"] == "'=1+1" and row["strength"] == "-0.4" and row["cause"] == "air.wind"


def test_a_drawn_graph_is_sound_whatever_its_names_hold() -> None:
    cause, effect = Series("air", "wi\x1b[31mnd\x00"), Series("air", "<no2>")
    graph = CausalGraph((cause, effect), (Link(cause, effect, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    assert harmless(draw(graph)).startswith("<svg")
    assert "wi\\x1b[31mnd\\x00" in ElementTree.tostring(ElementTree.fromstring(to_graphml(graph)), encoding="unicode")


@pytest.mark.parametrize("text", ["Mitte", "-5", "+49.5", "1e-3", "", "a=b", "St. Paul - north", "東京", "-inf"])
def test_plain_cells_stay(text: str) -> None:
    assert text_cell(text) == text


@pytest.mark.parametrize("text", ["=1", " =1", "+a", "-a", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_formulas_do_not(text: str) -> None:
    assert text_cell(text) == "'" + text
