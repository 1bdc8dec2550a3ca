"""The shape of a table: which column names the place, which the quantity, or whether each column is a place."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from terracast.streams.readers.across import VALUE
from terracast.streams.schema.absent import FLAGS
from terracast.streams.schema.domains import side_of
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.parameters import MOST_PARAMETERS, PARAMETERS, REPEATS, UNITS, parameter_columns
from terracast.streams.schema.profile import ColumnProfile
from terracast.streams.schema.telling_apart import PLACES, UNIQUE, distinct_share, is_place, may_name, pairs_of_codes
from terracast.streams.schema.time_parts import PARTS, TableTime
from terracast.streams.schema.units_nearby import own_units
from terracast.streams.schema.wide import QUANTITY, as_wide, is_series, wide_name
from terracast.streams.unit_names import is_unit, split_unit
from terracast.streams.vocabulary import named

DENSE = 0.25  # share of stamps at which a place speaks, at least, where its name does not say that it is one
FACT = "a fact of the place: kept beside it, as it does not change"
ONE_NUMBER = "one number throughout: a name or a fact"
_LAT = named("lat")
_LON = named("lon")
FACTS = named("fact")
METADATA = named("metadata")
CALENDAR = named("calendar")


@dataclass(frozen=True)
class TableShape:
    """Columns of the axes and of what is measured. ``units``: the column of units; ``wide``: the one quantity of a
    table with a column per place."""

    node: tuple[str, ...] = ()
    lat: str | None = None
    lon: str | None = None
    variable: str | None = None
    value: str | None = None
    units: str | None = None
    wide: str | None = None
    measured: tuple[str, ...] = ()


def shape_of(columns: Mapping[str, ColumnProfile], axis: TableTime, flags: Iterable[str], stem: str,
             found: Findings, same_unit: bool = False) -> TableShape:
    """The shape of a table whose time is known; what is no quantity is left out, with a reason."""
    for name, why in axis.also.items():
        found.leave(name, why)
    used = {*axis.names, *axis.also, *flags, *(found.given.get("leave_out") or ()),
            *filter(None, (found.given.get("known_time"),))}
    rest = _with_values({name: column for name, column in columns.items() if name not in used}, found)
    rest = _without_counters(rest, axis, found)
    degrees = _degrees(rest, found)
    inner = {name: column for name, column in rest.items() if name not in degrees}
    if found.given.get("wide"):
        name = str(found.given["wide"])
        return TableShape(wide=name, measured=as_wide(inner, name, found))
    time = pd.factorize(axis.stamps)[0]
    own = len(np.unique(time)) / max(len(time), 1)
    shape = _axes(inner, columns, axis, time, own, degrees, found)
    if shape.node:
        found.find("node", shape.node[0] if len(shape.node) == 1 else list(shape.node),
                   "it names the place: it repeats at the stamps" if own < REPEATS else "it names the place")
    measured = _measured(inner, shape, columns, found)
    if shape.variable is None and not shape.node and len(measured) > 1 and own >= REPEATS and not found.given.get(
            "variables"):
        every = {one: columns[one] for one in columns if one not in used or one in axis.also}
        wide = _places_side_by_side(measured, every, stem, same_unit, found)
        if wide is not None:
            return wide
    return shape if shape.variable is not None else replace(shape, measured=tuple(measured))


def _with_values(rest: dict[str, ColumnProfile], found: Findings) -> dict[str, ColumnProfile]:
    """Without columns that hold nothing."""
    for name, column in rest.items():
        if column.blank:
            found.leave(name, "empty" if column.empty else "it holds no value throughout")
    return {name: column for name, column in rest.items() if not column.blank}


def _axes(inner: Mapping[str, ColumnProfile], columns: Mapping[str, ColumnProfile], axis: TableTime, time: np.ndarray,
          own: float, degrees: tuple[str | None, str | None], found: Findings) -> TableShape:
    """Which columns name the quantity and the place; ``own``: the share of rows with a stamp (``time``) of their own.
    """
    units, given = found.given.get("unit_column") or _unit_column(inner), _given_names(found.given.get("node"))
    variable, value = parameter_columns(inner, units, time, own, found)
    if variable is not None:
        others = {name: one for name, one in inner.items() if name not in (variable, value, units)}
        keys = pairs_of_codes(time, inner[variable])
        node = given or _node(others, keys, degrees, columns, found, coarse=True)
        some = ", ".join(str(word) for word in columns[variable].texts.words[columns[variable].present][:4])
        found.find("variable", variable, f"it names what is measured: {some}")
        found.find("value", value, "it holds the values")
        return TableShape(node, *degrees, variable, value, units, None, (str(value),))
    if given or own < REPEATS:
        others = {name: one for name, one in inner.items() if name != units}
        node = given or _node(others, time, degrees, columns, found)
        if not node and own < 0.9:
            found.doubt(f"stamps come {1 / max(own, 1e-9):.3g} times each, and no column tells their rows apart",
                        "--node NAME")
    else:
        node = _jittered(inner, axis.stamps) or _one_station(inner)
    return TableShape(node, *degrees, None, None, units)


def _places_side_by_side(measured: list[str], columns: Mapping[str, ColumnProfile], stem: str, same_unit: bool,
                         found: Findings) -> TableShape | None:
    """The shape of a table each of whose ``measured`` columns is a place, where that is likelier; a doubt is told."""
    name = wide_name([columns[one] for one in measured], stem, same_unit)
    if name:
        found.doubt(f"{len(measured)} columns are read as places of one quantity, called {name}",
                    "--wide NAME, or --variables " + shlex.quote(",".join(measured[:3])))
        return TableShape(wide=name, measured=as_wide(columns, name, found, measured))
    bare = [split_unit(one)[0] for one in measured]
    one_unit = len({split_unit(one)[1] for one in measured}) == 1
    if one_unit and (is_series(bare) or not any(side_of(one) or QUANTITY.search(one) for one in bare)):
        found.doubt(f"{len(measured)} variables at one place: if each column is a place of its own, say what they "
                    "measure", "--wide NAME")
    return None


def _is_fact(column: ColumnProfile, node: np.ndarray | None) -> bool:
    """Whether numbers differ from place to place only, or are one height (area …) throughout."""
    if column.distinct == 1:
        return bool(set(column.words) & FACTS)
    places = 0 if node is None else len(np.unique(node))
    return places > 1 and len(np.unique(pairs_of_codes(np.asarray(node), column))) <= places


def _given_names(given: object) -> tuple[str, ...]:
    if not given:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)  # type: ignore[arg-type]


def _without_counters(rest: dict[str, ColumnProfile], axis: TableTime, found: Findings) -> dict[str, ColumnProfile]:
    """Without columns that number the rows, or say a part of the stamp once more."""
    stamps = pd.DatetimeIndex(axis.stamps)
    parts = {"year": stamps.year, "month": stamps.month, "day": stamps.day, "hour": stamps.hour,
             "minute": stamps.minute, "week": np.asarray(stamps.isocalendar().week, float),
             "dayofweek": stamps.day_of_week, "dayofyear": stamps.day_of_year}
    kept = {}
    for name, column in rest.items():
        numbers = column.numbers[column.texts.codes] if column.whole else None
        if numbers is not None and len(numbers) > 2 and column.distinct == len(numbers) \
                and (np.abs(np.diff(numbers)) == 1).all():
            found.leave(name, "it numbers the rows")
            continue
        same = next((part for part, values in parts.items() if numbers is not None
                     and (set(column.words) | {name.lower()}) & PARTS.get(part, CALENDAR)
                     and _runs_with(numbers, np.asarray(values, float), part)), None)
        if same:
            found.leave(name, f"the {same} of the stamp")
            continue
        if numbers is not None and column.distinct > 1 and any(np.nanmean(numbers == digits) > 0.99 for digits in (
                100 * stamps.year + stamps.month, 10_000 * stamps.year + 100 * stamps.month + stamps.day)):
            found.leave(name, "the stamp once more")
            continue
        kept[name] = column
    return kept


def _runs_with(numbers: np.ndarray, part: np.ndarray, name: str) -> bool:
    """Whether numbers are a part of the stamp; hours and weekdays may begin elsewhere (local ones, Sunday as 0)."""
    apart = numbers - part
    if name in ("hour", "dayofweek"):
        apart = np.mod(apart, 24 if name == "hour" else 7)
        return bool(len(np.unique(numbers)) > 2 and np.mean(apart == np.nanmedian(apart)) > 0.95)
    return bool(np.nanmean(apart == 0) > (0.9 if name == "year" else 0.99))  # an ISO year begins some days apart


def _degrees(rest: Mapping[str, ColumnProfile], found: Findings) -> tuple[str | None, str | None]:
    """The columns of latitude and longitude: by name, and within their ranges."""
    pair: list[str | None] = []
    for axis, names, limit in (("lat", _LAT, 90.0), ("lon", _LON, 360.0)):
        given = found.given.get(axis)
        held = [given] if given in rest else [name for name, column in rest.items() if column.numeric and (
            set(column.words) & names or name.strip().lower() in names) and np.nanmax(np.abs(column.numbers)) <= limit]
        pair.append(held[0] if held else None)
    if None in pair:
        return None, None
    for axis, name, plain in (("lat", pair[0], ("lat", "latitude")), ("lon", pair[1], ("lon", "longitude"))):
        if str(name).strip().lower() not in plain:
            found.find(axis, name, "degrees, by its name and range")
    return pair[0], pair[1]


def _unit_column(inner: Mapping[str, ColumnProfile]) -> str | None:
    """The one column of units; where several values have one each, none is that of the table."""
    held = _unit_columns(inner)
    return held[0] if len(held) == 1 or (held and not all(own_units(one, inner) for one in _values_before(held, inner))
                                         ) else None


def _values_before(held: list[str], inner: Mapping[str, ColumnProfile]) -> list[str]:
    """The columns right before some others."""
    names = list(inner)
    return [names[max(names.index(name) - 1, 0)] for name in held]


def _unit_columns(inner: Mapping[str, ColumnProfile]) -> list[str]:
    found = []
    for name, column in inner.items():
        texts = [str(word) for word in column.texts.words[column.present]]
        if not column.numeric and len(texts) <= MOST_PARAMETERS and (
                set(column.words) & UNITS or (
                    name.startswith("column ") and all(map(is_unit, texts)) and any(
                        text.isalpha() and len(text) > 1 for text in texts))) \
                and sum(map(is_unit, texts)) >= 0.5 * len(texts):
            found.append(name)
    return found


def _node(inner: Mapping[str, ColumnProfile], key: np.ndarray, places: tuple[str | None, str | None],
          columns: Mapping[str, ColumnProfile], found: Findings, coarse: bool = False) -> tuple[str, ...]:
    """The column (or two) that tells the rows of a stamp apart."""
    rows = len(key)
    able = {name: column for name, column in inner.items() if may_name(column, rows)}
    stamps = len(np.unique(key))
    shares = {name: distinct_share(key, column) for name, column in able.items()
              if is_place(column) or rows > DENSE * stamps * column.distinct}
    best = max(shares.values(), default=0.0)
    if best >= UNIQUE - 0.02:
        equal = [name for name, share in shares.items() if share >= best - 0.005]
        fewest = min(able[name].distinct for name in equal)
        equal = [name for name in equal if able[name].distinct <= fewest * (1 if coarse else 1.5)]
        return (max(equal, key=lambda name: _place_liking(able[name])),)
    single = _one_station(inner)
    if distinct_share(key) >= UNIQUE and single:
        return single
    if distinct_share(key) >= UNIQUE:
        return ()
    for one, other in itertools.combinations(sorted(shares, key=lambda name: -_place_liking(able[name]))[:10], 2):
        if distinct_share(key, able[one], able[other]) >= UNIQUE:
            return (one, other)
    if None not in places and distinct_share(key, columns[str(places[0])], columns[str(places[1])]) >= UNIQUE:
        return (str(places[0]), str(places[1]))
    return ()


def _jittered(inner: Mapping[str, ColumnProfile], stamps: np.ndarray) -> tuple[str, ...]:
    """The column of places where no two rows have the same stamp, as each sensor drifts on its own: within its places
    stamps are more evenly apart than over all."""
    every = _evenness(stamps, np.zeros(len(stamps), int))
    even = {name: _evenness(stamps, column.texts.codes) for name, column in inner.items()
            if may_name(column, len(stamps)) and (not column.numeric or is_place(column))}
    best = {name: share for name, share in even.items() if share > max(0.75, every + 0.2)}
    return (max(best, key=lambda name: (_place_liking(inner[name]), best[name])),) if best else ()


def _evenness(stamps: np.ndarray, codes: np.ndarray) -> float:
    """The share of gaps within the places that are about as long as their median."""
    order = np.lexsort((stamps, codes))
    gaps = np.diff(stamps[order].astype(np.int64))[np.diff(codes[order]) == 0]
    return float(np.mean(np.abs(gaps - np.median(gaps)) <= 0.25 * np.median(gaps))) if len(gaps) else 0.0


def _place_liking(column: ColumnProfile) -> float:
    words = set(column.words)
    liking = 2.0 * is_place(column) + 1.0 * (not column.numeric) - 3.0 * bool(words & FLAGS - {"code"})
    liking += 0.5 * bool(words & {"name", "station", "location", "site"})
    liking += 1.0 * bool(words & {"station", "site", "gauge"})
    return liking - 2.0 * bool(words & PARAMETERS)


def _one_station(inner: Mapping[str, ColumnProfile]) -> tuple[str, ...]:
    """A column that names the one place of the table."""
    held = [name for name, column in inner.items() if column.distinct == 1 and is_place(column)
            and not set(column.words) & FLAGS - {"code"} and (not column.numeric or set(column.words) & {
                "id", "station", "sensor", "site", "no", "nr", "code", "stn", "poste"})]
    return (max(held, key=lambda name: _place_liking(inner[name])),) if held else ()


def _measured(inner: Mapping[str, ColumnProfile], shape: TableShape, columns: Mapping[str, ColumnProfile],
              found: Findings) -> list[str]:
    """Columns of quantities; the others are left out."""
    aside = {*shape.node, shape.variable, shape.value, shape.units}
    measured: list[str] = []
    facts: list[str] = []
    node = None
    if shape.node:
        node = columns[shape.node[0]].texts.codes
        for name in shape.node[1:]:
            node = pairs_of_codes(node, columns[name])
    given = found.given.get("variables")
    for name, column in inner.items():
        if name in aside:
            continue
        if given is not None and (name in given or split_unit(name)[0] in given):
            measured.append(name)
        elif given is not None:
            found.leave(name, "not among the variables named")
        elif not column.numeric:
            constant = node is not None and len(np.unique(pairs_of_codes(node, column))) <= len(np.unique(node))
            fact = constant and column.distinct > 1
            facts += [name] if fact else []
            found.leave(name, f"text, {FACT}" if fact else "text: it does not change at a place" if constant
                        and column.distinct else "text: no numbers")
        elif _is_fact(column, node):
            facts.append(name)
            found.leave(name, FACT)
        elif column.distinct == 1 and column.whole and set(column.words) & (PLACES | FLAGS | METADATA):
            found.leave(name, ONE_NUMBER)
        elif shape.variable is not None or (found.options.get("across") and name != found.options.get("value", VALUE)):
            found.leave(name, f"not the column of values ({shape.value or found.options.get('value', VALUE)})")
        else:
            measured.append(name)
    if not measured and given is None:  # a sensor that never moved is all there is
        measured = [one.column for one in found.left_out if one.why == ONE_NUMBER]
        found.left_out[:] = [one for one in found.left_out if one.why != ONE_NUMBER]
    if facts and node is not None:
        found.find("facts", facts, "they say something of a place that does not change")
    if given is not None:
        measured.sort(key=lambda name: [split_unit(name)[0] if split_unit(name)[0] in given else name].index(
            split_unit(name)[0] if split_unit(name)[0] in given else name))
    return measured
