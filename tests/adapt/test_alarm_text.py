"""What an alarm says: every sentence that can be made is short, plain and whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from terracast.adapt.monitoring.diagnosis.effect import Effect
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.alarm_text import (
    FINDINGS,
    MEANINGS,
    STRENGTHS,
    TICKETS,
    Subject,
    finding,
    meaning,
    place_and_time,
)
from terracast.streams.wording import NAMELESS
from tests.docs.prose import sentences, words

AT = np.datetime64("2024-06-19T23", "ns")
SUBJECT = Subject("nitrogen dioxide concentration", "ug m-3", 16, 0.2)
PRIVATE = {"block", "blocks", "e-value", "sort", "witness", "normal weeks", "bet", "deviations what", "context"}
DETAILS = {
    "input": {"features": "daily swing lies 3.2 deviations above normal and level of wind speed lies 2.5 deviations "
                          "below normal"},
    "calibration": {"now": 61, "before": 81, "reference": 80},
    "lost driver": {"driver": "weather.wind_speed"},
    "wiring": {"change": "Dongsi and Tiantan now show the same numbers. Wanliu and Shunyi no longer show the same "
                          "numbers."},
    "source": {"form": "source", "silence": "Nothing came from air after 2024-12-31, 697 days ago. All 3 stations are "
                                            "silent."},
}
EFFECTS = (None, Effect(-40.0, -45.0, -35.0, (-39.4, -42.2, -36.1)), Effect(-6.1, -7.0, -5.2), Effect(-1.0, -3.0, 1.0))


def clue(change_type: str, ticket: str = "", nodes: int = 1, effect: Effect | None = None, **rest: object) -> Evidence:
    names = tuple(f"Station {number}" for number in range(nodes))
    details = DETAILS.get(ticket or change_type, {})
    made = Evidence(AT, AT, names, change_type, "down", 2.0, "outage" if ticket == "source" else ticket, details,
                    effect=effect)
    return replace(made, **rest)


def every_alarm() -> list[str]:
    told = [finding(clue(change_type, nodes=count, effect=effect, amount=amount), SUBJECT)
            for change_type, count, effect, amount in product(FINDINGS, (1, 3, 10, 16), EFFECTS, (None, -6.21))]
    told += [finding(clue("health", ticket, count).kept(), SUBJECT) for ticket, count in product(TICKETS, (1, 12))]
    bounds = [{}, {"earliest": AT - np.timedelta64(3, "D"), "latest": AT}]
    told += [place_and_time(clue("level", nodes=count, **one), clue("level", nodes=count).nodes, AT, SUBJECT)
             for count, one in product((1, 10, 16), bounds)]
    told += [meaning(change_types, watched, SUBJECT, clue("level", strength=strength))
             for change_types, watched, strength in product(
                 (("level",), ("input",), ("calibration",), ("level", "input"), ("input", "calibration")),
                 (("error",), ("error", "input", "calibration")), (1.1, 2.0, 9.0))]
    return [*told, meaning(("health",), (), SUBJECT, clue("health", "stuck"))]


@pytest.mark.parametrize("text", sorted(set(every_alarm())))
def test_sentences_are_short_whole_and_plain(text: str) -> None:
    for one in sentences(text) if text else ():
        assert len(words(one)) <= 25, one
        assert one[0].isupper() or one.startswith(SUBJECT.name), one
        assert "{" not in one and "nan" not in one.split() and ".." not in one
        assert not PRIVATE & set(one.lower().replace(",", "").split()), one
    assert not text or text.endswith(".")


def test_every_template_is_used() -> None:
    text = " ".join(every_alarm()).lower()
    for template in (*FINDINGS.values(), *TICKETS.values(), *MEANINGS.values(), *STRENGTHS.values()):
        pieces = [piece for piece in template.lower().replace("{", "}").split("}")[::2] if len(piece) > 8]
        assert all(piece in text for piece in pieces), template


def test_the_size_stands_in_the_units_of_the_data_and_in_percent() -> None:
    told = finding(clue("level", nodes=10, effect=EFFECTS[1], amount=-6.21), SUBJECT)
    assert told == ("nitrogen dioxide concentration at 10 of 16 places reads 6.2 µg m⁻³ below forecast. Its mean is "
                    "39 % lower than in the four weeks before (36 to 42 %).")
    degrees = finding(clue("level", effect=EFFECTS[2]), Subject("air temperature", "K", 5))
    assert degrees.endswith("Its mean is 6.1 K lower than in the four weeks before (5.2 to 7).")
    unknown = Subject("cars", "unknown", 5)
    assert finding(clue("level", amount=-40.2), unknown) == "cars at Station 0 reads 40 below forecast."
    assert "four weeks" not in finding(clue("level", effect=EFFECTS[3]), SUBJECT)  # zero is in its interval


def test_days_between_which_it_began_hold_the_day_it_began() -> None:
    later = clue("level", earliest=AT + np.timedelta64(5, "D"), latest=AT + np.timedelta64(9, "D"))
    assert place_and_time(later, later.nodes, AT, SUBJECT) == "It began at 19 Jun 2024, 23:00 UTC."
    around = clue("level", earliest=AT - np.timedelta64(5, "D"), latest=AT + np.timedelta64(1, "D"))
    assert "between 14 Jun 2024 and 20 Jun 2024" in place_and_time(around, around.nodes, AT, SUBJECT)


@pytest.mark.parametrize(("change_type", "ticket", "says"), [
    ("level", "", "Sales reads 3.1 below forecast."), ("scale", "", "Sales varies less than before."),
    ("health", "stuck", "The sensor repeats one value: the sensor is stuck."),
    ("health", "outage", "The sensor sends no Sales.")])
def test_a_place_without_a_name_is_not_named(change_type: str, ticket: str, says: str) -> None:
    """A table with one series and no column of places: no alarm speaks of a place called 0."""
    clue = Evidence(AT, AT, (NAMELESS,), change_type, "down", 1.5, ticket, amount=3.1)
    assert finding(clue, Subject("Sales", "", 1)) == says
    named = replace(clue, nodes=("Bonn",))
    assert "Bonn" in finding(named, Subject("Sales", "", 1))
    if ticket != "outage":  # which is about most of many
        assert "at 0 " in finding(clue, Subject("Sales", "", 12)) or finding(clue, Subject("Sales", "", 12))[:2] == "0 "


def test_days_are_told_as_clocks_there_show_them() -> None:
    """A day of Berlin begins at 23:00 UTC of the day before: nobody there would say so."""
    since = np.datetime64("2025-12-09T23", "ns")
    clue = Evidence(since, since, ("a",), "level", "down", 1.5)
    berlin = Subject("Visitors", "", 3, 1.0, "Europe/Berlin")
    assert place_and_time(clue, ("a",), since, berlin) == "It began on 10 Dec 2025."
    assert place_and_time(clue, ("a",), since, Subject(nodes=3)) == "It began at 9 Dec 2025, 23:00 UTC."
    later = since + np.timedelta64(90, "m")
    assert place_and_time(clue, ("a",), later, berlin) == "It began at 10 Dec 2025, 01:30 (Europe/Berlin)."
    dated = replace(clue, earliest=since - np.timedelta64(2, "D"), latest=since)
    assert place_and_time(dated, ("a",), since, berlin, older=since - np.timedelta64(9, "D")) == (
        "It began about 10 Dec 2025, between 8 Dec 2025 and 10 Dec 2025. An earlier change, of 1 Dec 2025, was still "
        "open then.")
