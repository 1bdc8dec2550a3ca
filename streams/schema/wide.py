"""Tables with a column per place: when columns are places, and what they measure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from terracast.streams.schema.domains import side_of
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import ColumnProfile, words_of
from terracast.streams.unit_names import split_unit
from terracast.streams.vocabulary import named

STATISTICS = named("statistic")
ALIKE = 5.0  # how many times the scales of columns may differ that are places of one quantity
QUANTITY = re.compile(r"(?<![a-z])(speed|flow|occupancy|volume|count|traffic|no2|nox|no(?!\d)|o3|ozone|"
                      r"pm ?2[._ ]?5|pm ?10|pm ?1|so2|co2|co(?!\d)|nh3|h2s|bc|aqi|level|stage|discharge|temperature|"
                      r"temp|rain|wind|load|demand|cases|deaths|price|power|humidity|hum|pressure|bike|voltage|current|"
                      r"energy|consumption|generation|nitrogen dioxide|nitric oxide|benzene|abfluss|wasserstand|pegel|"
                      r"débit|caudal)s?(?![a-z])", re.IGNORECASE)

DEGREES = frozenset({"degC", "degF", "K"})  # units that say what is measured
GENERIC = frozenset({"field", "value", "val", "var", "variable", "column", "col", "channel", "ch", "x", "feature", "v"})


def wide_name(columns: Sequence[ColumnProfile], stem: str, same_unit: bool = False) -> str:
    """What a table measures whose columns are places, "" where they are quantities. Places are codes by name, or many
    columns (few where all are of the ``same_unit``) of like size under names of no quantity."""
    names = [column.name.strip() for column in columns]
    units = {split_unit(name)[1] for name in names}
    if len(units) > 1 or any(side_of(name) for name in names):
        return ""
    series_of = {re.sub(r"\d+", "", name).strip(" _-").lower() for name in names}
    if series_of <= GENERIC:
        return ""
    codes = all(re.fullmatch(r"\d+", name) for name in names)
    series = is_series([split_unit(name)[0] for name in names])
    scales = [_scale(column) for column in columns]
    scales = [one for one in scales if one > 0]
    alike = bool(scales) and np.percentile(scales, 90) <= (2 * ALIKE if codes else ALIKE) * np.percentile(scales, 10)
    told = same_unit or quantity_of(stem) not in ("", "count", "counts", "volume", "traffic")
    statistics = any(set(words_of(name)) & STATISTICS for name in names)
    enough = len(names) >= (3 if told and not statistics else 5)
    many = enough and not any(QUANTITY.search(name) for name in names) and _same_type(columns)
    if not alike or not (codes or series or many):
        return ""
    if series:
        said = QUANTITY.search(names[0])
        if said and len(names) < 3:
            return ""
    unit = next(iter(units))
    return quantity_of(stem) or ("temperature" if unit in DEGREES else "value")


def is_series(names: Sequence[str]) -> bool:
    """Whether names differ by a number, or by a last letter that stands alone: x, y, z are axes, u, v, w winds.

    >>> is_series(["S1", "S2"]), is_series(["Rack A", "Rack B"]), is_series(["acc_x", "acc_y"])
    (True, True, False)
    """
    stems = {re.sub(r"\d+", "#", name) for name in names}
    if len(stems) == 1:
        return "#" in next(iter(stems))
    split = [re.fullmatch(r"(.+[\s_-])([A-Za-z])", name) for name in names]
    letters = {one[2].lower() for one in split if one}
    return all(split) and len({one[1] for one in split if one}) == 1 and not letters <= set("uvwxyz")


def is_quantity(text: str) -> bool:
    """Whether a text names something that is measured.

    >>> is_quantity("NO2 [µg/m³]"), is_quantity("A1")
    (True, False)
    """
    bare, unit = split_unit(text)
    return bool(unit or side_of(bare) or QUANTITY.match(re.sub(r"[_-]+", " ", bare)))


def quantity_of(stem: str) -> str:
    """The quantity that a name of a file says, "" where it says none.

    >>> quantity_of("metr-la-speed"), quantity_of("export")
    ('speed', '')
    """
    said = QUANTITY.search(re.sub(r"(?<=\d)(?=o3|no2|so2|pm|co)", " ", " ".join(words_of(stem))))
    return said[1].lower().replace(" ", "") if said else ""


def _same_type(columns: Sequence[ColumnProfile]) -> bool:
    """Whether all columns are whole numbers or all are not, and none falls below 0 or several do."""
    whole = [column.whole for column in columns]
    negative = [bool(np.nanmin(column.numbers) < 0) for column in columns]
    return (sum(whole) in (0, len(whole)) or sum(whole) < 0.1 * len(whole)) and (
        not any(negative) or sum(negative) > 0.5 * len(negative))


def _scale(column: ColumnProfile) -> float:
    """The 90th percentile of the size of its numbers."""
    known = ~np.isnan(column.numbers)
    if not known.any():
        return 0.0
    sizes, counts = np.abs(column.numbers[known]), column.counts[known]
    order = np.argsort(sizes)
    weights = np.cumsum(counts[order])
    return float(sizes[order][np.searchsorted(weights, 0.9 * weights[-1])])


def as_wide(inner: Mapping[str, ColumnProfile], name: str, found: Findings,
          measured: Sequence[str] | None = None) -> tuple[str, ...]:
    """A column per place; columns without numbers are left out."""
    places = [one for one, column in inner.items() if column.numeric and (measured is None or one in measured)]
    out = [one for one in inner if one not in places]
    found.find("wide", name, f"each of the {len(places)} columns of numbers is a place")
    for one in out:
        found.leave(one, "text: no numbers" if not inner[one].numeric else "not a place")
    gone = [one.column for one in found.left_out]
    if gone:
        found.find("leave_out", gone, "they are no places")
    return tuple(places)
