"""The expert's answers: marked in the page, saved by the browser, read as knowledge, honoured by discovery."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terracast.causal.discover import discover
from terracast.causal.graph.changes import changes_between
from terracast.causal.graph.drawing import draw
from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.knowledge import Knowledge, KnowledgeError
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.drift import EVIDENCE, GraphAlarm
from terracast.drivers.direct_causes import choose_drivers
from terracast.flows.reporting.content import CausalLink, Reasons, Report
from terracast.flows.reporting.page import render, write
from terracast.flows.reporting.reasons import EarlierChoice, reasons_from

RAIN, WIND, FLOW, DUST = (Series("weather", "rain"), Series("weather", "wind"), Series("traffic", "flow"),
                          Series("air", "pm25"))
SERIES = (RAIN, WIND, FLOW, DUST)


def panel() -> Prepared:
    """rain -> flow (2), wind -> dust (1), flow and dust move together at the same time."""
    noise = np.random.default_rng(3).normal(size=(1200, 4))
    noise[2:, 2] -= 0.6 * noise[:-2, 0]
    noise[1:, 3] -= 0.5 * noise[:-1, 1]
    both = np.random.default_rng(4).normal(size=1200)
    noise[:, 2] += 0.7 * both
    noise[:, 3] += 0.7 * both
    return Prepared(noise, SERIES, "1h", np.arange(1200).astype("M8[h]"),
                    labels={"weather.rain": "rain", "weather.wind": "wind speed", "air.pm25": "PM2.5"})


def page_of(graph: CausalGraph, folder: Path, **more: Any) -> Path:
    drivers = choose_drivers(graph, FLOW, published={"weather": 0, "traffic": 0, "air": 0}, horizon=6)
    reasons = reasons_from(graph, drivers, draw(graph, drivers), **more)
    report = Report("City", "traffic", "flow", "1", np.datetime64("2015-03-01T12:00"), reasons=reasons)
    return write(report, folder / "report.html")


def named(graph: CausalGraph) -> set[tuple[str, str, int, bool]]:
    return {(str(one.cause), str(one.effect), one.lag, one.oriented) for one in graph.links if one.cause != one.effect}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Visit:
    """The page opened, with all it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1200) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
        self.seen: list[str] = []
        self.page.on("console", lambda line: self.seen.append(line.text))
        self.page.on("pageerror", lambda error: self.seen.append(str(error)))
        self.page.on("request", lambda request: self.seen.append(request.url)
                     if not request.url.startswith(("file:", "data:", "blob:")) else None)
        self.page.goto(path.as_uri())

    def mark(self, cause: Series, effect: Series, lag: int, value: str) -> None:
        choice = f'.choice[data-cause="{cause}"][data-effect="{effect}"][data-lag="{lag}"] input[value="{value}"]'
        self.page.locator(choice).check()

    def saved(self, folder: Path) -> Knowledge:
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name="Save my answers").click()
        assert waiting.value.suggested_filename == "knowledge.txt"
        waiting.value.save_as(folder / "knowledge.txt")
        assert self.seen == []
        return Knowledge.read(folder / "knowledge.txt")


def test_an_impossible_link_marked_in_the_page_never_returns(browser: Any, tmp_path: Path) -> None:
    free = discover(panel(), max_lag=3)
    assert ("weather.rain", "traffic.flow", 2, True) in named(free)
    visit = Visit(browser, page_of(free, tmp_path))
    assert visit.page.get_by_role("button", name="Save my answers").is_disabled()
    visit.mark(RAIN, FLOW, 2, "never")
    visit.mark(WIND, DUST, 1, "certain")
    visit.page.get_by_label("Your name").fill("A. Planner # traffic")
    assert visit.page.locator("#answers .tell").inner_text() == "2 links are marked."
    known = visit.saved(tmp_path)
    assert [(one.cause, one.verdict, one.effect, one.lags) for one in known.statements] == [
        ("weather.rain", "never", "traffic.flow", None), ("weather.wind", "certain", "air.pm25", (1, 1))]
    assert any("by A. Planner # traffic" in comment for _, comment in known.comments)
    held = discover(panel(), max_lag=3, knowledge=known)
    assert not any(one.cause == RAIN and one.effect == FLOW for one in held.links)
    assert [one.known for one in held.links if one.cause == WIND and one.effect == DUST] == [True]
    assert "No longer found: that rain drives flow after 2 hours." in [
        one.sentence for one in changes_between(free, held)]


def test_answers_add_up_over_reports(browser: Any, tmp_path: Path) -> None:
    """The next page starts from the knowledge honoured by its graph: what was forbidden stays forbidden."""
    first = Knowledge.parse("weather.rain never causes traffic.flow  # by hand\n")
    held = discover(panel(), max_lag=3, knowledge=first)
    visit = Visit(browser, page_of(held, tmp_path))
    same_time = next(one for one in held.links if one.lag == 0)
    visit.mark(same_time.cause, same_time.effect, 0, "never")
    known = visit.saved(tmp_path)
    assert known.statements[0].comment == "by hand" and not known.allows(RAIN, FLOW, 2)
    again = discover(panel(), max_lag=3, knowledge=known)
    assert not any(one.cause == RAIN and one.effect == FLOW for one in again.links)
    assert not known.allows(same_time.cause, same_time.effect, 0)
    assert all(known.allows(one.cause, one.effect, one.lag) for one in again.links)


def test_a_change_of_mind_takes_the_earlier_line_back(browser: Any, tmp_path: Path) -> None:
    first = Knowledge.parse("weather.wind causes air.pm25 at lag 1\nweather.* may cause air.*\n")
    held = discover(panel(), max_lag=3, knowledge=first)
    visit = Visit(browser, page_of(held, tmp_path))
    visit.mark(WIND, DUST, 1, "never")
    known = visit.saved(tmp_path)
    known.check(SERIES, 3)
    assert [one.verdict for one in known.statements] == ["never"]
    assert [comment[:10] for _, comment in known.comments[:2]] == ["taken back"] * 2
    assert not any(one.cause == WIND and one.effect == DUST
                   for one in discover(panel(), max_lag=3, knowledge=known).links)


def lags_graph() -> CausalGraph:
    links = (Link(RAIN, FLOW, 2, -0.4, 0.0, 0.9), Link(RAIN, FLOW, 1, -0.2, 0.0, 0.4),
             Link(FLOW, DUST, 0, 0.3, 0.0, 0.8, oriented=False), Link(DUST, DUST, 1, 0.5, 0.0))
    return CausalGraph(SERIES, links, "1h", "PCMCI+", 900)


def test_two_lags_of_one_pair_may_get_different_answers(browser: Any, tmp_path: Path) -> None:
    visit = Visit(browser, page_of(lags_graph(), tmp_path))
    assert visit.page.locator(".choice").count() == 3  # its own past is not a question for an expert
    visit.mark(RAIN, FLOW, 1, "never")
    visit.mark(RAIN, FLOW, 2, "certain")
    visit.mark(FLOW, DUST, 0, "reverse")
    known = visit.saved(tmp_path)
    known.check(SERIES, 3)
    assert {str(one).split("  #")[0] for one in known.statements} == {
        "weather.rain never causes traffic.flow at lag 1", "weather.rain causes traffic.flow at lag 2",
        "air.pm25 causes traffic.flow at lag 0"}
    visit.page.get_by_role("button", name="Start over").click()
    assert visit.page.locator("#answers .tell").inner_text() == "No link is marked yet."


def test_hostile_and_odd_names_stay_text_and_can_be_answered(browser: Any, tmp_path: Path) -> None:
    odd = Series("air", 'dust [2.5] "#1" <b>*</b>')
    graph = CausalGraph((odd, FLOW), (Link(odd, FLOW, 1, 0.4, 0.0),), "1h", "PCMCI+", 900,
                        settings={"knowledge": "# </script><script>window.stolen=1</script>\n"})
    visit = Visit(browser, page_of(graph, tmp_path))
    visit.page.locator('.choice input[value="never"]').check()
    known = visit.saved(tmp_path)
    assert visit.page.evaluate("window.stolen") is None
    assert not known.allows(odd, FLOW, 1) and known.allows(RAIN, FLOW, 1)


def test_without_links_there_is_nothing_to_answer() -> None:
    assert 'id="answers"' not in render(Report("x", "x", "x", "", np.datetime64("2015-01-01")))
    bare = Reasons(links=(CausalLink("rain", "flow", "1 hour", 0.3),))
    assert 'id="answers"' not in render(Report("x", "x", "x", "", np.datetime64("2015-01-01"), reasons=bare))


def test_the_page_tells_what_changed_and_what_would_break_it(browser: Any, tmp_path: Path) -> None:
    now, then = lags_graph(), CausalGraph(SERIES, (Link(RAIN, FLOW, 3, -0.4, 0.0),), "1h", "PCMCI+", 900)
    change = changes_between(then, now)[0]
    told = (change.sentence, "Since about 1 Feb 2015.", EVIDENCE)
    alarm = GraphAlarm(change, np.datetime64("2015-02-01"), 0.01, told)
    earlier = EarlierChoice(then, (Driver(WIND, FLOW, 1, 0.2, True, "known in time"),), "1 Feb 2015")
    visit = Visit(browser, page_of(now, tmp_path, earlier=earlier, alarms=(alarm,),
                                   gains={(RAIN, FLOW, 2): 0.032, (RAIN, FLOW, 1): 0.032}))
    text = visit.page.locator("#why").inner_text()
    for words in ("What changed since 1 Feb 2015", "wind is no longer used as an input", "evidence, not certainty",
                  "What would make it wrong", "−3.2 %", "New: flow and pm25 move together at the same time."):
        assert words in text
    assert visit.seen == [] and (tmp_path / "report.html").stat().st_size < 3_000_000


def test_the_answers_fit_a_phone(browser: Any, tmp_path: Path) -> None:
    visit = Visit(browser, page_of(lags_graph(), tmp_path), width=400)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 400


def test_an_answer_against_a_pattern_is_told_by_line() -> None:
    """A pattern is not rewritten by the page; discovery names both lines instead of guessing."""
    known = Knowledge.parse("weather.* never causes traffic.*\nweather.rain causes traffic.flow at lag 2\n")
    with pytest.raises(KnowledgeError, match="lines 1 and 2"):
        discover(panel(), max_lag=3, knowledge=known)
