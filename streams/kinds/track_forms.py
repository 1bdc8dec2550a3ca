"""Forms of files that hold tracks and are no tables: GPX, GeoLife ``.plt``, lines of GeoJSON, GTFS-realtime as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

PLT_HEADER = 6  # lines above the rows of a GeoLife track
PLT_COLUMNS = ["lat", "lon", "zero", "altitude_feet", "days", "date", "clock"]


def lines(features: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines of GeoJSON as tracks, a row a point; their stamps lie in ``coordTimes`` or ``times``. Points are rows."""
    rows: list[dict[str, Any]] = []
    for number, one in enumerate(features):
        properties, geometry = dict(one.get("properties") or {}), one.get("geometry") or {}
        if geometry.get("type") == "Point":
            rows.append({**properties, **_degrees(geometry["coordinates"])})
        elif geometry.get("type") == "LineString":
            times = _line_times(properties)
            for place, stamp in zip(geometry["coordinates"], times, strict=True):
                rows.append({"track": str(one.get("id", number)), **properties, **_degrees(place), "time": stamp})
    return pd.DataFrame(rows)


def _degrees(place: list[float]) -> dict[str, float]:
    return {"lon": float(place[0]), "lat": float(place[1])}


def _line_times(properties: dict[str, Any]) -> list[Any]:
    for name in ("coordTimes", "times", "timestamps"):
        found = properties.pop(name, None) or (properties.pop("coordinateProperties", None) or {}).get("times")
        if found:
            return list(found)
    raise ValueError("a line without stamps: coordTimes or times")


def gtfs(held: Mapping[str, Any]) -> pd.DataFrame:
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


def gpx(path: Path) -> pd.DataFrame:
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


def plt(path: Path) -> pd.DataFrame:
    """A GeoLife track: six lines of text, then rows without a header; the folder's name is the mover where it is a
    number, as GeoLife lays them out (``000/Trajectory/2008….plt``)."""
    table = pd.read_csv(path, skiprows=PLT_HEADER, header=None, names=PLT_COLUMNS, dtype={"date": str, "clock": str})
    user = path.parents[1].name if len(path.parents) > 1 and path.parents[1].name.isdigit() else path.stem
    return pd.DataFrame({"track": user, "time": table["date"] + " " + table["clock"], "lat": table["lat"],
                         "lon": table["lon"]})
