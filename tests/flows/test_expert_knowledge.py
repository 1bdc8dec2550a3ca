"""Knowledge from several places as one: kept for good, taken back in so many words, contradictions told."""

from __future__ import annotations

import pytest

from terracast.causal.graph.graph import Series
from terracast.causal.knowledge import Knowledge, KnowledgeError
from terracast.flows.discovery.expert_knowledge import KEPT, ExpertStatement, joined, kept_knowledge, to_keep

RAIN, FLOW, NO2 = Series("weather", "rain"), Series("traffic", "flow"), Series("air", "no2")
SERIES = (RAIN, FLOW, NO2)


def told(name: str, *lines: str) -> ExpertStatement:
    return ExpertStatement(name, Knowledge.parse("\n".join(lines)))


def said(*parts: ExpertStatement) -> list[str]:
    return [str(one) for one in joined(parts, SERIES).knowledge.statements]


def test_what_was_kept_stays_and_is_not_doubled() -> None:
    kept = told(KEPT, "air.* never causes weather.*")
    now = told("a.txt", "air.* never causes weather.*  # again", "weather.rain causes air.no2 at lag 1")
    assert said(kept, now) == [
        "air.* never causes weather.*", "weather.rain causes air.no2 at lag 1"]


def test_only_an_expert_takes_a_kept_line_back() -> None:
    kept, back = told(KEPT, "weather.rain never causes air.no2"), "# taken back: weather.rain never causes air.no2"
    assert said(kept, told("a.txt", back, "weather.rain causes air.no2 at lag 1")) == [
        "weather.rain causes air.no2 at lag 1"]
    state = to_keep(kept.knowledge, Knowledge.parse(back))
    assert kept_knowledge(state).statements == ()
    assert said(told("settings.txt", "weather.rain never causes air.no2"), told("a.txt", back)) == [
        "weather.rain never causes air.no2"]


def test_handing_over_the_same_file_twice_keeps_the_same_text() -> None:
    given = Knowledge.parse("# Answers to the report, by A\nweather.rain never causes air.no2  # no\n")
    once = to_keep(Knowledge(), given)
    assert to_keep(kept_knowledge(once), given) == once and once["text"] == given.text()
    assert kept_knowledge(None) == Knowledge()


def test_a_contradiction_names_both_files_and_their_lines() -> None:
    parts = [told(KEPT, "# a comment", "weather.rain never causes air.no2"),
             told("settings.txt", "", "air.* may cause air.*"),
             told("new.txt", "", "", "weather.rain causes air.no2 at lag 1")]
    with pytest.raises(KnowledgeError, match=r"knowledge kept in the store line 2 and new.txt line 3"):
        joined(parts, SERIES).check(SERIES, 3)
    with pytest.raises(KnowledgeError, match=r"no series 'air.o3' \(new.txt line 1\)"):
        joined([told("new.txt", "air.o3 never causes weather.rain")], SERIES).check(SERIES, 3)


def test_kept_knowledge_of_a_silent_domain_rests() -> None:
    found = joined([told(KEPT, "weather.rain never causes sea.level", "weather.rain never causes air.no2")], SERIES)
    found.check(SERIES, 3)
    assert [str(one) for one in found.knowledge.statements] == ["weather.rain never causes air.no2"]
    assert found.notes == ("Kept knowledge rests, for no such series is there now: weather.rain never causes "
                           "sea.level.",)
