"""Which columns say the time, and how: by what they hold; names only choose among several that could."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from terracast.streams.readers.stamp_format import ZONES, parse, says_offset
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import ColumnProfile, words_of
from terracast.streams.schema.time_format import StampFormat, format_of, time_of_day
from terracast.streams.schema.time_parts import PARTS, TableTime, from_parts, tell_hours, untitled
from terracast.streams.vocabulary import named

EPIDEMIOLOGICAL = frozenset(("epiweek", "epi", "mmwr", "mmwrweek"))
NEAR = pd.Timedelta("800D").value
IN_NAMES = ("time", "date", "datum", "zeit", "fecha", "日")
_TIME = named("time")
_UTC = named("utc")
_LOCAL = named("local")
_START = named("start")
_END = named("end")
_KNOWN = named("known")


def time_axis(columns: Mapping[str, ColumnProfile], found: Findings) -> TableTime | None:
    """The time of a table; None where no column says it."""
    given = found.given.get("time")
    if not given and "time" in found.options and "time_format" in found.options:  # as columns across showed
        names = tuple(found.options["time"])
        joined = columns[names[0]].texts
        for name in names[1:]:
            joined = joined.joined_with(columns[name].texts)
        return TableTime(names, parse(joined.words, str(found.options["time_format"]))[joined.codes], False, False)
    if given:
        names = (given,) if isinstance(given, str) else tuple(given)
        return _given(columns, names, found) if all(name in columns for name in names) else None
    if "time_format" in found.given:
        return _of_format(columns, str(found.given["time_format"]), found)
    stamps = _stamp_columns(columns)
    aside = Findings(found.given)
    named = from_parts(columns, aside)
    if stamps:
        best = max(stamps, key=lambda name: _liking(columns[name], stamps[name]))
        form = stamps[best]
        only_year = form.form == "%Y"
        if named is not None and (only_year or best in named.names):
            found.take(aside)
            return named
        axis = None if _says_hour(form) or only_year else _with_time_of_day(best, form, columns, found)
        return axis or _one_column(best, stamps, columns, found)
    found.take(aside)
    return named or untitled(columns, found)


def _says_hour(form: StampFormat) -> bool:
    """Whether stamps have a time of day that is not midnight throughout."""
    known = form.stamps[~np.isnat(form.stamps)]
    return form.says_hour and bool((known != known.astype("datetime64[D]")).any())


def _stamp_columns(columns: Mapping[str, ColumnProfile]) -> dict[str, StampFormat]:
    """Columns of which each is a stamp by itself."""
    found = {}
    for name, column in columns.items():
        if column.empty:
            continue
        if column.is_stamp:
            found[name] = StampFormat(None, 1.0, parse(column.texts.words, None))
            continue
        hinted = bool(_TIME & set(column.words)) or any(part in name.lower() for part in IN_NAMES)
        texts = column.texts.words[column.present]
        if column.numeric and not _may_be_digits(column, texts, hinted):
            continue
        form = format_of(texts, column.counts[column.present])
        if form is None and column.numeric and hinted and column.distinct > 2:
            known = column.numbers[~np.isnan(column.numbers)]
            if known.min() > 20_000 and known.max() < 80_000 and len(column.words) < 4:
                form = StampFormat("excel", 1.0, parse(texts, "excel"))
        if form is not None and (column.distinct > 1 or len(column.texts) == 1):
            stamps = np.full(len(column.texts.words), np.datetime64("NaT", "ns"))
            stamps[column.present] = form.stamps
            found[name] = StampFormat(form.form, form.share, stamps, form.other)
    return found


def _may_be_digits(column: ColumnProfile, texts: np.ndarray, hinted: bool) -> bool:
    """Whether numbers may be stamps: whole, of one length, and either long or under a name of time."""
    if not column.whole:
        known = column.numbers[~np.isnan(column.numbers)]
        return hinted and known.size > 0 and bool(
            1e8 < float(np.median(known)) < 5e18 or 20_000 < known.min() < known.max() < 80_000)
    lengths = {len(text) for text in texts[:1000]}
    if len(lengths) > 1 or min(lengths) < 4:
        return False
    if min(lengths) >= 8:
        return hinted or min(lengths) in (8, 10, 12, 13, 14)
    return hinted or bool(set(column.words) & (PARTS["year"] | PARTS["month"] | PARTS["week"]))


def _liking(column: ColumnProfile, form: StampFormat) -> float:
    words = set(column.words)
    liking = 3.0 * bool(words & _UTC) + 1.0 * form.says_hour + 1.0 * bool(words & _TIME) + 2.0 * form.says_offset
    liking += 1.5 * bool(words & _START) - 1.0 * bool(words & _END) - 4.0 * bool(words & _KNOWN)
    liking -= 1.0 * bool(words & _LOCAL)
    liking += min(1.0, column.distinct / 1000)
    return liking - (3.0 if form.form in ("%Y", "%H%M") else 0.0)


def _one_column(name: str, stamps: Mapping[str, StampFormat], columns: Mapping[str, ColumnProfile],
                found: Findings) -> TableTime:
    """One column says the time; others that do are told."""
    column, form = columns[name], _epidemiological(columns[name], stamps[name])
    found.find("time", name, "its values are stamps")
    _tell_form(name, column, form, found)
    rows = form.stamps[column.texts.codes]
    also = {}
    for other, one in stamps.items():
        if other == name:
            continue
        apart = one.stamps[columns[other].texts.codes] - rows
        known = apart[~np.isnat(apart)]
        if not len(known) or one.form == "%Y":
            continue
        middle = np.median(known.astype(np.int64))
        if abs(middle) > NEAR and not set(columns[other].words) & _TIME:
            continue  # it only looks like stamps
        even = bool((known.astype(np.int64) == middle).mean() > 0.9)
        if even and middle > 0 and set(columns[other].words) & _END:
            also[other] = "the end of the interval that begins at the stamp"
        elif set(columns[other].words) & _KNOWN and (known >= np.timedelta64(0)).mean() > 0.9:
            also[other] = "a later stamp, perhaps when the row was known"
            found.doubt(f"{other} may say when a row was known; it is not used", f"--known-time {other}")
        else:
            also[other] = "another stamp of the same row"
    zoned = _with_zone(name, form, columns, found)
    if zoned is not None:
        return zoned
    offset = form.says_offset or (form.form is None and _iso_offsets(column.texts.words)) \
        or (bool(set(column.words) & _UTC) and not re.search(r"(?:GMT|UTC)\s?[+-]\d", name))
    return TableTime((name,), rows, offset, form.says_hour, also)


def _epidemiological(column: ColumnProfile, form: StampFormat) -> StampFormat:
    """Weeks of a column whose name says that they are epidemiological ones."""
    if form.form is None or "%G" not in form.form or not EPIDEMIOLOGICAL & set(column.words):
        return form
    other = form.form.replace("%G", "%Y")
    stamps = parse(column.texts.words, other)
    return form if np.isnat(stamps[column.present]).any() else StampFormat(other, form.share, stamps)


def _with_zone(name: str, form: StampFormat, columns: Mapping[str, ColumnProfile], found: Findings) -> TableTime | None:
    """Stamps beside a column of time zones, such as EST and EDT; a zone such as Europe/Berlin is taken as it is."""
    for other, column in columns.items():
        texts = [str(word) for word in column.texts.words[column.present]]
        if other == name or column.numeric or not texts or len(texts) > 6:
            continue
        if all(re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z_/]+", text) for text in texts) and len(texts) == 1:
            found.find("time_zone", texts[0], f"{other} says so")
            found.leave(other, "the time zone of the stamps")
            return None
        if not all(text.upper() in ZONES for text in texts) or form.says_offset or "time" in found.given:
            continue
        example = str(columns[name].texts.words[np.flatnonzero(columns[name].present)[0]])
        written = form.form or ("%Y-%m-%dT%H:%M[:%S[.%f]]" if "T" in example else "%Y-%m-%d[ %H:%M[:%S[.%f]]]")
        joined = columns[name].texts.joined_with(column.texts)
        stamps = parse(joined.words, f"{found.options.get('time_format') or written} %Z")
        if np.isnat(stamps).mean() > 0.03:
            continue
        found.options["time"], found.why["time"] = [name, other], f"stamps, and {other} says their zone"
        found.options["time_format"] = f"{found.options.get('time_format') or written} %Z"
        found.why["time_format"] = f"stamps with {', '.join(texts)}"
        return TableTime((name, other), stamps[joined.codes], True, form.says_hour)
    return None


def _iso_offsets(words: np.ndarray) -> bool:
    texts = [str(word) for word in words[:200] if len(str(word)) > 10]
    return bool(texts) and all(re.search(r"(?:Z|[+-]\d\d:?\d\d|[+-]\d\d)$", text[10:]) for text in texts)


def _tell_form(name: str, column: ColumnProfile, form: StampFormat, found: Findings) -> None:
    """The format as an option, and the doubt where day and month could change places."""
    if form.other and "time_format" not in found.given:
        first, second = _both_orders(column, form)
        example = str(column.texts.words[np.flatnonzero(column.present)[0]])
        readings = (f"{name} {example!r} is either {_shown(example, first)} ({first}) or {_shown(example, second)} "
                    f"({second}): every stamp is a date both ways")
        dotted = re.match(r"%d\. ?%m", str(form.form)) is not None
        if dotted or _continental(found):
            told = "points between day and month" if dotted else "the comma is decimal"
            found.find("time_format", form.form, f"day first, as {told}")
            found.doubt(readings + f"; read day first, as {told}", f'--time-format "{second}"')
            return
        found.find("time_format", first, "one of two orders of day and month: not certain")
        found.doubt(readings, f'--time-format "{first}" or --time-format "{second}"', decide=True)
        return
    if form.form is not None:
        several = column.distinct > 1 and "%d" in form.form and not form.form.startswith("%Y")
        why = "every stamp fits" + (", and a day above 12 shows the order" if several and "%b" not in form.form else "")
        found.find("time_format", form.form, why)
        if form.form == "%H%M":
            found.doubt(f"{name} could be hours and minutes", "--time NAME")


def _continental(found: Findings) -> bool:
    return found.options.get("decimal") == ","


def _both_orders(column: ColumnProfile, form: StampFormat) -> tuple[str, str]:
    """The two formats, the one that makes the more even gaps first."""
    gaps = {}
    for one in (str(form.form), form.other):
        stamps = np.unique(parse(column.texts.words[column.present], one))
        steps = np.diff(stamps).astype(np.int64)
        gaps[one] = float(np.mean(steps == np.median(steps))) if len(steps) else 0.0
    first, second = sorted(gaps, key=lambda one: -gaps[one])
    return first, second


def _shown(text: str, form: str) -> str:
    return str(parse(np.array([text], dtype=object), form)[0].astype("datetime64[D]"))


def _with_time_of_day(date: str, form: StampFormat, columns: Mapping[str, ColumnProfile],
                      found: Findings) -> TableTime | None:
    """A date beside a column of times of day, or of hours."""
    rows = form.stamps[columns[date].texts.codes]
    days = np.unique(rows[~np.isnat(rows)])
    if len(days) * 1.5 > len(rows):
        return None
    for name, column in sorted(columns.items(), key=lambda one: -_shared(date, one[0])):
        if name == date or column.empty:
            continue
        texts = [str(word) for word in column.texts.words[column.present]]
        hour = _hour_format(column, texts)
        if hour is None or column.distinct < 2:
            continue
        written = _date_format(columns[date], form)
        found.find("time", [date, name], "one holds the date, the other the time of day")
        joined = columns[date].texts.joined_with(column.texts)
        stamps = parse(joined.words, f"{written} {hour}")
        if np.isnat(stamps).mean() > 0.1:
            found.options.pop("time")
            continue
        if form.other:
            _tell_form(date, columns[date], form, found)
            chosen = str(found.options.pop("time_format"))
            why = found.why.pop("time_format")
            found.find("time_format", f"{chosen} {hour}", why)
            doubts = [one for one in found.doubts if "--time-format" in one.option]
            for one in doubts:
                found.doubts.remove(one)
                found.doubt(one.what, re.sub(r'"(.*?)"', rf'"\1 {hour}"', one.option), one.decide)
        else:
            found.find("time_format", f"{written} {hour}", "every pair of both fits")
        tell_hours(name, column, found)
        stamps = parse(joined.words, str(found.options["time_format"]))
        return TableTime((date, name), stamps[joined.codes], bool(set(columns[date].words) & _UTC), True)
    return None


def _shared(one: str, other: str) -> int:
    """How many words two names share: ``Date GMT`` belongs to ``Time GMT``, not to ``Time Local``."""
    return len(set(words_of(one)) & set(words_of(other)))


def _date_format(column: ColumnProfile, form: StampFormat) -> str:
    """The format of a column of dates, the time of day (all midnights) unread."""
    example = str(column.texts.words[np.flatnonzero(column.present)[0]])
    if form.form is None:
        return "%Y%m%d" if example.isdigit() else "%Y-%m-%d" if len(example) == 10 else "%Y-%m-%d*"
    return re.sub(r"[T ]?%[HI].*$", "*", form.form)


def _hour_format(column: ColumnProfile, texts: list[str]) -> str | None:
    """The format of a column of times of day: with signs between, or whole hours under a name of hours."""
    form = time_of_day(texts)
    if form is not None:
        return form
    zoned = [re.fullmatch(r"(\d{3,4})( ?)([A-Z]{1,4})", text) for text in texts]
    if all(said and said[3] in ZONES for said in zoned) and zoned[0]:
        return f"%H%M{zoned[0][2]}%Z"
    parted = [re.match(r"(\d{1,2}(?::\d{2})?)\s*(?:-|–|to|a|bis)\s*\d{1,2}", text) for text in texts]
    if parted and all(parted):
        return "%H:%M*" if ":" in str(parted[0] and parted[0][1]) else "%H*"
    if not column.whole:
        return None
    known = column.numbers[column.present]
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    periods = next((count for count in (48, 96, 144, 288) if count <= high <= count + count // 12), 0)
    if low == 1 and periods and set(column.words) & named("period"):
        return f"%k/{periods}"
    named_hour = bool(set(column.words) & PARTS["hour"])
    if low >= 0 and high <= 24 and (named_hour or len(set(known.tolist())) == 24):
        return "%H"
    widths = {len(text) for text in texts}
    if named_hour and low >= 0 and high <= 2400 and high > 24 and widths == {4}:
        return "%H%M"
    return None


def _of_format(columns: Mapping[str, ColumnProfile], form: str, found: Findings) -> TableTime | None:
    """The column, or two beside one another, that a given format reads."""
    names = list(columns)
    pairs = [(one, other) for one in names for other in names if one != other] if len(names) <= 12 else []
    for chosen in [*((name,) for name in names), *pairs]:
        texts = columns[chosen[0]].texts
        for name in chosen[1:]:
            texts = texts.joined_with(columns[name].texts)
        some = texts.words[: 50]
        if not len(some) or np.isnat(parse(some, form)).mean() > 0.1:
            continue
        stamps = parse(texts.words, form)
        if np.isnat(stamps[texts.codes]).mean() <= 0.03:
            found.find("time", chosen[0] if len(chosen) == 1 else list(chosen), "the time format reads it")
            return TableTime(chosen, stamps[texts.codes], says_offset(form), "%d" not in form or "%H" in form
                            or "%I" in form)
    return None


def _given(columns: Mapping[str, ColumnProfile], names: tuple[str, ...], found: Findings) -> TableTime | None:
    """The columns that were named."""
    joined = columns[names[0]].texts
    for name in names[1:]:
        joined = joined.joined_with(columns[name].texts)
    form = found.given.get("time_format")
    if form is not None:
        stamps = parse(joined.words, form)
        return TableTime(names, stamps[joined.codes], "%z" in form or "%Z" in form, "%H" in form or "%I" in form)
    if len(names) == 1:
        column = columns[names[0]]
        if column.is_stamp:
            return TableTime(names, parse(column.texts.words, None)[column.texts.codes], False, True)
        one = format_of(column.texts.words[column.present], column.counts[column.present])
        if one is None:
            return None
        stamps = np.full(len(column.texts.words), np.datetime64("NaT", "ns"))
        stamps[column.present] = one.stamps
        return _one_column(names[0], {names[0]: StampFormat(one.form, one.share, stamps, one.other)}, columns, found)
    if len(names) == 2:
        one = format_of(columns[names[0]].texts.words, columns[names[0]].counts)
        if one is not None and not one.says_hour and one.form != "%Y":
            return _with_time_of_day(names[0], one, {name: columns[name] for name in names}, found)
    return from_parts({name: columns[name] for name in names}, found)
