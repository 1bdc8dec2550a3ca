"""The page as a reader gets it: opened in a browser, offline, with every section full, empty or hostile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.flows.reporting.content import (
    AlarmRow,
    CausalLink,
    Change,
    Fan,
    KnownEvent,
    Making,
    Outlook,
    Reasons,
    Replayed,
    Report,
    ReportError,
    Timeline,
    VersionRow,
)
from terracast.flows.reporting.freshness import NodeFreshness, SourceFreshness
from terracast.flows.reporting.page import render, write

NODES = ("Aotizhongxin", "Changping", "Dingling", "Dongsi", "Guanyuan", "Gucheng")
DRAWING = ('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="80"><text x="10" y="40">wind to PM2.5</text>'
           '<path d="M120 36H260"/></svg>')
HOSTILE = "<script>window.stolen = 1</script>"
at = np.datetime64


def fan(name: str, leads: int = 24) -> Fan:
    times = pd.date_range("2015-07-16T07:00", periods=72, freq="h").to_numpy("datetime64[ns]")
    observed = 80 + 30 * np.sin(np.arange(72) / 4)
    observed[20:24] = np.nan
    ahead = times[-1] + np.arange(1, leads + 1) * np.timedelta64(1, "h")
    levels = 80 + np.linspace(2, 20, leads)[:, None] * np.array([-1.3, -0.7, 0, 0.7, 1.3])
    return Fan(name, times, observed, ahead, levels)


def source(*silent: str, overdue: bool = False) -> SourceFreshness:
    newest = at("2015-07-19T05:00", "ns")
    return SourceFreshness("air", newest, newest, overdue, tuple(
        NodeFreshness(name, at("2015-07-10T04:00", "ns") if name in silent else newest, overdue or name in silent)
        for name in NODES))


def report() -> Report:
    days = pd.date_range("2015-01-01", periods=200)
    wave = 80 + 30 * np.sin(np.arange(200) / 9)
    values = pd.DataFrame({"time": days, "observed": wave + 5, "median": wave, "low": wave - 25, "high": wave + 25})
    values.loc[40:45, "observed"] = np.nan
    weeks = pd.date_range("2015-01-01", periods=28, freq="7D")
    errors = pd.DataFrame({"time": weeks, "frozen": np.linspace(20, 30, 28), "champion": np.linspace(20, 22, 28)})
    nodes = pd.DataFrame({"node": NODES, "lat": np.linspace(39.9, 40.3, 6), "lon": np.linspace(116.2, 116.7, 6),
                          "error": [15.0, 17, 20, 21, 12, 30], "reference_error": [15.0, 20, 19, 15, 12, 31],
                          "skill": 0.2, "coverage": 0.79, "state": ["calm"] * 3 + ["episode", "outage", "calm"]})
    return Report(
        "City air", "air", "PM2.5", "ug m-3", at("2015-07-19T06:00"), snapshot="7JX2", champion="4",
        headline=("The forecast is true at 5 of 6 stations.",), nodes=nodes,
        timeline=Timeline(values, errors, "24 hours ahead",
                          (Change(at("2015-03-12"), "promotion", "4"), Change(at("2015-04-01"), "rollback", "3")),
                          (KnownEvent(at("2015-02-18"), at("2015-02-25"), "Spring Festival"),)),
        alarms=(AlarmRow("E-1", "Forecasts are too low.", "Dongsi, since 3 March.", "Version 4 was made.",
                         at("2015-03-03"), at("2015-03-12")),
                AlarmRow("E-2", "The sensor is stuck.", "Guanyuan, since 10 July.", "A ticket was written.",
                         at("2015-07-10"), change_type="health")),
        false_alarms_per_month=1.0,
        versions=(VersionRow("4", ("champion",), "E-1", "Accepted after 9 days.", 0.062),
                  VersionRow("3", ("previous",))),
        reasons=Reasons(DRAWING, (CausalLink("wind", "PM2.5", "2 hours", -0.4, 0.9, True, True, "lowers the error"),),
                        ("No hidden common cause.",), "PCMCI+"),
        outlook=Outlook(tuple(fan(name) for name in NODES), at("2015-07-19T06:00")), sources=(source("Guanyuan"),),
        replayed=Replayed(at("2015-07-19T08:00"), "air.PM25 at 6 nodes", "Adapting is worth it.", pd.DataFrame(
            {"policy": ["frozen", "terracast"], "mae": [21.0, 19.0], "crps": [15.0, 14.0]}), ("2015-03-03: too low.",)),
        making=Making("terracast report", "sha256:9f", {"terracast": "0.1.0"}))


@dataclass
class Visit:
    """A page opened in the browser, with everything it complained of or asked for."""

    page: object
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()


def visit(browser: object, path: Path, width: int = 1200) -> Visit:
    page = browser.new_page(viewport={"width": width, "height": 900})  # type: ignore[attr-defined]
    seen = Visit(page)
    page.on("console", lambda line: seen.complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    if page.locator("#timeline").count():
        page.wait_for_selector("#timeline[data-drawn] svg .mark-line path", state="attached")
    return seen


def assert_quiet(seen: Visit) -> None:
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_full_report_draws_everything_and_fetches_nothing(browser: object, tmp_path: Path) -> None:
    seen = visit(browser, write(report(), tmp_path / "deep" / "report.html"))
    assert seen.count("#map circle") == len(NODES)
    assert seen.count("#map text.name") == len(NODES)
    # observed, median; frozen, champion; the gap of six days breaks the observed line
    assert seen.count("#timeline svg .mark-line path") == 4
    assert seen.count("#timeline svg .mark-area path") == 1
    assert seen.count("#timeline svg .mark-rect.role-mark path") >= 4
    assert seen.count("#causal svg path") == 1
    assert seen.count("#next svg.fan") == len(NODES)
    assert seen.count("#next svg.fan .point") == 24 * len(NODES)
    assert seen.count(".alarm") == 2 and seen.count(".alarm p") == 6
    assert_quiet(seen)


def test_the_page_is_small_and_the_same_every_time(tmp_path: Path) -> None:
    path = write(report(), tmp_path / "report.html")
    assert path.stat().st_size < 3_000_000
    assert path.read_text(encoding="utf-8") == render(report())
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_it_fits_a_phone(browser: object, tmp_path: Path) -> None:
    seen = visit(browser, write(report(), tmp_path / "report.html"), width=400)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400  # type: ignore[attr-defined]
    assert_quiet(seen)


def test_buttons_show_a_shorter_time_and_sort_a_table(browser: object, tmp_path: Path) -> None:
    seen = visit(browser, write(report(), tmp_path / "report.html"))
    page = seen.page
    before = page.locator("#timeline svg").inner_html()  # type: ignore[attr-defined]
    page.get_by_role("button", name="4 weeks").click()  # type: ignore[attr-defined]
    page.wait_for_function("old => document.querySelector('#timeline svg')?.innerHTML !== old", arg=before)
    page.wait_for_selector("#timeline svg .mark-line path", state="attached")  # type: ignore[attr-defined]
    page.get_by_role("button", name="error", exact=True).click()  # type: ignore[attr-defined]
    first = page.locator("#where tbody th").first.inner_text()  # type: ignore[attr-defined]
    assert first == "Guanyuan"  # 12 is the least error
    assert_quiet(seen)


def test_pointing_shows_the_numbers_of_a_day_and_dragging_moves_in_time(browser: object, tmp_path: Path) -> None:
    seen = visit(browser, write(report(), tmp_path / "report.html"))
    page = seen.page
    page.locator("#timeline").scroll_into_view_if_needed()  # type: ignore[attr-defined]
    box = page.locator("#timeline svg").bounding_box()  # type: ignore[attr-defined]
    x, y = box["x"] + box["width"] / 2, box["y"] + 150
    page.mouse.move(x, y)  # type: ignore[attr-defined]
    page.mouse.move(x + 1, y + 1)  # type: ignore[attr-defined]
    page.wait_for_selector("#vg-tooltip-element.visible")  # type: ignore[attr-defined]
    told = page.locator("#vg-tooltip-element").inner_text().split()  # type: ignore[attr-defined]
    values = report().timeline.values.set_index("time")  # type: ignore[union-attr]
    shown = values.loc[pd.Timestamp(" ".join(told[told.index("time") + 1:told.index("time") + 4]))]
    assert float(told[told.index("observed") + 1]) == pytest.approx(shown["observed"], rel=5e-3)
    ticks = page.locator("#timeline svg .role-axis-label").first.text_content()  # type: ignore[attr-defined]
    page.mouse.down()  # type: ignore[attr-defined]
    page.mouse.move(x + 300, y, steps=6)  # type: ignore[attr-defined]
    page.mouse.up()  # type: ignore[attr-defined]
    page.wait_for_function(
        "old => document.querySelector('#timeline svg .role-axis-label').textContent !== old", arg=ticks)
    assert_quiet(seen)


@pytest.mark.parametrize("positions", [True, False])
def test_hostile_names_are_text(browser: object, tmp_path: Path, positions: bool) -> None:
    full = report()
    assert full.nodes is not None and full.timeline is not None
    nodes = full.nodes.assign(node=[HOSTILE, *NODES[1:]], state=[HOSTILE, *full.nodes["state"][1:]])
    nodes = nodes if positions else nodes.drop(columns=["lat", "lon"])
    link = CausalLink(HOSTILE, '"><img src=x onerror=alert(1)>', "1 hour", 0.3, reason=HOSTILE)
    events = (KnownEvent(at("2015-02-01"), at("2015-02-03"), "</script>" + HOSTILE),)
    drawing = DRAWING.replace("<path", f'<script>window.stolen = 1</script><path onclick="{1}" id="p"').replace(
        "</svg>", '<image href="http://example.org/x.png"/></svg>')
    hostile = replace(full, title=HOSTILE, target=HOSTILE, units=HOSTILE, headline=(HOSTILE,), nodes=nodes,
                      timeline=replace(full.timeline, events=events, lead=HOSTILE),
                      alarms=(AlarmRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, at("2015-03-03"), change_type=HOSTILE),),
                      versions=(VersionRow(HOSTILE, (HOSTILE,), HOSTILE, HOSTILE),),
                      reasons=Reasons(drawing, (link,), (HOSTILE,), HOSTILE),
                      outlook=Outlook((fan(HOSTILE),), at("2015-07-19")),
                      sources=(replace(source(), domain=HOSTILE, overdue=True),),
                      replayed=replace(full.replayed, protocol=HOSTILE, advice=HOSTILE, alarms=(HOSTILE,)),
                      making=Making(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}))
    assert HOSTILE not in render(hostile)
    seen = visit(browser, write(hostile, tmp_path / "report.html"))
    assert seen.page.evaluate("window.stolen") is None  # type: ignore[attr-defined]
    assert seen.page.title() == HOSTILE  # type: ignore[attr-defined]
    assert seen.count("#map circle" if positions else "#tiles li") == len(NODES)
    assert_quiet(seen)


def test_an_empty_report_says_so_in_sentences(browser: object, tmp_path: Path) -> None:
    empty = Report("Nothing yet", "air", "PM2.5", "", at("2015-01-01"))
    seen = visit(browser, write(empty, tmp_path / "report.html"))
    sections = seen.page.locator("main section")  # type: ignore[attr-defined]
    assert sections.count() == 7
    for index in range(7):
        assert sections.nth(index).locator(".empty").count() == 1
    assert seen.count("svg") == 0 and seen.count("table") == 0
    assert_quiet(seen)


@pytest.mark.parametrize("part", ["nodes", "timeline", "alarms", "versions", "replayed", "reasons", "outlook",
                                  "sources"])
def test_each_section_may_be_missing_alone(part: str) -> None:
    default = Report("x", "x", "x", "", at("2015-01-01"))
    assert "</html>" in render(replace(report(), **{part: getattr(default, part)}))


def test_rows_without_numbers_are_dashes_not_errors() -> None:
    nodes = pd.DataFrame({"node": ["a", "b"], "error": [np.nan, 1.0], "reference_error": [1.0, 0.0]})
    policies = pd.DataFrame({"policy": ["never"], "mae": [np.nan]})
    replayed = replace(report().replayed, policies=policies)
    page = render(replace(report(), nodes=nodes, replayed=replayed))
    assert "nan" not in page.split("<main>")[1].split("</main>")[0].replace('data-value="nan"', "").lower()


def test_a_table_without_its_column_is_refused_in_words() -> None:
    with pytest.raises(ReportError, match="column 'node' is missing"):
        render(replace(report(), nodes=pd.DataFrame({"station": ["a"]})))
    with pytest.raises(ReportError, match="causal drawing"):
        render(replace(report(), reasons=Reasons("<p>not a drawing</p>")))


def section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_a_feed_that_is_silent_as_a_whole_is_the_headline_not_calm() -> None:
    silent = replace(report(), sources=(source(*NODES, overdue=True),), alarms=())
    page = section(render(silent), "next")
    assert 'class="verdict outage"' in page and "Nothing came from air after 2015-07-19" in page
    assert "All 6 stations are silent." in page
    assert "calm" not in page and "not affected" not in render(silent)
    assert "The newest value is of 19 Jul 2015, 05:00 UTC: 60 minutes old." in page


def test_a_few_silent_stations_are_named_with_their_own_last_stamps() -> None:
    page = section(render(replace(report(), alarms=(), nodes=None)), "next")
    assert "1 of 6 stations of air is silent: Guanyuan since 2015-07-10 04:00 UTC." in page
    heard = section(render(replace(report(), alarms=(), nodes=None, sources=(source(),))), "next")
    assert 'class="verdict calm"' in heard


def test_two_hundred_nodes_stay_light_and_the_rest_folds_away() -> None:
    fans = tuple(fan(f"road {number}") for number in range(200))
    page = render(replace(report(), nodes=None, timeline=None, outlook=Outlook(fans, at("2015-07-19T06:00"), None, 7)))
    assert len(page) < 1_500_000 and "194 further stations" in page and "7 further stations not drawn" in page


def test_the_last_replay_says_when_it_was_made_and_what_to_choose() -> None:
    page = section(render(report()), "worth")
    assert "Replayed on 19 Jul 2015, 08:00 UTC: air.PM25 at 6 nodes" in page and "Adapting is worth it." in page
    assert "MAE, µg m⁻³" in page and "1 alarm that the replay would have raised" in page
