"""Rows with a place of their own (events, fixes of movers) as a plain table, from every form of file they come in.

CSV and Parquet tables, GeoJSON, GPX, GeoLife ``.plt`` and GTFS-realtime positions as JSON. Nothing is interpreted here:
``streams.kinds.columns`` says which column is what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa

from terracast.streams.errors import ReadError

SEPARATORS = ",;\t|"
PLT_HEADER = 6  # lines above the rows of a GeoLife track
PLT_COLUMNS = ["lat", "lon", "zero", "altitude_feet", "days", "date", "clock"]


def records(path: str | Path, *, separator: str | None = None, decimal: str | None = None,
            encoding: str | None = None, rows: int | None = None) -> pd.DataFrame:
    """The rows of a file, columns as they are called there; places of GeoJSON, GPX and GTFS are ``lat`` and ``lon``.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.txt``, ``.tsv``, ``.parquet``, ``.geojson``, ``.json``, ``.gpx`` or ``.plt``.
    separator, decimal, encoding : str, optional
        Of tables of text; found where they are not given.
    rows : int, optional
        Read only so many of a table of text: enough to see what it is.

    Raises
    ------
    ReadError
        The file is not what its ending says, or holds no rows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "thefts.csv"
    ...     _ = file.write_text("wann;Breite;Länge\\n2020-01-01 10:00;52,5;13,4\\n")
    ...     records(file).to_csv(index=False).split()
    ['wann,Breite,Länge', '2020-01-01', '10:00,52.5,13.4']
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError("no such file", where=str(path), expected="a file of rows", remedy="check the path")
    ending = path.suffix.lower()
    try:
        if ending in (".parquet", ".pq"):
            table = pd.read_parquet(path)
        elif ending in FORMS:
            table = FORMS[ending](path)
        else:
            table = _text(path, separator, decimal, encoding, rows)
    except ReadError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OSError, pa.ArrowException,
            ElementTree.ParseError) as wrong:
        words = " ".join(str(wrong).split())[:80]
        raise ReadError(f"the file cannot be read ({words})", where=path.name, expected=f"rows in a {ending} file",
                        remedy="fetch it again, or convert it to CSV or Parquet") from wrong
    if not len(table):
        raise ReadError("no rows", where=path.name, expected="a row or more", remedy="fetch the file again")
    return table


def _text(path: Path, separator: str | None, decimal: str | None, encoding: str | None,
          rows: int | None) -> pd.DataFrame:
    encoding = encoding or _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        head = [file.readline() for _ in range(3)]
    separator = separator or max(SEPARATORS, key=head[0].count)
    comma = separator != "," and decimal is None and "," in "".join(head[1:]) and not any(
        part.replace('"', "").count(".") == 1 and part.replace('"', "").replace(".", "").lstrip("-").isdigit()
        for line in head[1:] for part in line.split(separator))
    return pd.read_csv(path, sep=separator, decimal=decimal or ("," if comma else "."), encoding=encoding, nrows=rows,
                       skipinitialspace=True, low_memory=False)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        head[:-4].decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _geojson(path: Path) -> pd.DataFrame:
    """Points with their properties; a line is a track, its stamps in ``coordTimes`` or ``times``."""
    held = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(held, Mapping) and "entity" in held:
        return _gtfs(held)
    rows: list[dict[str, Any]] = []
    features = held.get("features", [held] if held.get("type") == "Feature" else None) \
        if isinstance(held, Mapping) else None
    if features is None:
        return pd.DataFrame(held if isinstance(held, list) else held["records"])
    for number, one in enumerate(features):
        properties, geometry = dict(one.get("properties") or {}), one.get("geometry") or {}
        if geometry.get("type") == "Point":
            rows.append({**properties, **_degrees(geometry["coordinates"])})
        elif geometry.get("type") == "LineString":
            times = _line_times(properties)
            for place, stamp in zip(geometry["coordinates"], times, strict=True):
                rows.append({"track": str(one.get("id", number)), **properties, **_degrees(place), "time": stamp})
        else:
            rows.append({**properties, "lat": None, "lon": None})
    return pd.DataFrame(rows)


def _degrees(place: list[float]) -> dict[str, float]:
    return {"lon": float(place[0]), "lat": float(place[1])}


def _line_times(properties: dict[str, Any]) -> list[Any]:
    for name in ("coordTimes", "times", "timestamps"):
        found = properties.pop(name, None) or (properties.pop("coordinateProperties", None) or {}).get("times")
        if found:
            return list(found)
    raise ValueError("a line without stamps: coordTimes or times")


def _gtfs(held: Mapping[str, Any]) -> pd.DataFrame:
    """GTFS-realtime vehicle positions, as the JSON form of its protocol buffers has them."""
    rows = []
    for entity in held["entity"]:
        told = entity.get("vehicle")
        if told and "position" in told:
            place, vehicle = told["position"], told.get("vehicle") or {}
            rows.append({"vehicle": str(vehicle.get("id") or vehicle.get("label") or entity["id"]),
                         "time": pd.Timestamp(int(told.get("timestamp") or held["header"]["timestamp"]), unit="s",
                                              tz="UTC"),
                         "lat": place["latitude"], "lon": place["longitude"], "speed_m_s": place.get("speed"),
                         "route": (told.get("trip") or {}).get("routeId")})
    return pd.DataFrame(rows)


def _gpx(path: Path) -> pd.DataFrame:
    """A row per point of a track; each track is one mover, or the file itself where it has no name."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # nothing that is expanded while it is read
        raise ValueError("a GPX file with entities")
    root = ElementTree.fromstring(text)
    name = root.tag.removesuffix("gpx")
    rows = []
    for number, track in enumerate(root.iter(f"{name}trk")):
        called = track.findtext(f"{name}name") or (path.stem if not number else f"{path.stem} {number + 1}")
        rows += [{"track": called, "time": point.findtext(f"{name}time"), "lat": float(point.attrib["lat"]),
                  "lon": float(point.attrib["lon"])} for point in track.iter(f"{name}trkpt")]
    return pd.DataFrame(rows)


def _plt(path: Path) -> pd.DataFrame:
    """A GeoLife track: six lines of text, then rows without a header; the folder's name is the mover where it is a
    number, as GeoLife lays them out (``000/Trajectory/2008….plt``)."""
    table = pd.read_csv(path, skiprows=PLT_HEADER, header=None, names=PLT_COLUMNS, dtype={"date": str, "clock": str})
    user = path.parents[1].name if len(path.parents) > 1 and path.parents[1].name.isdigit() else path.stem
    return pd.DataFrame({"track": user, "time": table["date"] + " " + table["clock"], "lat": table["lat"],
                         "lon": table["lon"]})


FORMS: Mapping[str, Callable[[Path], pd.DataFrame]] = {".geojson": _geojson, ".json": _geojson, ".gpx": _gpx,
                                                       ".plt": _plt}
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
