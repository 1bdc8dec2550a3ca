"""A GRIB file is not blamed where the library that reads it cannot be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from terracast.streams.errors import ReadError
from terracast.streams.kinds.raster_file import _grib


def test_a_library_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cfgrib.py").write_text("raise RuntimeError('Cannot find the ecCodes library')\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "t2m.grib").write_bytes(b"GRIB")
    with pytest.raises(ReadError, match=r"Cannot find the ecCodes library.*pip install"):
        _grib(tmp_path / "t2m.grib")
