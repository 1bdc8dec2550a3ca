"""Numbers and words that stand for no value, flags that say a row is none, and values below a limit of detection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from terracast.streams.readers.numbers import BELOW, MISSING
from terracast.streams.schema.domains import side_of
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import ColumnProfile
from terracast.streams.vocabulary import named

SENTINEL = re.compile(r"[+-]?9{2,}(?:\.[09]+)?|-?9{2,}\.?|-?8{3,}(?:\.[08]+)?|-?7{3,}(?:\.[07]+)?|-?6{4,}|-?6999|"
                      r"-?1e\+?(?:20|30|35|36|37|38)|9\.96921e\+?36|-?32768|32767|65535|-?2147483648|2147483647")
NEGATIVE = re.compile(r"-9{3,}(?:\.[09]+)?")
MOST_WORDS = 40  # different texts among numbers that may be words for no value
FLAGS = named("flag")
VALID = frozenset(("v", "valid", "va", "ok", "good", "gültig", "gueltig", "valido", "válido", "valide"))
INVALID = frozenset(("n", "i", "invalid", "nv", "bad", "ungültig", "ungueltig", "missing", "error", "fail", "failed",
                     "fehler", "no valido", "invalido", "suspect", "reject", "rejected"))


def find_absent(columns: Mapping[str, ColumnProfile], names: Mapping[str, str],
                found: Findings) -> dict[str, list[str]]:
    """Options ``missing`` and ``below_limit`` for the columns (name in the file: name of the variable) that are read.

    Returns what stands for no value, per column.
    """
    words: dict[str, int] = {}
    sentinels: dict[str, dict[str, int]] = {}
    below = 0
    given = set(found.given.get("missing") or ())
    for name, variable in names.items():
        column = columns[name]
        odd = column.odd()
        limits = {word: count for word, count in odd.items() if BELOW.match(word) and re.search(r"\d", word)}
        below += sum(limits.values())
        rest = {word: count for word, count in odd.items() if word not in limits}
        if len(rest) <= MOST_WORDS:
            for word, count in rest.items():
                words[word] = words.get(word, 0) + count
        sentinels[variable] = {word: count for word, count in _sentinels(column).items() if word not in given}
    entries = list(words)
    common = {word for held in sentinels.values() for word in held}
    for word in sorted(common):
        at = [variable for variable, held in sentinels.items() if word in held]
        elsewhere = [variable for name, variable in names.items() if variable not in at and _holds(columns[name], word)]
        entries += [f"{variable}={word}" for variable in at] if elsewhere else [word]
        count = sum(held.get(word, 0) for held in sentinels.values())
        found.doubt(f"{word} occurs {count} times ({', '.join(at[:3])}), far from everything else: it is read as "
                    "missing", f"--missing {word}")
    if words:
        some = ", ".join(f"{word} ({count})" for word, count in sorted(words.items(), key=lambda one: -one[1])[:5])
        found.doubt(f"texts among the numbers are read as missing: {some}", "--missing WORD")
    if entries:
        told = [f"{word} {count}×" for word, count in words.items()] + sorted(common)
        found.find("missing", [*given, *entries], "they are no observations: " + ", ".join(told[:6]))
        if given:
            found.options["missing"] = [*given, *(one for one in entries if one not in given)]
    if below:
        found.find("below_limit", "half", f"{below} values are given as below a limit, such as <0.5")
        found.doubt(f"{below} values below a limit of detection are read as half of it", "--below-limit missing")
    _tell_impossible(columns, names, found, common)
    return {variable: list(held) for variable, held in sentinels.items()}


def fill_values(values: np.ndarray) -> dict[float, int]:
    """Numbers such as -9999 that recur in an array, far from everything else.

    >>> fill_values(np.array([1.0, 2.0, 3.0, -9999.0, -9999.0]))
    {-9999.0: 2}
    """
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    texts = [f"{value:.7g}" for value in known]
    marked = np.array([bool(SENTINEL.fullmatch(text)) for text in texts], dtype=bool)
    if not marked.any() or (~marked).sum() < 2:
        return {}
    return {float(known[at]): int(counts[at]) for at in np.flatnonzero(marked)
            if counts[at] > 1 and _far(known[~marked], counts[~marked], float(known[at]))}


def _far(ordered: np.ndarray, counts: np.ndarray, value: float) -> bool:
    """Whether a number lies far from all of the others (rising), by their middle 99 %."""
    weights = np.cumsum(counts)
    low, high = (float(ordered[np.searchsorted(weights, share * weights[-1])]) for share in (0.005, 0.995))
    spread = max(high - low, 1e-9)
    return bool(np.abs(ordered - value).min() > 0.5 * spread and not low - 0.5 * spread <= value <= high + 0.5 * spread)


def words_for_none(columns: Iterable[ColumnProfile]) -> set[str]:
    """What may stand for no value in some of the columns."""
    return {word for column in columns if column.numeric for word in (*_sentinels(column), *column.odd())}


def _sentinels(column: ColumnProfile) -> dict[str, int]:
    """Numbers such as -999 that recur and lie far from everything else."""
    candidates = {at: str(word) for at, word in enumerate(column.texts.words)
                  if SENTINEL.fullmatch(str(word).lower().replace(",", "."))}
    if not candidates:
        return {}
    values, counts = column.numbers, column.counts
    rest = np.array([not np.isnan(value) and at not in candidates for at, value in enumerate(values)])
    if rest.sum() < 2:
        return {}
    order = np.argsort(values[rest])
    ordered, weights = values[rest][order], counts[rest][order]
    return {word: int(counts[at]) for at, word in candidates.items()
            if (counts[at] > 1 or (NEGATIVE.fullmatch(word) and ordered[0] >= 0))
            and _far(ordered, weights, float(values[at]))}


def _holds(column: ColumnProfile, word: str) -> bool:
    return word in set(map(str, column.texts.words))


def _tell_impossible(columns: Mapping[str, ColumnProfile], names: Mapping[str, str], found: Findings,
                     sentinels: set[str]) -> None:
    """Values that cannot be where nearly all others are positive, and -1 that recurs among counts."""
    for name, variable in names.items():
        column = columns[name]
        known = ~np.isnan(column.numbers) & ~np.isin(column.texts.words, list(sentinels))
        negative = known & (column.numbers < 0)
        count, total = int(column.counts[negative].sum()), int(column.counts[known].sum())
        if not 0 < count < 0.05 * max(total, 1):
            continue
        if column.whole and set(column.numbers[negative].tolist()) == {-1.0} and count > 1:
            found.doubt(f"-1 occurs {count} times in {variable}, which is never negative else",
                        f"--missing {variable}=-1")


def find_flags(columns: Mapping[str, ColumnProfile], rest: list[str], values: list[str], absent: set[str],
               found: Findings) -> list[str]:
    """Columns that are flags, which are left out; one that goes with missing values is honoured."""
    flags = []
    given = " ".join(found.given.get("valid") or ())
    for name in rest:
        column = columns[name]
        named = bool((FLAGS - {"code"}) & set(column.words)) or name.lower().endswith(("_flag", "_qc", "_cd", "flag")) \
            or (name[:1] in "Qq" and name[1:].lstrip("_") in columns)
        if column.distinct > 20 or column.empty or (column.numeric and not column.whole) or side_of(name):
            continue
        if not named and not _says_valid(column, [str(word) for word in column.texts.words[column.present]]) and (
                column.distinct > 5 or not _codes_of_missing(column, columns, [
                one for one in values if one != name], absent)):
            continue
        flags.append(name)
        texts = [str(word) for word in column.texts.words[column.present]]
        if name in given:
            continue
        if spoken := _says_valid(column, texts):
            mine = _value_before(name, list(columns), values)
            found.find("valid", [], "")
            found.options["valid"] = [*found.options["valid"], f"{mine}{name}={','.join(spoken)}"]
            found.why["valid"] = f"{name} says which rows are valid"
            found.doubt(f"rows whose {name} is not {' or '.join(spoken)} are no observations",
                        f"--valid '{name}={','.join(spoken)}'")
            continue
        mine = max((one for one in values if name.startswith(one) and one != name), key=len, default="") or \
            _value_before(name, list(columns), values).rstrip(":")
        bad = _codes_of_missing(column, columns, [mine] if mine else [one for one in values if one != name], absent)
        good = [text for text in texts if text not in bad]
        if bad and good:
            found.find("valid", [], "")
            found.options["valid"] = [*found.options["valid"], f"{mine}:{name}={','.join(good)}" if mine else
                                      f"{name}={','.join(good)}"]
            told = f"{name} {', '.join(sorted(bad))}"
            found.why["valid"] = f"{told} goes with missing values: such rows are no observations"
            found.doubt(f"rows with {told} are no observations", f"--valid '{name}={','.join(good)}'")
            continue
        shown = ", ".join(f"{text} ({count})" for text, count in sorted(
            zip(texts, column.counts[column.present].tolist(), strict=True), key=lambda one: -one[1])[:4])
        found.leave(name, f"a flag ({shown})")
        if len(texts) > 1:
            usual = texts[int(np.argmax(column.counts[column.present]))]
            found.doubt(f"{name} is a flag ({shown}); it is not honoured", f"--valid '{name}={usual}'")
    return flags


def _says_valid(column: ColumnProfile, texts: list[str]) -> list[str]:
    """The words that say that a row is valid, of a column that holds such words and their opposites alone; of one
    named after validity the numbers from 0 on, where others are negative."""
    if set(column.words) & {"validity", "valid", "validité", "validez", "gültigkeit"} and column.whole:
        good = [text for text in texts if not text.startswith("-")]
        return good if 0 < len(good) < len(texts) else []
    good = [text for text in texts if text.lower() in VALID]
    bad = [text for text in texts if text.lower() in INVALID]
    return good if good and bad and len(good) + len(bad) == len(texts) else []


def _value_before(name: str, names: list[str], values: list[str]) -> str:
    """``VALUE:`` of the column of numbers that stands before a flag which comes after each of them."""
    repeated = re.fullmatch(r"(.*?) \d+", name)
    if not repeated and f"{name} 2" not in names:
        return ""
    before = [one for one in names[:names.index(name)] if one in values]
    return f"{before[-1]}:" if before else ""


def _codes_of_missing(column: ColumnProfile, columns: Mapping[str, ColumnProfile], values: list[str],
                      absent: set[str]) -> set[str]:
    """Codes of a flag that nearly always go with missing values."""
    gone = np.full(len(column.texts), bool(values))
    for name in values:
        other = columns[name]
        none = np.array([word.lower() in MISSING or word in absent for word in other.texts.words], dtype=bool)
        gone &= none[other.texts.codes]
    if not gone.any():
        return set()
    missing = np.bincount(column.texts.codes[gone], minlength=len(column.texts.words))
    return {str(word) for word, count, all_ in zip(column.texts.words, missing, column.counts, strict=True)
            if all_ and count > 0.9 * all_ and str(word).lower() not in MISSING}
