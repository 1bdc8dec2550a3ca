"""What a table holds, found from its content: made-up exports in many dressings, and the files of tests/cases."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.streams.schema.file_schema import look_into
from tests.streams.tables_of_others import TABLES, write

MACHINE = np.datetime64("2026-11-30")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_others(tmp_path: Path, name: str) -> None:
    made = TABLES[name]()
    right = made[2]
    schema = look_into(write(made, tmp_path), "own", latest=MACHINE)
    assert not schema.undecided
    panels = [source.panel for source in schema.sources]
    held = {str(one): panel for panel in panels for one in panel.data_vars}
    assert set(right.variables) <= set(held), held.keys()
    panel = held[right.variables[0]]
    answer = next(one for one in schema.answer()["sources"] if one["variables"][0]["name"] in panel.data_vars)
    assert (answer["nodes"], answer["step"]) == (right.nodes, right.step)
    assert (answer["first"][:16], answer["last"][:16]) == (right.first, right.last)
    for variable, units in right.units.items():
        assert held[variable][variable].attrs["units"] == units
    options = schema.sources[0].options
    for option, value in right.options.items():
        assert options.get(option) == value, options
    for variable, least in right.largest.items():
        assert float(held[variable][variable].max()) > least
    for variable, count in right.missing.items():
        assert int(held[variable][variable].isnull().sum()) == count
    for words in right.doubts:
        assert any(words in doubt.what for doubt in schema.doubts), schema.doubts
    for doubt in schema.doubts:
        for advice in doubt.option.split(", or "):  # it can be typed: an option, and one word behind it
            assert len(shlex.split(advice)) == 2 and advice.startswith("--"), doubt
    for source in schema.answer()["sources"]:
        assert source["rows"]["read"] == source["rows"]["kept"] + sum(source["rows"]["rejected"].values())


@pytest.mark.parametrize("ending", ["xls", "ods"])
def test_a_workbook_of_another_form(tmp_path: Path, ending: str) -> None:
    """Two sheets, the second the longer one: a title, stamps as dates, whole and broken numbers, an empty cell."""
    schema = look_into(Path(__file__).parent / f"workbooks/flow.{ending}", "own", latest=MACHINE)
    (source,) = schema.sources
    assert source.options["sheet"] == "Flow" and source.options["node"] == "Gauge"
    panel = source.panel
    assert panel.attrs["step"] == "1h" and str(panel["time"].values[0])[:16] == "2024-01-10T00:00"
    assert panel["Flow"].attrs["units"] == "m3 s-1" and panel["Flow"].shape == (120, 2)
    assert panel["Flow"].values[:3, 0].tolist()[:2] == [10.0, 10.5] and int(panel["Flow"].isnull().sum()) == 1


@pytest.mark.parametrize("remarks", [
    ["Lastgang Liegenschaften"], ["Lastgang Liegenschaften", "Einheit: kW"], ["Report", "Customer;Town of Hof", "kW"],
    ["Station:;Hof", "Height:;565", "Created:;01.05.2026"], ["Meter;4711", "", "Unit;kW", "From;15.05.2026"]])
@pytest.mark.parametrize("columns", [4, 6])
def test_remarks_with_the_separators_of_a_spreadsheet(tmp_path: Path, remarks: list[str], columns: int) -> None:
    """A spreadsheet that is saved as text fills each line up to the width of the widest."""
    names = ["Rathaus", "Schule", "Bad", "Werk 2", "Markt"][:columns - 1]
    lines = [line + ";" * (columns - 1 - line.count(";")) for line in (*remarks, "Zeitpunkt;" + ";".join(names))]
    for at, t in enumerate(pd.date_range("2026-05-15", periods=200, freq="h")):
        lines.append(";".join([t.strftime("%d.%m.%Y %H:%M"), *(f"{40 + at % (7 + n)},5" for n in range(columns - 1))]))
    (tmp_path / "load.csv").write_text("\n".join(lines), encoding="utf-8")
    source = look_into(tmp_path / "load.csv", "load", latest=MACHINE).sources[0]
    assert source.options["header"] == len(remarks) + 1
    held = {str(one) for one in (*source.panel.data_vars, *source.panel["node"].values)}
    assert set(names) <= held and source.panel.sizes["time"] == 200
    if any(line.startswith("Einheit") for line in remarks):  # one unit for all columns: each is a place
        assert source.panel["load"].attrs["units"] == "kW" and source.panel.sizes["node"] == len(names)


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("hours", [range(24), range(1, 25), range(0, 24, 6)])
def test_hours_without_a_name_are_no_places(tmp_path: Path, places: int, hours: range) -> None:
    """Year, month, day and hour in front of the values, as weather services write them; no line of names."""
    rows = [f"{day:%y %m %d} {hour:02d}" + "".join(f" {1000 + day.day + hour + p:7.1f}" for p in range(places))
            for day in pd.date_range("2025-03-01", periods=40) for hour in hours]
    (tmp_path / "old.dat").write_text("\n".join(rows), encoding="utf-8")
    panel = look_into(tmp_path / "old.dat", "own", latest=MACHINE).sources[0].panel
    assert panel.sizes["time"] == 40 * len(hours) and panel.attrs["step"] == f"{24 // len(hours)}h"


def test_a_sheet_with_a_title_and_merged_cells(tmp_path: Path) -> None:
    """A title line, stations over their quantities, each cell of a station's name merged."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Readings 2024"], [], ["Time", "North", None, "South", None],
                [None, "NO2 [µg/m³]", "PM10 [µg/m³]", "NO2 [µg/m³]", "PM10 [µg/m³]"]):
        sheet.append(row)
    sheet.merge_cells("B3:C3")
    sheet.merge_cells("D3:E3")
    for at, t in enumerate(pd.date_range("2024-01-01", periods=300, freq="h")):
        sheet.append([t.to_pydatetime(), 20 + at % 9, 30 + at % 7, 10 + at % 5, 15 + at % 3])
    book.save(tmp_path / "readings.xlsx")
    panel = look_into(tmp_path / "readings.xlsx", "air").sources[0].panel
    assert panel["node"].values.tolist() == ["North", "South"] and panel.sizes["time"] == 300
    assert {name: panel[name].attrs["units"] for name in panel} == {"NO2": "µg m-3", "PM10": "µg m-3"}
    assert panel["NO2"].max("time").values.tolist() == [28.0, 14.0]


def test_two_measured_variables_are_no_places(tmp_path: Path) -> None:
    """A table of one station: its values lie between -90 and 90, and one follows from the last, as places do."""
    stamps = pd.date_range("2024-01-01", periods=900, freq="h")
    noise = np.random.default_rng(0).normal(size=(2, len(stamps))).cumsum(axis=1) / 20
    for names in (("no2", "temp"), ("x", "y"), ("level", "flow")):
        file = tmp_path / f"{names[0]}.csv"
        pd.DataFrame({"time": stamps, names[0]: 20 + noise[0], names[1]: 11 + noise[1]}).to_csv(file, index=False)
        sources = look_into(file, "river").sources
        assert {source.panel.attrs["kind"] for source in sources} == {"sensor"}
        assert {str(name) for source in sources for name in source.panel.data_vars} == set(names)
