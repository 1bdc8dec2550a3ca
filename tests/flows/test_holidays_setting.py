"""The setting monitor.holidays: whose days off are no news, by the way a user goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.adapt.clock import Moment
from terracast.flows.ingest import ingest_new
from terracast.flows.init import write_settings
from terracast.flows.service.days_off import with_holidays
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.workspace import Workspace
from terracast.stats.holidays import are_off

NOW = np.datetime64("2023-09-02", "ns")


def counted(folder: Path, country: str, places: str, fall: float = 0.5) -> Path:
    """A table of people counted by the day in two places, fewer of them on days off; with or without where that is."""
    days = pd.date_range("2021-09-01", "2023-09-01", name="time")
    off = are_off(days.to_numpy().astype("datetime64[D]"), country)
    level = 1000 * np.where(off, fall, 1.0) * np.where(days.day_of_week >= 5, 0.7, 1.0)
    draws = np.random.default_rng(0)
    rows = [pd.DataFrame({"time": days, "counter": name, "people": draws.normal(level, 40).round(),
                          **({"lat": lat, "lon": lon} if places else {})})
            for name, lat, lon in (("north", 52.0, 7.6), ("south", 51.9, 7.7))]
    (folder / "counts").mkdir()
    pd.concat(rows).to_csv(folder / "counts" / "people.csv", index=False)
    return write_settings("people", folder / "counts", folder)


@pytest.mark.parametrize(("country", "places", "fall", "setting", "found", "said"), [
    ("DE", "with", 0.5, "auto", "DE", "holidays of DE are unlike other days here"),
    ("DE", "", 0.5, "auto", "DE", "holidays of DE fit best and are unlike other days here"),
    ("CN", "with", 0.5, "auto", None, ""),  # the places lie in Germany, where those days are like any
    ("DE", "with", 1.0, "auto", None, ""),
    ("DE", "with", 1.0, "FR", "FR", ""),
    ("DE", "with", 0.5, "none", None, "")])
def test_whose_holidays(tmp_path: Path, capsys: pytest.CaptureFixture[str], country: str, places: str, fall: float,
                        setting: str, found: str | None, said: str) -> None:
    config = counted(tmp_path, country, places, fall)
    assert 'holidays = "auto"' in config.read_text()
    config.write_text(config.read_text().replace('holidays = "auto"', f'holidays = "{setting}"'))
    workspace = Workspace.open(config)
    ingest_new(workspace)
    capsys.readouterr()
    moment = Moment(NOW, workspace.history(workspace.store.read()))
    watched = with_holidays(workspace.watched(("north", "south"), {}), workspace.settings, moment)
    assert (None if watched.days_off is None else watched.days_off.country) == found
    assert (said in capsys.readouterr().err) if said else (not capsys.readouterr().err)


def test_a_country_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    config = counted(tmp_path, "DE", "")
    config.write_text(config.read_text().replace('holidays = "auto"', 'holidays = "Atlantis"'))
    with pytest.raises(SettingsError, match=r"no holidays of 'Atlantis' are known: expected auto, none, or a country"):
        read_settings(config)
