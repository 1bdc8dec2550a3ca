"""A stamp that nanoseconds do not reach, such as 9999-12-31, the end of a validity without one, is no stamp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.streams.kinds.columns import stamps_of
from terracast.streams.readers import read
from terracast.streams.readers.stamp_format import parse


@pytest.mark.parametrize(("text", "form"), [
    ("9999-12-31", None), ("0001-01-01T00:00", None), ("31.12.9999", "%d.%m.%Y"),
    ("9999-12-31 24:00", "%Y-%m-%d %H:%M")])
def test_a_text(text: str, form: str | None) -> None:
    assert np.isnat(parse(np.array([text], dtype=object), form)).all()


def test_a_column_of_events() -> None:
    assert stamps_of(pd.Series(pd.to_datetime(["9999-12-31", "2020-01-01"]))).isna().tolist() == [True, False]


def test_a_parquet_file(tmp_path: Path) -> None:
    stamps = np.append(np.arange("2020-01-01", "2020-07-19", dtype="datetime64[D]"), np.datetime64("9999-12-31"))
    table = pd.DataFrame({"time": stamps.astype("datetime64[us]"), "no2": np.arange(201.0)})
    table.to_parquet(tmp_path / "air.parquet")
    panel = read(tmp_path / "air.parquet", domain="air")
    assert panel.sizes["time"] == 200 and str(panel["time"].values[-1])[:10] == "2020-07-18"
