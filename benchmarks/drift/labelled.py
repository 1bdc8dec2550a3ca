"""Labelled series: the Numenta anomaly benchmark (NAB) and the Turing change point dataset (TCPD), beside the marks
their papers print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terracast.benchmarks.drift.change_points import change_points
from terracast.benchmarks.drift.surprises import series_alarms
from terracast.streams.errors import ReadError

MARGIN = 5  # TCPD
FALSE, MISSED = 0.11, 1.0  # NAB's standard profile
# Published, for context.
PUBLISHED_NAB = ("published (NAB's scoreboard, standard profile): Numenta HTM 70.1, CAD OSE 69.9, earthgecko Skyline "
                 "58.2, KNN CAD 58.0, relative entropy 54.6; their thresholds were optimised on the benchmark itself")
HALVES = ("seen: every second file by name, from the first on, where every constant was chosen; held out: the others. "
          "Which types of distance to take was first looked at on both")
PUBLISHED_TCPD = ("published (van den Burg and Williams 2020, univariate series, 37 of which 16 are here): binary "
                  "segmentation with default settings cover .706, F1 .744; BOCPD, best settings for each series, "
                  ".789 and .880")


def answer(data: Path, labels: Path, command: str) -> dict[str, Any]:
    """The bench's one form; which of the two it is, the labels say. Raises ``ReadError``."""
    known = json.loads(labels.read_text(encoding="utf-8"))
    first = next(iter(known.values()), None)
    if isinstance(first, dict):
        rows, protocol = _tcpd(data, known), {"published": [PUBLISHED_TCPD], "margin": MARGIN}
    elif isinstance(first, list):
        rows = _nab(data, known)
        protocol = {"published": [PUBLISHED_NAB], "nab_profile": "standard", "nab_halves": HALVES}
    else:
        raise ReadError("labels of another form", where=labels.name, expected="NAB windows or TCPD annotations",
                        remedy="give combined_windows.json or annotations.json")
    ours = next(row for row in rows if row["method"] == "terracast")
    return {"bench": "drift", "data": f"{data.name}, {len(known)} series", "rows": rows, "command": command,
            "protocol": {**protocol, "thresholds": "fixed beforehand, one for all series"},
            "summary": {name: value for name, value in ours.items() if isinstance(value, float)}}


def _nab(data: Path, windows: dict[str, list[list[str]]]) -> list[dict[str, Any]]:
    """NAB score of ours, of an alarm every hundred rows, and of silence; 100 is perfect, 0 is silence.

    Also of the files that constants were chosen on, and of the others.
    """
    totals = {"terracast": [0.0, 0.0], "periodic": [0.0, 0.0], "never": [0.0, 0.0]}
    alarms, perfect = dict.fromkeys(totals, 0), [0, 0]
    for place, name in enumerate(sorted(windows)):
        table = pd.read_csv(data / name)
        times = pd.to_datetime(table["timestamp"]).to_numpy("datetime64[ns]")
        values = table["value"].to_numpy(float)
        probation = min(int(0.15 * len(values)), 750)
        ranges = [(int(np.searchsorted(times, np.datetime64(begin, "ns"))),
                   int(np.searchsorted(times, np.datetime64(end, "ns"), "right")) - 1) for begin, end in windows[name]]
        ways = {"terracast": series_alarms(values, times, probation),
                "periodic": np.arange(probation, len(values), 100), "never": np.zeros(0, int)}
        perfect[place % 2] += len(ranges)
        for way, found in ways.items():
            totals[way][place % 2] += nab_score(found, ranges)
            alarms[way] += len(found)
    return [{"data": "nab", "method": way, "nab_score": _of_hundred(sum(total), sum(perfect)),
             "nab_score_seen": _of_hundred(total[0], perfect[0]),
             "nab_score_held_out": _of_hundred(total[1], perfect[1]), "alarms": alarms[way]}
            for way, total in totals.items()]


def _of_hundred(raw: float, windows: int) -> float | None:
    """NAB's scale; None without windows."""
    return 100 * (raw + windows) / (2 * windows) if windows else None


def nab_score(alarms: Sequence[int] | np.ndarray, windows: Sequence[tuple[int, int]]) -> float:
    """The raw score of alarms (rows) against windows (first and last row), standard profile (Lavin and Ahmad 2015).

    The first alarm in a window earns up to 1, the earlier the more; a window without one costs 1; an alarm outside
    costs up to 0.11, little just after a window. Silence scores -1 a window, so that (score + n) / 2n is NAB's 0–1.

    >>> round(nab_score([10], [(10, 20)]), 3), nab_score([], [(10, 20)]), nab_score([5], [(10, 20)])
    (1.0, -1.0, -1.11)
    """
    score, missed = 0.0, set(windows)
    for alarm in sorted(int(one) for one in alarms):
        inside = next((one for one in windows if one[0] <= alarm <= one[1]), None)
        if inside is not None:
            if inside in missed:
                missed.remove(inside)
                score += _sigmoid((alarm - inside[1] - 1) / (inside[1] - inside[0] + 1)) / _sigmoid(-1.0)
            continue
        last = max((one for one in windows if one[1] < alarm), default=None)
        place = np.inf if last is None else (alarm - last[1]) / max(last[1] - last[0], 1)
        score += FALSE * (_sigmoid(place) if place <= 3 else -1.0)
    return float(score - MISSED * len(missed))


def _sigmoid(place: float) -> float:
    """From nearly 1 at the start of a window (-1) through 0 at its end (0) towards -1 behind it."""
    return float(2 / (1 + np.exp(5 * place)) - 1)


def _tcpd(data: Path, annotations: dict[str, dict[str, list[int]]]) -> list[dict[str, Any]]:
    scores: dict[str, list[tuple[float, float]]] = {"terracast": [], "never": [], "periodic": []}
    for name, annotators in annotations.items():
        series = json.loads((data / f"{name}.json").read_text(encoding="utf-8"))
        values = np.array([each["raw"] for each in series["series"]], float).T  # None becomes NaN
        length, marks = int(series["n_obs"]), list(annotators.values())
        ways = {"terracast": change_points(values), "never": [],
                "periodic": list(range(length // 4, length, length // 4))}
        for way, found in ways.items():
            scores[way].append((f1_score(marks, found), cover(marks, found, length)))
    return [{"data": "tcpd", "method": way, "f1": float(np.mean([one[0] for one in each])),
             "cover": float(np.mean([one[1] for one in each]))} for way, each in scores.items()]


def f1_score(annotations: Sequence[Sequence[int]], found: Sequence[int], margin: int = MARGIN) -> float:
    """F1 of change points against several annotators (van den Burg and Williams 2020): precision against all of them
    together, recall the mean over each. The first row is a change point for everyone, so nobody has none.

    >>> f1_score([[50], []], [52])
    1.0
    """
    truths = [{0, *marks} for marks in annotations]
    given = {0, *found}
    union = set().union(*truths)
    precision = len(_matched(union, given, margin)) / len(given)
    recall = float(np.mean([len(_matched(one, given, margin)) / len(one) for one in truths]))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _matched(truth: set[int], given: set[int], margin: int) -> set[int]:
    """The true change points that one found change point each lies near; the nearest is used up."""
    left, matched = set(given), set()
    for mark in sorted(truth):
        near = [one for one in left if abs(one - mark) <= margin]
        if near:
            left.remove(min(near, key=lambda one: abs(one - mark)))
            matched.add(mark)
    return matched


def cover(annotations: Sequence[Sequence[int]], found: Sequence[int], length: int) -> float:
    """How well the found segments cover those of each annotator, by Jaccard index and length; mean over annotators.

    >>> cover([[50]], [50], 100), cover([[50]], [], 100)
    (1.0, 0.5)
    """
    ours = _segments(found, length)
    each = []
    for marks in annotations:
        total = 0.0
        for begin, end in _segments(marks, length):
            best = max(max(0, min(end, stop) - max(begin, start)) / (max(end, stop) - min(begin, start))
                       for start, stop in ours)
            total += (end - begin) * best
        each.append(total / length)
    return float(np.mean(each))


def _segments(marks: Sequence[int], length: int) -> list[tuple[int, int]]:
    cuts = [0, *sorted({mark for mark in marks if 0 < mark < length}), length]
    return list(pairwise(cuts))
