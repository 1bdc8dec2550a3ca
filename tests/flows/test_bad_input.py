"""Bad input: each is a one-line refusal or a counted rejection, and the store stays as it was or consistent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.ingest import ingest_new
from terracast.flows.watch import watch_once

SEED_DAYS = 31


def table(rows: list[tuple[str, str, str]], header: str = "time,node,no2") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def stamp(hour: int) -> str:
    return str(pd.Timestamp("2023-02-01") + pd.Timedelta(hour, "h"))


GOOD = [(stamp(hour), "air-01", "5.0") for hour in range(6)]
REFUSED = {
    "wrong columns": (table([("1", "2", "3")], "a,b,c"), "time"),
    "duplicate stamps that differ": (table([*GOOD, (GOOD[2][0], "air-01", "9.0")]), "in line 4 and 9.0 here"),
    "text among numbers": (table([*GOOD[:3], (stamp(3), "air-01", "broken")]), "broken"),
    "a line with a field too few": (table([*GOOD[:3], (stamp(3), "air-01")]), "field|column"),  # type: ignore[list-item]
    "empty": ("", "empty"),
    "header only": ("time,node,no2\n", "empty|no rows|no data"),
}


@pytest.fixture
def open_inbox(small_city):  # type: ignore[no-untyped-def]
    """A workspace that also takes CSV files in µg m-3, with four hours in it."""
    config = small_city.config.read_text()
    (small_city.folder / "csv").mkdir()
    small_city.config.write_text(config + '\n[[sources]]\ndomain = "roadside"\npath = "csv"\n'
                                          'units = {no2 = "ug m-3"}\nstep = "1h"\n')
    (small_city.folder / "csv" / "00-good.csv").write_text(table(GOOD[:4]))
    (first,) = _ingest(small_city)
    assert first.new == 4
    return small_city


def _ingest(city) -> tuple:  # type: ignore[no-untyped-def, type-arg]
    return ingest_new(city.open())


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_lost(open_inbox, case: str) -> None:  # type: ignore[no-untyped-def]
    before = open_inbox.open().store.read().history().recorded("roadside").panel
    text, words = REFUSED[case]
    path: Path = open_inbox.folder / "csv" / "01-bad.csv"
    path.write_text(text)
    (answer,) = _ingest(open_inbox)
    assert answer.refused is not None and "\n" not in answer.refused
    assert pd.Series([answer.refused]).str.contains(words, case=False, regex=True).all(), answer.refused
    after = open_inbox.open().store.read().history().recorded("roadside").panel
    xr.testing.assert_identical(before, after)
    assert _ingest(open_inbox) == ()  # told once
    path.write_text(table(GOOD[4:]))  # mended: taken
    (mended,) = _ingest(open_inbox)
    assert (mended.new, mended.refused) == (2, None)


def test_a_table_cut_in_half_gives_its_whole_lines_and_says_so(open_inbox) -> None:  # type: ignore[no-untyped-def]
    path: Path = open_inbox.folder / "csv" / "01-cut.csv"
    path.write_text(table(GOOD)[:-18])
    (answer,) = _ingest(open_inbox)
    assert answer.refused is None and any("last line has no end" in note for note in answer.notes)
    assert answer.new <= 1 and answer.duplicate == 4
    path.write_text(table(GOOD))  # the rest arrives
    (rest,) = _ingest(open_inbox)
    assert answer.new + rest.new == 2
    held = open_inbox.open().store.read().history().recorded("roadside").panel["no2"]
    assert held.sizes["time"] == 6 and (held == 5.0).all()


def test_mixed_units_are_refused(open_inbox) -> None:  # type: ignore[no-untyped-def]
    panel = open_inbox.open().store.read().history().recorded("roadside").panel.copy(deep=True)
    panel["no2"].attrs["units"] = "mg m-3"
    panel = panel.assign_coords(time=panel["time"] + np.timedelta64(1, "D"))
    panel.drop_vars("known_time").to_netcdf(open_inbox.folder / "csv" / "02-units.nc")
    text = open_inbox.config.read_text().replace('units = {no2 = "ug m-3"}\n', "")
    open_inbox.config.write_text(text)
    answers = [answer for answer in _ingest(open_inbox) if answer.item.endswith("02-units.nc")]
    assert len(answers) == 1 and "mg m-3" in str(answers[0].refused) and "ug m-3" in str(answers[0].refused)


def test_a_netcdf_cut_in_half_is_refused(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.deliver(0, 3)
    path = next((small_city.folder / "incoming" / "air").iterdir())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    answers = {answer.domain: answer for answer in _ingest(small_city)}
    assert answers["air"].refused is not None and answers["weather"].refused is None
    assert small_city.open().store.read().domains == ("weather",)


def test_the_loop_goes_on_when_nodes_go_silent_vanish_or_join(  # type: ignore[no-untyped-def]
        build_city: Callable, city_panels: dict[str, xr.Dataset]) -> None:
    city = build_city("nodes")
    city.deliver(0, SEED_DAYS)
    watch_once(city.open(), city.day(SEED_DAYS))
    air = city.panels["air"]
    first, second, third = air["node"].values
    day = slice(24 * SEED_DAYS, 24 * (SEED_DAYS + 1))
    silent = air.isel(time=day).copy(deep=True)
    silent["no2"].loc[{"node": first}] = np.nan
    silent["pm25"].loc[{"node": first}] = np.nan
    silent.to_netcdf(city.folder / "incoming" / "air" / "x1-silent.nc")
    after = slice(24 * (SEED_DAYS + 1), 24 * (SEED_DAYS + 2))
    moved = air.isel(time=after).sel(node=[second, third]).copy(deep=True)
    moved = xr.concat([moved, moved.sel(node=[third]).assign_coords(node=["a newcomer with a long name"])], "node",
                      data_vars="all", coords="different", compat="equals")
    moved.to_netcdf(city.folder / "incoming" / "air" / "x2-joined.nc")
    step = watch_once(city.open(), city.day(SEED_DAYS + 2))
    assert step.ticks == 8 and all(file.refused is None for file in step.files)
    view = city.open().store.read()
    assert "a newcomer with a long name" in view.as_known_at("air", city.day(SEED_DAYS + 2))["node"].values
    forecasts = view.ledger("forecasts/air")
    assert forecasts is not None and np.isfinite(forecasts["no2"].values).all()
    assert forecasts["node"].values.tolist() == [first, second, third]
    scores = view.ledger("scores/air")
    assert scores is not None
    silenced = scores.sel(node=first)["labels"].values[-2:]
    assert (silenced == 0).all() and np.isnan(scores.sel(node=first)["crps"].values[-2:]).all()


def test_an_outage_longer_than_the_history_is_one_ticket_and_nothing_is_forecast_from_nothing(  # type: ignore[no-untyped-def]
        small_city) -> None:
    small_city.begin(SEED_DAYS)
    step = watch_once(small_city.open(), small_city.day(SEED_DAYS + 7))  # history is four days
    assert step.ticks == 1, "the last values were known; no tick is made up where nothing was"
    assert sum("silent" in words for words in step.alarms.values()) == 1 and step.silent
    served = small_city.open().store.read().ledger("forecasts/air")
    newest = served["no2"].isel(issue_time=-1)
    assert newest.notnull().all() and (newest.diff("quantile") >= 0).all()
    small_city.deliver(SEED_DAYS, SEED_DAYS + 8)
    after = watch_once(small_city.open(), small_city.day(SEED_DAYS + 8))
    assert after.ticks == 31 and after.returned and not after.silent
