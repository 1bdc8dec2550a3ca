"""What an alarm says, in sentences of at most 25 words: they are data, filled in with what the monitor found.

An alarm has four parts: what changed, by how much; where and since when; what that means; what was done. Statistics
stand apart, for who asks for them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.adapt.monitoring.diagnosis.effect import Effect
from terracast.adapt.monitoring.diagnosis.evidence import Evidence, channel_of
from terracast.streams.stateful import Stateful
from terracast.streams.wording import (
    NAMELESS,
    counted,
    day,
    instant,
    is_known,
    listed,
    number,
    sentence,
    units_in_words,
)

WEAK, STRONG = 1.3, 3.0  # times the limit: below the first chance may well be it, from the second on hardly
BELIEVED = 1000.0  # no assumption about normal weeks holds so well that a larger e-value could be believed
TELLING = 20.0  # an e-value below it, a stream, says no more than chance

FINDINGS = {
    "level": "{name} {where} reads {amount} {side} forecast",
    "weeks before": "{name} {where} reads {side} what the weeks before had",
    "weeks and weather": "{name} {where} reads {side} what the weeks before, the weather and holidays make likely",
    "other places": "{name} {where} reads {side} what the weeks before and the other places make likely",
    "trend": "{name} {where} drifts {way} from forecast{reached}",
    "scale": "{name} {where} varies {more} than before",
    "seasonality": "the daily cycle of {name} {where} has changed",
    "relation": "{name} {where} no longer follows the places around it",
    "input": "the inputs of the forecast {where} look unusual. Their {features}",
    "calibration": "the 80 % interval of {name} {where} holds {now} % of values, and held {before} % before",
}
TICKETS = {
    "outage": "most places send no {name}",
    "silent": "{who} sends no {name}",
    "source": "{silence}",
    "lost driver": "the driver {driver} no longer arrives; forecasts do without it",
    "appeared": "{who} reports now but hardly did before; it is watched from the next `terracast retrain` on",
    "wiring": "the wiring of {name} has changed. {change}",
    "clock": "the clock went back; rows that are not later than the last one are left out",
    "stuck": "{who} repeats one value: the sensor is stuck",
    "unit": "{who} reports as if in another unit",
    "range": "{who} reports what is physically impossible",
    "spike": "{who} jumps out and back again and again",
}
LIKELY = ("weeks and weather", "other places")  # forms that say what was to be expected
FLAGGED = ("stuck", "unit", "range", "spike")
EFFECTS = {
    "percent": "its mean is {size} % {side} than in the four weeks before ({low} to {high} %)",
    "units": "its mean is {size} {side} than in the four weeks before ({low} to {high})",
    "percent of likely": "it is {size} % {side} than that ({low} to {high} %)",
    "units of likely": "it is {size} {side} than that ({low} to {high})",
}
MEANINGS = {
    "fault": "the data are at fault, not the world",
    "set aside": "flagged values count as missing",
    "relation": "the inputs look normal, so what they say about {name} has changed, or the sensors have",
    "intervals": "errors and inputs look normal; only the width of the intervals no longer fits",
    "new world": "the inputs are unusual, too: such conditions are new to the forecaster",
    "new width": "the inputs are unusual, and the intervals do not hold there; errors look normal",
    "copes": "errors look normal, so the forecast copes and nothing is trained for it",
}
STRENGTHS = {
    "weak": "the evidence is weak: chance alone brings {rate} a month, as set",
    "clear": "the evidence is clear; chance alone brings {rate} a month, as set",
    "strong": "the evidence is strong, well beyond what chance brings ({rate} a month, as set)",
}
NOT_ACTED = "nothing has been done yet"
UNKNOWN = "unknown"  # units that nobody said


@dataclass(frozen=True)
class Subject(Stateful):
    """What is watched, as people call it: ``name`` and ``units`` of the target, how many ``nodes`` there are, the false
    alarms a month that are accepted (None: not stated), and the time ``zone`` in which days are told."""

    name: str = "the target"
    units: str = ""
    nodes: int = 0
    false_alarms_per_month: float | None = None
    zone: str = "UTC"

    def local(self, at: np.datetime64) -> np.datetime64:
        """An instant (UTC) as clocks of the zone show it."""
        if not is_known(at):
            return at
        shown = pd.Timestamp(at).tz_localize("UTC").tz_convert(self.zone).tz_localize(None)
        return np.datetime64(shown, "ns")


@dataclass(frozen=True)
class Alarm:
    """One alarm in words, each part one sentence or more; ``statistics`` are for who asks for them."""

    what: str
    where: str
    meaning: str
    action: str
    statistics: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.where, self.meaning, self.action) if part)


def finding(evidence: Evidence, subject: Subject) -> str:
    """What a piece of evidence found, and beside the weeks before, where that is clear.

    >>> at = np.datetime64("2024-06-20", "ns")
    >>> higher = Effect(5.0, 4.0, 6.0, (25.0, 20.0, 30.0))
    >>> clue = Evidence(at, at, ("Dongsi",), "level", "up", 2.0, amount=6.2, effect=higher)
    >>> print(finding(clue, Subject("NO₂", "ug m-3", 16)))
    NO₂ at Dongsi reads 6.2 µg m⁻³ above forecast. Its mean is 25 % higher than in the four weeks before (20 to 30 %).
    """
    if evidence.change_type == "health":
        form = str(evidence.details.get("form", evidence.ticket))
        return _filled(TICKETS["silent" if form == "outage" and subject.nodes == 1 else form],
                       name=subject.name, who=_names(evidence, subject), **_words(evidence))
    up = evidence.direction in ("up", "wider")
    amount = _amount(evidence.amount, subject.units)
    form = str(evidence.details.get("form", evidence.change_type))
    told = [_filled(FINDINGS[form], name=subject.name, where=where(evidence, subject),
                    side="above" if up else "below", way="up" if up else "down", more="more" if up else "less",
                    amount=amount, reached="" if evidence.amount is None else f", by now {amount}", **_words(evidence))]
    if evidence.change_type in ("level", "trend", "scale") and evidence.effect is not None and evidence.effect.is_clear:
        told.append(_effect(evidence.effect, subject.units, " of likely" if form in LIKELY else ""))
    return " ".join(told)


def where(evidence: Evidence, subject: Subject) -> str:
    """The places of a finding: few by name, many by their number; nothing of the one that has no name.

    >>> at = np.datetime64("2024-06-20", "ns")
    >>> [where(Evidence(at, at, nodes, "level", "up", 1.0), Subject(nodes=6)) for nodes in (("a",), tuple("abcd"))]
    ['at a', 'at 4 of 6 places']
    """
    count = len(evidence.nodes) + evidence.others
    if _is_nameless(evidence, subject):
        return ""
    if count == subject.nodes > 3:
        return f"at all {count} places"
    return f"at {listed(evidence.nodes)}" if count <= 3 else f"at {count} of {counted(subject.nodes, 'place')}"


def place_and_time(evidence: Evidence, nodes: tuple[str, ...], since: np.datetime64, subject: Subject,
                   older: np.datetime64 | None = None) -> str:
    """Where an episode is, if its finding did not name it, and when it began; ``older``: since when another change is
    that was open already.

    >>> at = np.datetime64("2024-06-20", "ns")
    >>> place_and_time(Evidence(at, at, ("a",), "level", "up", 1.0), ("a",), at, Subject(nodes=3))
    'It began on 20 Jun 2024.'
    """
    named = set(nodes) <= set(evidence.nodes) and len(evidence.nodes) <= 3 and not evidence.others
    concerned = "" if named or not nodes or len(nodes) == subject.nodes else f"It concerns {listed(nodes, 5)}. "
    began, between = subject.local(since), _between(evidence, since, subject)
    at = f"{instant(began).removesuffix(' UTC')} {'UTC' if subject.zone == 'UTC' else f'({subject.zone})'}"
    midnight = began == began.astype("datetime64[D]")
    when = f"about {day(began)}{between}" if between else f"on {day(began)}" if midnight else f"at {at}"
    beside = "" if older is None else f" An earlier change, of {day(subject.local(older))}, was still open then."
    return f"{concerned}It began {when}.{beside}"


def ending(action: str, closed: np.datetime64 | None, strongest: Evidence) -> str:
    """What was done about an episode, and how it ended, if it did.

    >>> at = np.datetime64("2024-06-20", "ns")
    >>> print(ending("", at, Evidence(at, at, ("a",), "level", "up", 1.1)))
    It closed on 20 Jun 2024: nothing more was found, so chance may well have been all of it.
    """
    done = [sentence(action or NOT_ACTED)] if action or closed is None else []
    if closed is not None:
        is_weak = not action and strongest.change_type != "health" and strongest.strength < WEAK
        done.append(f"It closed on {day(closed)}: nothing more was found"
                    + (", so chance may well have been all of it." if is_weak else "."))
    return " ".join(done)


def meaning(change_types: Collection[str], watched: Collection[str], subject: Subject, strongest: Evidence) -> str:
    """What it means which channels spoke, of those that are ``watched``, and how strong the evidence is.

    >>> at = np.datetime64("2024-06-20", "ns")
    >>> clue = Evidence(at, at, ("a",), "level", "up", 1.1)
    >>> print(meaning(["level"], ("error", "input"), Subject("NO₂", "ug m-3", 3, 1.0), clue))
    The inputs look normal, so what they say about NO₂ has changed, or the sensors have. The evidence is weak: chance \
alone brings 1 false alarm a month, as set.
    """
    spoke = {channel_of(change_type) for change_type in change_types}
    if "health" in spoke:
        parts = ["fault", *(["set aside"] if strongest.ticket in FLAGGED else [])]
        return " ".join(_filled(MEANINGS[part]) for part in parts)
    said = "" if "input" not in watched else _together(spoke)
    told = [_filled(MEANINGS[said], name=subject.name)] if said else []
    if (rate := subject.false_alarms_per_month) is not None:
        strength = "weak" if strongest.strength < WEAK else "clear" if strongest.strength < STRONG else "strong"
        count = f"{number(rate, 2)} false alarm{'' if rate == 1 else 's'}"
        told.append(_filled(STRENGTHS[strength], rate=count))
    return " ".join(told)


def statistics(evidence: Evidence) -> tuple[str, ...]:
    """The numbers that a finding rests on, a sentence each."""
    if evidence.change_type == "health":
        return ()
    size = f", {evidence.size:.1f} standard deviations" if evidence.size else ""
    told = [f"{evidence.channel.capitalize()}: {evidence.strength:.1f} times the limit{size}."]
    if evidence.e_value >= TELLING * evidence.streams:
        over = f" over {evidence.streams} series" if evidence.streams > 1 else ""
        grown = f"{min(evidence.e_value, BELIEVED):,.0f}" + (" or more" if evidence.e_value > BELIEVED else "")
        told.append(f"E-value{over}: {grown}.")
    if evidence.windows is not None:
        told.append(f"Compared: {evidence.windows.words}.")
    return tuple(told)


def _between(evidence: Evidence, since: np.datetime64, subject: Subject) -> str:
    """The days between which it began; nothing where they are one day, or are of later evidence than the beginning."""
    earliest, latest = evidence.earliest, evidence.latest
    if earliest is None or latest is None or not is_known(earliest) or not is_known(latest):
        return ""
    first, last = day(subject.local(earliest)), day(subject.local(latest))
    return f", between {first} and {last}" if first != last and earliest <= since <= latest else ""


def _filled(template: str, **values: object) -> str:
    """A template as a sentence; a name at its beginning stays as people write it."""
    text = template.format(**values).replace("  ", " ")
    return f"{text}{'' if text.endswith('.') else '.'}" if template.startswith("{") else sentence(text)


def _together(spoke: Collection[str]) -> str:
    if "input" not in spoke:
        return "relation" if "error" in spoke else "intervals"
    return "new world" if "error" in spoke else "new width" if "calibration" in spoke else "copes"


def _amount(amount: float | None, units: str) -> str:
    if amount is None:
        return "clearly"
    return f"{number(abs(amount), 2)} {units_in_words('' if units == UNKNOWN else units)}".strip()


def _effect(effect: Effect, units: str, beside: str) -> str:
    share = effect.percent
    amount, low, high = (effect.amount, effect.low, effect.high) if share is None else share
    least, most = sorted((abs(low), abs(high)))
    kind, shown = ("units", units) if share is None else ("percent", "")
    return _filled(EFFECTS[kind + beside], size=_amount(amount, shown), low=number(least, 2), high=number(most, 2),
                   side="higher" if amount > 0 else "lower")


def _is_nameless(evidence: Evidence, subject: Subject) -> bool:
    """Whether it is about the one place of a table that names none; of many sensors one may well be called 0."""
    return evidence.nodes == (NAMELESS,) and subject.nodes == 1


def _names(evidence: Evidence, subject: Subject) -> str:
    if _is_nameless(evidence, subject):
        return "The sensor"
    return str(evidence.details.get("who") or listed(evidence.nodes, 4, evidence.others))


def _words(evidence: Evidence) -> dict[str, object]:
    return {name: value for name, value in evidence.details.items() if name not in ("who", "form")}
