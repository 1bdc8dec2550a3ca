"""Which column of a table is the time, the place, the mover, the type, the time of reporting: by name, then by content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.streams.errors import ReadError
from terracast.streams.instant import instants
from terracast.streams.readers.stamp_format import parse
from terracast.streams.schema.time_format import StampFormat, format_of

NAMES = {
    "lat": ("lat", "latitude", "breite", "breitengrad", "latitud", "latitudine", "szerokosc", "ylat", "y", "纬度",
            "緯度", "geo_lat", "lat_wgs84", "enlem"),
    "lon": ("lon", "lng", "long", "longitude", "lange", "laenge", "langengrad", "laengengrad", "longitud",
            "longitudine", "dlugosc", "xlon", "x", "经度", "経度", "geo_lon", "lon_wgs84", "boylam"),
}
PARTS = {"lat": ("latit", "breite", "lat_", "_lat"), "lon": ("longit", "laenge", "lon_", "_lon", "lng")}
BARE = ("x", "y")  # may be anything: places only where it is known that there are some
TIME = ("time", "date", "datum", "zeit", "fecha", "hora", "data", "heure", "timestamp", "stamp", "occurred", "wann",
        "tijd", "czas", "t", "ts", "epoch", "unix", "when", "时间", "日時")
REPORTED = ("report", "received", "known", "entered", "created", "recorded", "gemeldet", "erfasst", "registr",
            "denunci", "eingang", "published", "filed", "melding", "logged")
MOVER = ("vehicle", "track", "traject", "trip", "mover", "device", "user", "bus", "taxi", "ship", "mmsi", "imei",
         "animal", "tag", "fahrzeug", "unit", "driver", "uid", "person", "individual", "tracker", "id", "node")
MOVES = tuple(word for word in MOVER if word not in ("unit", "tag", "id", "node"))  # and nothing that stays
REGION = ("district", "ward", "borough", "precinct", "county", "region", "area", "zone", "sector", "beat", "quartier",
          "municip", "kommune", "gemeinde", "bezirk", "stadtteil", "barrio", "distrito", "comuna", "neighb", "city",
          "town", "place", "location", "postcode", "zip", "plz", "lsoa", "arrond", "wijk", "buurt", "kraj", "okres",
          "state", "province", "provincia", "department", "community")
MOST_REGIONS = 2000
READABLE = 0.95  # share of a column's texts that are stamps
MOST_TYPES = 40
AFTER = 0.99  # share of rows in which one stamp is not before the other: it is that of reporting
SAMPLE = 5000


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what they are; None: there is none. ``place``: one column that holds both degrees.
    Without ``lat``, ``lon`` and ``place`` rows lie in regions that a column names."""

    time: str
    lat: str | None
    lon: str | None
    place: str | None = None
    reported: str | None = None
    clock: str | None = None  # the hour of the day, beside a column of dates


def find_columns(table: pd.DataFrame, where: str, *, time: str | None = None, lat: str | None = None,
                 lon: str | None = None, reported: str | None = None, guess: bool = True,
                 regions: bool = False) -> Columns:
    """Time and place of each row; names that are given are taken as they are. ``guess``: a place may be told by its
    values alone; without it, x and y are one only beside the name of what moves. Two variables can look the same.
    ``regions``: no place is needed.

    Raises
    ------
    ReadError
        There is no column that is a time or a place; it names the key with which to say which is.

    Examples
    --------
    >>> table = pd.DataFrame({"Datum": ["01.02.2020 10:00", "13.02.2020 11:00"], "Breitengrad": [52.5, 52.6],
    ...                       "Laengengrad": [13.4, 13.5], "gemeldet_am": ["02.02.2020 10:00", "14.02.2020 11:00"]})
    >>> found = find_columns(table, "x.csv")
    >>> found.time, found.lat, found.lon, found.reported
    ('Datum', 'Breitengrad', 'Laengengrad', 'gemeldet_am')
    """
    for name in (time, lat, lon, reported):
        if name is not None and name not in table:
            raise ReadError(f"no column {name!r}", where=where, remedy="name one of them in [[sources]]",
                            expected="one of " + ", ".join(map(str, table.columns)))
    few = table.head(SAMPLE)
    stamps = [str(name) for name in table.columns if _is_time(few[name])]
    if time is None:
        known = [name for name in stamps if name != reported and not _says(name, REPORTED)] or stamps
        time = next((name for name in known if plain(name) in TIME), None) or next(
            (name for name in known if _says(name, TIME)), None) or (known[0] if known else None)
    if time is None:
        raise ReadError("no column is a time", where=where, remedy="name it: time = \"COLUMN\" (or --time COLUMN)",
                        expected="stamps in one of " + ", ".join(map(str, table.columns)))
    if reported is None:
        reported = _reported(few, time, [name for name in stamps if name != time])
    bare = guess or any(_says(name, MOVES) for name in table.columns if str(name) not in stamps)
    lat, lon = lat or _named(few, "lat", bare), lon or _named(few, "lon", bare)
    place = None if lat and lon else _joined(few)
    if not (lat and lon) and place is None and guess and not regions:
        lat, lon = _by_content(few, {time, reported})
    if not (lat and lon) and place is None and regions:
        lat = lon = None
    elif not (lat and lon) and place is None:
        raise ReadError("no columns are a place", where=where, expected="degrees in two of "
                        + ", ".join(map(str, table.columns)), remedy="name them: --lat NAME --lon NAME, "
                        "or --kind event --node NAME")
    return Columns(time, lat, lon, place, reported, _clock(few, time))


def plain(name: object) -> str:
    """A column's name without case, signs and accents."""
    text = str(name).strip().lower().translate(str.maketrans("äöüáéíóúàèìòùãõçłśćżź", "aouaeiouaeiouaoclsczz"))
    return re.sub(r"[^\w]+", "_", text).strip("_")


def stamps_of(column: pd.Series, time_format: str | None = None) -> pd.Series:
    """A column as stamps (NaT: none); those with an offset become UTC. Texts may put the day or the month first: the
    whole column decides (``form_of``).

    >>> stamps_of(pd.Series(["03/01/2020 10:00", "13/01/2020 11:00"])).dt.day.tolist()
    [3, 13]
    """
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        found = column
    elif column.dtype.kind in "iuf":
        unit = "s" if float(column.abs().median()) < 1e11 else "ms" if float(column.abs().median()) < 1e14 else "ns"
        found = pd.to_datetime(column, unit=unit, errors="coerce")
    else:
        codes, words = _words(column)
        many = np.bincount(codes[codes >= 0], minlength=len(words))
        form = None if time_format is not None else format_of(words, many)
        told = parse(words, time_format) if time_format is not None else np.full(
            len(words), np.datetime64("NaT", "ns")) if form is None else form.stamps
        found = pd.Series(np.append(told, np.datetime64("NaT", "ns"))[codes], index=column.index)
    if isinstance(found.dtype, pd.DatetimeTZDtype):
        found = found.dt.tz_convert("UTC").dt.tz_localize(None)
    return pd.Series(instants(found.to_numpy()), index=column.index)


def form_of(column: pd.Series) -> StampFormat | None:
    """How the stamps of a column of texts are written; None: they are no texts, or no stamps."""
    if column.dtype.kind in "iufbM" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return None
    codes, words = _words(column)
    return format_of(words, np.bincount(codes[codes >= 0], minlength=len(words)))


def _words(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's text (−1: none), and the distinct texts."""
    codes, words = pd.factorize(column.astype(object))
    stripped = np.array([str(word).strip() for word in words], dtype=object)
    return codes, stripped


def degrees_of(table: pd.DataFrame, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of each row, NaN where there is none; 0°, 0° is no place but a blank form."""
    if columns.place is None and columns.lat is None:
        return np.full(len(table), np.nan), np.full(len(table), np.nan)
    if columns.place is not None:
        lat, lon = _pair(table[columns.place])
    else:
        lat, lon = (pd.to_numeric(_pointed(table[name]), errors="coerce").to_numpy(float)
                    for name in (columns.lat, columns.lon))
    nowhere = ~((np.abs(lat) <= 90) & (np.abs(lon) <= 360)) | ((lat == 0) & (lon == 0))
    return np.where(nowhere, np.nan, lat), np.where(nowhere, np.nan, lon)


def identities(table: pd.DataFrame, columns: Columns) -> list[str]:
    """Columns that may name what a row belongs to: they repeat, and are neither time nor place nor a measure; those
    with a name that says so come first."""
    own = {columns.time, columns.lat, columns.lon, columns.reported, columns.place, columns.clock}
    found = []
    for name in table.columns:
        held = table[name]
        if str(name) in own or held.isna().mean() > 0.05 or held.dtype.kind in "Mm":
            continue
        if held.dtype.kind == "f" and not bool((held.dropna() % 1 == 0).all()):
            continue
        if held.nunique() <= len(held) / 3:
            found.append(str(name))
    rank = {name: next((place for place, word in enumerate(MOVER) if word in plain(name)), len(MOVER))
            for name in found}
    return sorted(found, key=lambda name: (rank[name], -int(table[name].nunique())))


def type_column(table: pd.DataFrame, columns: Columns) -> str | None:
    """The column of texts with few distinct values that tells types of events apart."""
    own = {columns.time, columns.lat, columns.lon, columns.reported, columns.place, columns.clock}
    kinds = [str(name) for name in table.columns if str(name) not in own and table[name].dtype.kind not in "iufMmb"
             and 2 <= table[name].nunique() <= MOST_TYPES]
    words = ("type", "kind", "categ", "offen", "class", "art", "tipo", "delikt", "incident", "cause", "sort")
    return next((name for name in kinds if _says(name, words)), kinds[0] if kinds else None)


def region_column(table: pd.DataFrame, columns: Columns) -> str | None:
    """The column that names the region of each row, by what it is called; the one of fewest regions of several.

    >>> table = pd.DataFrame({"when": ["2020-01-01", "2020-01-02"] * 4, "ward": list("abab" * 2), "sort": "x"})
    >>> region_column(table, Columns("when", None, None))
    'ward'
    """
    own = {columns.time, columns.reported, columns.clock}
    found = [str(name) for name in table.columns if str(name) not in own and _says(name, REGION)
             and table[name].dtype.kind in "Oiu" and 2 <= table[name].nunique() <= min(MOST_REGIONS, len(table) / 3)]
    return min(found, key=lambda name: int(table[name].nunique())) if found else None


def _is_time(column: pd.Series) -> bool:
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return True
    if column.dtype.kind in "iuf":
        middle = column.abs().median()
        return _says(column.name, TIME) and bool(1e8 < middle < 2e10 or 1e11 < middle < 2e13 or middle > 1e17)
    if column.dtype.kind == "b":
        return False
    texts = column.dropna().astype(str).str.strip()
    dated = texts.str.contains(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8}T|[A-Za-z]{3} \d{1,2},? \d{4}", regex=True)
    return len(texts) > 0 and bool(dated.mean() >= READABLE) and bool(stamps_of(texts).notna().mean() >= READABLE)


def _reported(table: pd.DataFrame, time: str, others: list[str]) -> str | None:
    """The stamp that is that of reporting: by its name, and never before the event's own."""
    own = stamps_of(table[time])
    for name in others:
        later = stamps_of(table[name])
        both = own.notna() & later.notna()
        if _says(name, REPORTED) and both.any() and bool((later[both] >= own[both]).mean() >= AFTER):
            return name
    return None


def _clock(table: pd.DataFrame, time: str) -> str | None:
    """A column of hours of the day, where the time column holds dates alone."""
    stamps = stamps_of(table[time]).dropna()
    if not len(stamps) or bool((stamps != stamps.dt.normalize()).any()):
        return None
    for name in table.columns:
        if str(name) == time or not _says(name, ("time", "hour", "hora", "uhr", "stunde", "zeit", "heure", "ora")):
            continue
        if table[name].dtype.kind in "iu" and table[name].between(0, 24).all():
            return str(name)
        if table[name].dtype.kind not in "iufbM":
            texts = table[name].dropna().astype(str)
            if len(texts) and texts.str.fullmatch(r"\s*\d{1,2}:\d\d(:\d\d(\.\d+)?)?\s*([ap]m)?\s*", case=False).all():
                return str(name)
    return None


def _named(table: pd.DataFrame, axis: str, bare: bool) -> str | None:
    limit = 90 if axis == "lat" else 360
    def fits(name: object) -> bool:
        values = pd.to_numeric(_pointed(table[name]), errors="coerce")
        return bool(values.notna().any()) and bool((values.abs().dropna() <= limit).all())
    exact = [name for name in table.columns if plain(name) in NAMES[axis] and fits(name)
             and (bare or plain(name) not in BARE)]
    inside = [name for name in table.columns if any(part in plain(name) for part in PARTS[axis]) and fits(name)]
    found = sorted(exact, key=lambda name: NAMES[axis].index(plain(name))) or inside
    return str(found[0]) if found else None


def _by_content(table: pd.DataFrame, aside: set[str | None]) -> tuple[str | None, str | None]:
    """Two columns of degrees with three decimals or more; the one beyond 90° is the longitude, else the second."""
    fine = []
    for name in table.columns:
        if str(name) in aside or table[name].dtype.kind != "f":
            continue
        values = table[name].dropna()
        if len(values) and bool((values.abs() <= 180).all()) and bool((np.abs(values * 1e3 % 1) > 1e-6).mean() > 0.5):
            fine.append(str(name))
    if len(fine) != 2:
        return None, None
    lat, lon = fine
    return (lon, lat) if bool((table[lat].abs() > 90).any()) else (lat, lon)


def _joined(table: pd.DataFrame) -> str | None:
    for name in table.columns:
        if table[name].dtype.kind in "iufbM":
            continue
        texts = table[name].dropna().astype(str).head(50)
        if len(texts) and bool(np.isfinite(_pair(texts)[0]).mean() >= READABLE):
            return str(name)
    return None


def _pair(texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of "POINT (lon lat)" or "(lat, lon)"."""
    number = r"([+-]?\d{1,3}\.\d+)"
    found = texts.astype("string").str.extract(rf"^\s*(POINT\s*)?\(?\s*{number}[\s,;]+{number}\s*\)?\s*$",
                                               flags=re.IGNORECASE)
    first, second = (pd.to_numeric(found[place], errors="coerce").to_numpy(float) for place in (1, 2))
    point = found[0].notna().to_numpy()
    return np.where(point, second, first), np.where(point, first, second)


def _pointed(column: pd.Series) -> pd.Series:
    if column.dtype.kind in "iufb":
        return column
    return column.astype("string").str.strip().str.replace(",", ".", n=1, regex=False)


def _says(name: object, words: tuple[str, ...]) -> bool:
    called = plain(name)
    return any(word == called or (len(word) > 2 and word in called) for word in words)
