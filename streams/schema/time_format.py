"""The format of a column of stamps, found from all its distinct texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from terracast.streams.readers.stamp_format import EPOCHS, ISO, ZONES, month_names, parse

READ = 0.97  # share of the texts that a format must read
TRIED = 400  # texts that a format is tried on before all are
FIRST, LAST = np.datetime64("1750-01-01", "ns"), np.datetime64("2101-01-01", "ns")
_NAME = r"[^\W\d_]+\.?"
# What a date may look like, and how it is written as a format; {s} is the sign between its parts.
DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\d{4}(?P<s>[-/.])\d{1,2}(?P=s)\d{1,2}", ("%Y{s}%m{s}%d",)),
    (r"\d{4}年\d{1,2}月\d{1,2}日", ("%Y年%m月%d日",)), (r"\d{4}年\d{1,2}月", ("%Y年%m月",)),
    (r"\d{1,2}(?P<s>[-/. ]|\. )\d{1,2}(?P=s)\d{4}", ("%d{s}%m{s}%Y", "%m{s}%d{s}%Y")),
    (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{2}", ("%d{s}%m{s}%y", "%m{s}%d{s}%y", "%y{s}%m{s}%d")),
    (rf"\d{{1,2}}(?P<s>[-/. ]|\. ){_NAME}(?P<t>[-/. ])\d{{4}}", ("%d{s}%b{t}%Y",)),
    (rf"\d{{1,2}}(?P<s>[-/. ]|\. ){_NAME}(?P<t>[-/. ])\d{{2}}", ("%d{s}%b{t}%y",)),
    (r"\d{1,2}[A-Za-z]{3}\d{4}", ("%d%b%Y",)), (rf"\d{{1,2}} de {_NAME} de \d{{4}}", ("%d de %b de %Y",)),
    (rf"{_NAME} \d{{1,2}}, ?\d{{4}}", ("%b %d, %Y",)), (rf"{_NAME} \d{{1,2}} \d{{4}}", ("%b %d %Y",)),
    (rf"\d{{4}}(?P<s>[-/. ]){_NAME}(?P=s)\d{{1,2}}", ("%Y{s}%b{s}%d",)),
    (r"\d{4}-?[Ww]\d{1,2}-[1-7]", ("%G-W%V-%u", "%GW%V-%u")), (r"\d{4}[- ]?[Ww]\d{1,2}", ("%G-W%V", "%GW%V", "%G W%V")),
    (r"\d{4}M\d{1,2}", ("%YM%m",)), (r"\d{4}-?Q[1-4]", ("%Y-Q%q", "%YQ%q")), (r"\d{4} Q[1-4]", ("%Y Q%q",)),
    (r"Q[1-4][- /]\d{4}", ("Q%q %Y", "Q%q-%Y", "Q%q/%Y")),
    (r"\d{4}(?P<s>[-/. ])\d{1,2}", ("%Y{s}%m", "%G{s}%V")), (r"\d{1,2}(?P<s>[-/. ])\d{4}", ("%m{s}%Y", "%V{s}%G")),
    (rf"{_NAME}(?P<s>[-/. ])\d{{4}}", ("%b{s}%Y",)), (rf"{_NAME}(?P<s>[-/. ])\d{{2}}", ("%b{s}%y",)),
    (rf"\d{{4}}(?P<s>[-/. ]){_NAME}", ("%Y{s}%b",)),
    (r"\d{8}", ("%Y%m%d", "%d%m%Y")), (r"\d{4}-?\d{3}", ("%Y-%j", "%Y%j")), (r"\d{6}", ("%Y%m", "%y%m%d", "%G%V")),
    (r"\d{4}", ("%Y",)),
)
TIMES: tuple[tuple[str, str], ...] = (
    (r"\d{1,2}:\d{2}:\d{2}[.,]\d+", "%H:%M:%S.%f"), (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"), (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{1,2}h\d{2}", "%Hh%M"), (r"\d{1,2}h", "%Hh"), (r"\d{1,2}時\d{1,2}分", "%H時%M分"), (r"\d{1,2}時", "%H時"),
    (r"\d{1,2}\.\d{2}\.\d{2}", "%H.%M.%S"), (r"\d{1,2}\.\d{2}", "%H.%M"), (r"\d{6}", "%H%M%S"), (r"\d{4}", "%H%M"),
    (r"\d{1,2}", "%H"),
)
NOON = re.compile(r"(\s?)[ap]\.?\s?m\b\.?", re.IGNORECASE)
BETWEEN = re.compile(r"[T_:,;]?\s?|\s-\s|-")
OFFSET = re.compile(r"\s?(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})")
ZONE = re.compile(r"\s?\(?(?:" + "|".join(map(re.escape, sorted(ZONES, key=len, reverse=True))) + r")\)?")
WEEKDAY = re.compile(r"[^\W\d_]{2,10}\.?(,?\s)(?=\d)")


@dataclass(frozen=True)
class StampFormat:
    """A format that reads a column: the share of its texts that it reads, the stamps of the distinct ones, and, where
    another order of day and month reads as many, that ``other`` one."""

    form: str | None
    share: float
    stamps: np.ndarray
    other: str = ""

    @property
    def says_hour(self) -> bool:
        """Whether stamps have a time of day."""
        form = self.form
        if form is None:
            return bool(((self.stamps - self.stamps.astype("datetime64[D]")) != np.timedelta64(0)).any())
        return form in EPOCHS or "%H" in form or "%I" in form or "%k" in form

    @property
    def says_offset(self) -> bool:
        """Whether stamps are instants."""
        return self.form is not None and ("%z" in self.form or "%Z" in self.form or self.form in EPOCHS)


def format_of(texts: np.ndarray, weights: np.ndarray) -> StampFormat | None:
    """The format of a column, from its distinct texts and how often each comes; None where they are no stamps.

    >>> found = format_of(np.array(["01/02/2024 13:00", "14/02/2024 01:00"], dtype=object), np.ones(2))
    >>> found.form, found.other
    ('%d/%m/%Y %H:%M', '')
    """
    if not len(texts):
        return None
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(TRIED, len(texts))).astype(int))
    few = texts[chosen]
    best: list[StampFormat] = []
    tried: set[str | None] = set()
    whole: StampFormat | None = None
    for form in _candidates(few):
        if form in tried or (whole is not None and not _is_swap(form, whole.form)):
            continue
        tried.add(form)
        if np.isnat(parse(few, form)).mean() > 1 - READ + 0.02:
            continue
        found = _read(texts, weights, form)
        if found is None:
            continue
        if found.form is None and found.share > 1 - 1e-9:
            return found
        best.append(found)
        whole = whole or (found if found.share > 1 - 1e-9 else None)
    if not best:
        return None
    top = max(one.share for one in best)
    equal = [one for one in best if one.share >= top - 1e-12]
    orders = [one for one in equal if _is_swap(one.form, equal[0].form)]
    usual = [one for one in orders if not str(one.form).startswith("%y")]
    equal, orders = (usual, usual) if usual else (equal, orders)  # a year of two digits seldom comes first
    if len(orders) < 2:
        return equal[0]
    first = next((one for one in orders if str(one.form).index("%d") < str(one.form).index("%m")), orders[0])
    second = next(one for one in orders if one is not first)
    return StampFormat(first.form, first.share, first.stamps, str(second.form))


def _is_swap(form: str | None, other: str | None) -> bool:
    """Whether two formats differ in the order of day, month and year only."""
    if form is None or other is None or "%d" not in form or "%m" not in form:
        return False
    return re.sub("%[dmyY]", "%", form) == re.sub("%[dmyY]", "%", other)


def _read(texts: np.ndarray, weights: np.ndarray, form: str | None) -> StampFormat | None:
    stamps = parse(texts, form)
    with np.errstate(invalid="ignore"):
        sound = ~np.isnat(stamps)
    share = float(weights[sound].sum() / weights.sum())
    if share < READ:
        return None
    usual = (stamps >= FIRST) & (stamps <= LAST)
    if weights[usual].sum() < 0.9 * weights.sum():
        return None
    return StampFormat(form, share, stamps)


def _candidates(texts: np.ndarray) -> Iterator[str | None]:
    """Formats that a few of the texts may have, the likeliest first; None is ISO 8601."""
    some = [str(text) for text in texts[:: max(1, len(texts) // 12)]][:16]
    if re.match(r"\d{4}-?\d{2}-?\d{2}", some[0]) and len(some[0]) >= 8:
        yield None
    for text in some:
        yield from _forms(text)
    digits = [text for text in some if re.fullmatch(r"-?\d+([.,]\d+)?", text)]
    if len(digits) == len(some):
        size = float(np.median([abs(float(text.replace(",", "."))) for text in digits]))
        for form, low, high in (("epoch-s", 1e8, 5e9), ("epoch-ms", 1e11, 5e12), ("epoch-us", 1e14, 5e15),
                                ("epoch-ns", 1e17, 5e18)):
            if low < size < high:
                yield form


def _forms(text: str) -> Iterator[str]:
    """Formats of one text: a date, perhaps a time of day and an offset, perhaps more that is not read."""
    day = WEEKDAY.match(text)
    if day and not _names_month(day[0]):
        yield from (f"%a{day[1]}{form}" for form in _forms(text[day.end():]))
    for pattern, forms in DATES:
        found = re.match(pattern, text)
        if found is None:
            continue
        if "%b" in forms[0] and not _names_month(found[0]):
            continue
        signs = {name: value or "" for name, value in found.groupdict().items()}
        rest = text[found.end():]
        for form in forms:
            if form in ("%d%m%Y", "%Y") and rest.strip():
                continue
            written = form.format(**{"s": "", "t": "", **signs}) if "{" in form else form
            for tail in _rests(rest):
                yield written + tail
                if tail and not tail.startswith("*"):
                    yield f"{written}[{tail}]"


def _names_month(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text.lower())
    return any(word in month_names() for word in words)


def _rests(rest: str) -> Iterator[str]:
    """What follows a date, as a format."""
    if not rest.strip():
        yield ""
        return
    between = BETWEEN.match(rest)
    lead = between[0] if between else ""
    after = rest[len(lead):]
    for pattern, form in TIMES:
        found = re.match(pattern + r"(?!\d)", after, re.IGNORECASE)
        if found is None:
            continue
        left = after[found.end():]
        noon = NOON.match(left)
        if noon:
            form, left = form.replace("%H", "%I") + noon[1] + "%p", left[noon.end():]
        for beside, sign in ((OFFSET, "%z"), (ZONE, "%Z")):
            said = beside.match(left)
            if said and said[0].strip():
                inside = said[0].strip()
                space = said[0][: len(said[0]) - len(said[0].lstrip())]
                form += space + (f"({sign})" if inside.startswith("(") else sign)
                left = left[said.end():]
                break
        yield lead + form + ("" if not left.strip() else "*")
    if not re.match(r"\s*\d{1,2}\s*:", rest):
        yield "*" if re.match(r"\s*(?:-|–|to|bis|/)\s*\d", rest) else ""


def time_of_day(texts: Sequence[str]) -> str | None:
    """The format of texts that are times of day only, None where they are none.

    >>> time_of_day(["00:00", "13:30"]), time_of_day(["1:00 PM"]), time_of_day(["7.5"])
    ('%H:%M', '%I:%M %p', None)
    """
    for pattern, form in TIMES[:-1]:
        if form in ("%H.%M", "%H%M", "%H%M%S"):
            continue
        found = [re.fullmatch(pattern + rf"({NOON.pattern})?", text.strip(), re.IGNORECASE) for text in texts]
        if found and all(found):
            noon = next((NOON.search(text) for text in texts if NOON.search(text)), None)
            return form.replace("%H", "%I") + noon[1] + "%p" if noon else form
    return None


__all__ = ["ISO", "StampFormat", "format_of", "time_of_day"]
