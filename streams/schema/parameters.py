"""Tables with a row per quantity: the column that names what is measured, and the one of its values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import ColumnProfile, words_of
from terracast.streams.schema.telling_apart import PLACES, UNIQUE, distinct_share, may_name, pairs_of_codes
from terracast.streams.schema.wide import is_quantity
from terracast.streams.vocabulary import named

REPEATS = 0.98  # of the stamps are their own: one place
ALIKE = 0.5  # share of the spread of values between places of one quantity, at most
MOST_PARAMETERS = 60
WEAK = frozenset({"type", "series", "item", "record", "label", "property", "measure", "indicator", "category"})
RATES = frozenset({"hour", "day", "daily", "hourly", "month", "monthly", "week", "weekly", "year", "minute", "1h", "1d",
                   "raw", "var", "matrix"})
PARAMETERS = named("parameter")
VALUES = named("value")
STATISTICS = named("statistic")
PERIODS = frozenset({"day", "daily", "hourly", "month", "monthly", "night", "num", "rate", "week", "weekly", "year"})
MEANS = frozenset({"mean", "avg", "ave", "average", "mittel", "mittelwert", "moyenne", "media", "promedio",
                   "gemiddelde"})
SUMS = frozenset({"cumulative", "cum", "cumulated", "accumulated", "kumuliert", "cumulé", "acumulado", "cumulato"})
UNITS = named("units")


def parameter_columns(inner: Mapping[str, ColumnProfile], units: str | None, time: np.ndarray, own: float,
               found: Findings) -> tuple[str | None, str | None]:
    """The columns that name what is measured and hold its value, where a table has a row per quantity."""
    value = found.given.get("value") or _value_column(inner)
    if value is None and (value := _one_of_statistics(inner)) is not None:
        variable, _ = parameter_columns(inner, units, time, own, Findings({**found.given, "value": value}))
        if variable is not None:
            others = ", ".join(name for name in inner if name != value and _is_statistic(inner[name]))
            found.doubt(f"{value} is read as the value of each {variable}; beside it stand {others}", "--value NAME")
        return variable, value
    if found.given.get("variable"):
        return str(found.given["variable"]), value
    if value is None:
        return None, None
    named = [name for name, column in inner.items() if (not column.numeric or (column.whole and column.distinct > 1))
             and set(column.words) & PARAMETERS and not set(column.words) & UNITS
             and 1 <= column.distinct <= MOST_PARAMETERS and name not in (value, units)]
    several = [name for name in named if inner[name].distinct > 1]
    strong = [name for name in several if set(inner[name].words) & PARAMETERS - WEAK]
    if several:
        best = max(strong or several, key=lambda name: (round(_scales(inner[name], inner[value]), 3),
                                                        not inner[name].numeric))
        if not _names_places(inner[best], inner, value, units, time):
            return best, value
    single = [name for name in named if inner[name].distinct == 1 and not inner[name].numeric
              and not {str(word).lower() for word in inner[name].texts.words} & RATES]
    if single and set(inner[value].words) & VALUES | set(re.findall("values", value)):
        return max(single, key=lambda name: bool(set(inner[name].words) & PARAMETERS - WEAK)), value
    if own >= REPEATS:
        return None, None
    able = [name for name, column in inner.items() if not column.numeric and may_name(column, len(time))
            and column.distinct <= MOST_PARAMETERS and name not in (value, units)]
    if units is not None and inner[units].distinct > 1:
        for name in able:
            pairs = pairs_of_codes(inner[name].texts.codes, inner[units])
            if len(np.unique(pairs)) == inner[name].distinct and distinct_share(time, inner[name]) < UNIQUE:
                return name, value
    if not set(inner[value].words) & VALUES and not value.startswith("column "):
        return None, None
    singles = {name: distinct_share(time, inner[name]) for name in able}
    if max(singles.values(), default=0.0) >= UNIQUE:
        return None, None
    for one, other in itertools.combinations(able, 2):
        if distinct_share(time, inner[one], inner[other]) >= UNIQUE:
            scales = {name: _scales(inner[name], inner[value]) for name in (one, other)}
            best = max(scales, key=lambda name: scales[name])
            if scales[best] > 0.3 and not set(inner[best].words) & PLACES:
                return best, value
    return None, None


def _value_column(inner: Mapping[str, ColumnProfile]) -> str | None:
    """The one column of values: the only one of numbers that are no names, or one that is called so."""
    numbers = [name for name, column in inner.items() if column.numeric and not column.coded and not (
        column.whole and (column.distinct == 1 or set(column.words) & {"id", "code", "no", "nr", "number"}))]
    called = [name for name in numbers if set(inner[name].words) & VALUES]
    if len(called) == 1 or (called and called[0].lower() in VALUES):
        return called[0]
    return numbers[0] if len(numbers) == 1 else None


def _one_of_statistics(inner: Mapping[str, ColumnProfile]) -> str | None:
    """Of several numbers that are one value's mean, extremes and sums so far: the mean, or the one that is no sum."""
    held = [name for name, column in inner.items() if column.numeric and not column.coded and _is_statistic(column)]
    means = [name for name in held if set(inner[name].words) & MEANS]
    if len(means) == 1 and len(held) > 1:
        return means[0]
    single = [name for name in held if not set(inner[name].words) & (SUMS | STATISTICS - PERIODS)]
    return single[0] if len(single) == 1 and len(held) > 1 else None


def _is_statistic(column: ColumnProfile) -> bool:
    return bool(column.numeric and set(column.words) & (VALUES | STATISTICS | SUMS | MEANS))


def _names_places(column: ColumnProfile, inner: Mapping[str, ColumnProfile], value: str, units: str | None,
                  time: np.ndarray) -> bool:
    """Whether what is called a series or a measure are places of one quantity: it alone tells the rows apart, their
    values are alike, and none is the name of a quantity."""
    if not set(column.words) & PARAMETERS <= WEAK or (units is not None and inner[units].distinct > 1):
        return False
    words = [str(word) for word in column.texts.words[column.present]]
    if len({_quantities(word) for word in words}) > 1 or distinct_share(time, column) < UNIQUE:
        return False
    return _scales(column, inner[value]) < ALIKE


def _quantities(text: str) -> frozenset[str]:
    """The words of a text that name something measured."""
    return frozenset(word for word in words_of(text) if is_quantity(word) and not word.isdigit())


def _scales(names: ColumnProfile, values: ColumnProfile) -> float:
    """How much of the spread of (signed logarithms of) values lies between the groups of a column."""
    numbers = values.numbers[values.texts.codes]
    known = ~np.isnan(numbers)
    logs = np.sign(numbers[known]) * np.log1p(np.abs(numbers[known]))
    means = pd.Series(logs).groupby(names.texts.codes[known]).transform("mean").to_numpy()
    return float(np.var(means) / max(np.var(logs), 1e-12))
