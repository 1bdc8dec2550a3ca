"""The knowledge file: read, written back, checked, and turned into tigramite's assumptions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.knowledge import Knowledge, KnowledgeError

RAIN, WIND = Series("weather", "rain"), Series("weather", "wind")
DUST, OZONE = Series("air", "pm25"), Series("air", "o3")
ALL = (RAIN, WIND, DUST, OZONE)

FILE = """# what the officer knows
air.* never causes weather.*   # the city is too small

weather.rain causes air.pm25 at lag 2
weather.wind may cause air.* at lag 1..3
weather.rain maybe causes air.o3
"""


def test_a_file_is_read_with_line_numbers_and_written_back(tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text(FILE, encoding="utf-8")
    known = Knowledge.read(tmp_path / "known.txt")
    assert [(one.line, one.verdict, one.lags) for one in known.statements] == [
        (2, "never", None), (4, "certain", (2, 2)), (5, "maybe", (1, 3)), (6, "maybe", None)]
    assert Knowledge.parse(known.text()) == known
    known.check(ALL, 3)


NAMES = st.sampled_from(["air.*", "weather.*", "air.pm25", "weather.rain", "*"])
LINES = st.builds(
    lambda cause, verb, effect, lags, note: f"{cause} {verb} {effect}{lags}{note}",
    NAMES, st.sampled_from(["never causes", "causes", "may cause", "maybe  causes"]), NAMES,
    st.sampled_from(["", " at lag 0", " at lag 2", " at lag 1..3", "  at  lag 1 .. 2"]),
    st.sampled_from(["", "  # said so", "#x"]))


@given(st.lists(st.one_of(LINES, st.just(""), st.just("# a remark")), max_size=8))
def test_every_file_survives_the_round_trip(lines: list[str]) -> None:
    known = Knowledge.parse("\n".join(lines))
    assert Knowledge.parse(known.text()) == known


@pytest.mark.parametrize(("text", "words"), [
    ("weather.rain makes air.pm25", "line 1"),
    ("\nair.pm25 never causes", "line 2"),
    ("weather.rain causes air.pm25 at lag 3..1", "backwards"),
])
def test_unreadable_lines_are_named(text: str, words: str) -> None:
    with pytest.raises(KnowledgeError, match=words) as caught:
        Knowledge.parse(text)
    assert "\n" not in str(caught.value)


def test_contradictions_name_both_lines() -> None:
    known = Knowledge.parse("weather.* never causes air.*\n# so\nweather.rain causes air.pm25 at lag 2")
    with pytest.raises(KnowledgeError, match="lines 1 and 3"):
        known.check(ALL, 3)
    Knowledge.parse("weather.* never causes air.* at lag 1\nweather.rain causes air.pm25 at lag 2").check(ALL, 3)
    Knowledge.parse("weather.* never causes air.* at lag 1\nweather.rain may cause air.pm25").check(ALL, 3)
    with pytest.raises(KnowledgeError, match="suspected"):
        Knowledge.parse("weather.* never causes air.*\nweather.rain may cause air.pm25").check(ALL, 3)


def test_unknown_names_and_lags_beyond_the_search_are_errors() -> None:
    with pytest.raises(KnowledgeError, match=r"no series 'weather.snow' \(line 1\): expected one of weather.rain"):
        Knowledge.parse("weather.snow never causes air.*").check(ALL, 3)
    with pytest.raises(KnowledgeError, match="raise max_lag"):
        Knowledge.parse("weather.rain causes air.pm25 at lag 9").check(ALL, 3)


def test_assumptions_in_tigramite_form() -> None:
    marks = Knowledge.parse(FILE).link_assumptions(ALL, 2)
    rain, wind, dust = 0, 1, 2
    assert marks[dust][(rain, -2)] == "-->" and marks[dust][(rain, -1)] == "-?>"
    assert marks[dust][(rain, 0)] == "-?>" and marks[rain][(dust, 0)] == "<?-"
    assert marks[rain][(wind, 0)] == marks[wind][(rain, 0)] == "o?o"
    assert not any(cause >= 2 and lag < 0 for effect in (rain, wind) for cause, lag in marks[effect])
    assert (dust, 0) not in marks[dust] and marks[dust][(dust, -1)] == "-?>"
    both = Knowledge.parse("air.* never causes weather.*\nweather.* never causes air.*").link_assumptions(ALL, 1)
    assert not any({cause >= 2, effect >= 2} == {True, False} for effect in both for cause, _ in both[effect])


def test_a_certain_cause_without_a_lag_fixes_the_direction_only() -> None:
    marks = Knowledge.parse("weather.rain causes air.pm25").link_assumptions((RAIN, DUST), 1)
    assert marks[1] == {(0, 0): "-?>", (0, -1): "-?>", (1, -1): "-?>"}
    assert marks[0] == {(1, 0): "<?-", (1, -1): "-?>", (0, -1): "-?>"}


def test_same_time_circles_are_named() -> None:
    text = "\n".join(["weather.rain causes weather.wind at lag 0", "weather.wind causes air.pm25 at lag 0",
                      "air.pm25 causes weather.rain at lag 0"])
    with pytest.raises(KnowledgeError, match="lines 1, 2, 3"):
        Knowledge.parse(text).link_assumptions(ALL, 1)


def test_what_became_of_each_line_is_told() -> None:
    graph = CausalGraph(ALL, (Link(RAIN, DUST, 2, -0.4, 0.0, known=True), Link(RAIN, OZONE, 1, 0.2, 0.0)),
                        "1h", "PCMCI+", 900)
    told = Knowledge.parse(FILE).sentences(graph)
    assert [line.split(") ", 1)[1] for line in told] == [
        "was honoured: such links were not searched for.", "was honoured: 1 link(s) put in and measured.",
        "was not confirmed by these data.", "was confirmed at lag 1."]
