"""The site as a reader gets it: every page in a browser, as files and served, light and dark, on a desk and a phone."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from terracast.flows.reporting.content import AlarmRow
from terracast.flows.running.forms import Forms
from terracast.flows.running.page import served
from terracast.flows.site.content import SiteError
from terracast.flows.site.rendering import PAGES
from terracast.flows.site.writing import write_site
from tests.flows.made_site import made_files, made_site, write_made_site
from tests.flows.test_report_page import HOSTILE, browser

__all__ = ["browser"]
EPISODES = ("episodes/E-1.html", "episodes/E-2.html")
# what can be asked of every page by script: WCAG's rules on names, order, landmarks and language
FINDINGS = """() => {
  const found = [];
  if (document.documentElement.lang !== "en") { found.push("no language"); }
  if (document.querySelectorAll("main").length !== 1) { found.push("not one main part"); }
  if (document.querySelectorAll("h1").length !== 1) { found.push("not one h1"); }
  let level = 0;
  document.querySelectorAll("h1, h2, h3, h4").forEach(one => {
    const next = Number(one.tagName[1]);
    if (next > level + 1) { found.push("heading jumps: " + one.textContent); }
    level = next;
  });
  document.querySelectorAll("a, button, summary").forEach(one => {
    if (!(one.textContent.trim() || one.getAttribute("aria-label"))) { found.push("no name: " + one.outerHTML); }
  });
  document.querySelectorAll("select, input:not([type=hidden]), textarea").forEach(one => {
    if (!one.labels.length && !one.getAttribute("aria-label")) { found.push("no label: " + one.outerHTML); }
  });
  document.querySelectorAll("img, [role=img]").forEach(one => {
    if (!(one.getAttribute("aria-label") || one.getAttribute("alt"))) { found.push("no text: " + one.outerHTML); }
  });
  const ids = Array.from(document.querySelectorAll("[id]")).map(one => one.id);
  ids.filter((one, place) => ids.indexOf(one) !== place).forEach(one => found.push("id twice: " + one));
  document.querySelectorAll("[aria-labelledby], [aria-describedby]").forEach(one => {
    const told = one.getAttribute("aria-labelledby") || one.getAttribute("aria-describedby");
    if (!document.getElementById(told)) { found.push("names nothing: " + told); }
  });
  document.querySelectorAll("th").forEach(one => { if (!one.scope) { found.push("no scope: " + one.textContent); } });
  document.querySelectorAll("nav, section").forEach(one => {
    if (!one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")) { found.push("no landmark's name"); }
  });
  return found;
}"""
CONTRAST = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => top.slice(0, 3).map((one, place) =>
    one * (top[3] ?? 1) + under[place] * (1 - (top[3] ?? 1)));
  const light = rgb => rgb.map(one => one / 255)
    .map(one => one <= .03928 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [.2126, .7152, .0722][place], 0);
  const ground = one => one ? over(parts(getComputedStyle(one).backgroundColor), ground(one.parentElement))
    : [255, 255, 255];
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const one = text.parentElement;
    const unseen = one.closest("svg, script, noscript, .hidden, [disabled]") || !one.getClientRects().length;
    if (!text.textContent.trim() || unseen) { continue; }
    const [ink, paper] = [light(over(parts(getComputedStyle(one).color), ground(one))), light(ground(one))];
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) { found.push(ratio.toFixed(2) + " " + text.textContent.trim().slice(0, 40)); }
  }
  return [...new Set(found)];
}"""


class Tab:
    """A tab of the browser that keeps what its pages complained of and asked for."""

    def __init__(self, opened: Any, width: int = 1280, scheme: str = "light") -> None:
        self.context = opened.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda line: self.complaints.append(line.text)
                     if line.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def go(self, address: str) -> Any:
        """Open a page; what it draws is waited for."""
        self.page.goto(address)
        for drawn in ("#timeline", "#node-chart"):
            if self.page.locator(drawn).count():
                self.page.wait_for_selector(f"{drawn}[data-drawn] svg", state="attached")
        return self.page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_site(tmp_path_factory.mktemp("made") / "site")


@pytest.fixture
def tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[Tab]:
    made = Tab(browser, *getattr(request, "param", ()))
    yield made
    made.context.close()


LOOKS = [(1280, "light"), (390, "dark")]


@pytest.mark.parametrize("tab", LOOKS, indirect=True)
@pytest.mark.parametrize("name", [*PAGES, *EPISODES])
def test_a_page_is_whole_by_itself_and_accessible(tab: Tab, folder: Path, name: str) -> None:
    page = tab.go((folder / name).as_uri())
    assert tab.complaints == []
    assert [one for one in tab.asked if not one.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate(FINDINGS) == []
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert (folder / name).stat().st_size < 3_000_000


def test_every_page_is_reached_by_a_click_and_by_the_keyboard(tab: Tab, folder: Path) -> None:
    page = tab.go((folder / "index.html").as_uri())
    for file, name in PAGES.items():
        page.click(f"nav >> text='{name}'")
        assert page.url.partition("#")[0].endswith(f"/{file}")  # a node that is drawn joins the address
        assert page.locator("nav [aria-current=page]").inner_text() == name
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the page" and skip.bounding_box()["x"] >= 0, "it is seen when it has the focus"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.goto((folder / "episodes.html").as_uri())
    page.click("text=E-1")
    assert page.locator("h1").inner_text() == "Episode E-1" and page.url.endswith("/episodes/E-1.html")
    assert tab.complaints == []


def test_a_node_is_chosen_by_hand_by_address_and_on_the_map(tab: Tab, folder: Path) -> None:
    page = tab.go((folder / "forecast.html").as_uri())
    page.wait_for_selector("#node-chart[data-drawn]", state="attached")
    assert len([one for one in tab.asked if "/data/" in one]) == 1, "a node's data come when they are asked for"
    page.select_option("#node", "Dongsi")
    page.wait_for_selector("#node-chart[data-drawn='Dongsi']", state="attached")
    told = page.locator("#told").inner_text()
    assert told.startswith("Dongsi: forecast 80 µg m⁻³ (80 %: 54 to 106) for 2015-07-20 06:00")
    assert page.locator("#forecast-rows tr").count() == 24 and page.locator("#week-rows tr").count() == 168
    assert page.locator("#node-chart svg .mark-area path").count() == 3
    page.goto((folder / "index.html").as_uri())
    page.locator("#where .map [data-node='Gucheng']").click()
    page.wait_for_selector("#node-chart[data-drawn='Gucheng']", state="attached")
    assert page.url.endswith("/forecast.html#Gucheng") and tab.complaints == []


def test_an_episode_is_seen_over_time(tab: Tab, folder: Path) -> None:
    page = tab.go((folder / "episodes" / "E-1.html").as_uri())
    mark = page.locator("#over-time [data-place='3']")
    assert "episode" in mark.get_attribute("class") and "bad" not in mark.get_attribute("class")
    page.focus("#period")
    page.keyboard.press("Home")
    before = page.locator("#period-told").inner_text()
    page.keyboard.press("ArrowRight")
    assert "bad" in mark.get_attribute("class") and page.locator("#period-told").inner_text() != before
    assert "9 % better" in page.locator("section:has(#helped-title)").inner_text(), "served against frozen"
    assert "2015-03-12T00:00:00Z: promoted version 4 by loop: better" in page.locator("main").inner_text()


def test_names_from_data_stay_text(browser: Any, tmp_path: Path) -> None:
    names = [HOSTILE, "a\"b'c", "</script><b>", "x" * 90, "東京", "<!-- served: approvals -->"]
    site = made_site(names)
    made = replace(site.report, title=HOSTILE, champion=HOSTILE, headline=(HOSTILE,), alarms=(
        *site.report.alarms, AlarmRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, site.report.as_known_at)))
    story = replace(site.episodes[0], alarm=made.alarms[-1], page="episodes/x.html", nodes=tuple(names))
    files = made_files(replace(site, report=made, episodes=(*site.episodes, story), receipts=(HOSTILE,),
                               settings=((HOSTILE, ((HOSTILE, HOSTILE),)),)))
    write_site(files, tmp_path / "site")
    tab = Tab(browser)
    for name in (*PAGES, "episodes/x.html", "report.html"):
        page = tab.go((tmp_path / "site" / name).as_uri())
        assert page.evaluate("window.stolen") is None, name
    page = tab.go((tmp_path / "site" / "forecast.html").as_uri())
    for name in names:
        page.select_option("#node", label=name)
        page.wait_for_function("name => document.getElementById('told').textContent.startsWith(name)", arg=name)
    assert tab.complaints == [] and page.evaluate("window.stolen") is None
    tab.context.close()


def test_a_thousand_nodes_paint_within_a_second(browser: Any, tmp_path: Path) -> None:
    folder = write_made_site(tmp_path / "site", [f"station {one:04d}" for one in range(1000)])
    sizes = {name: (folder / name).stat().st_size for name in (*PAGES, *EPISODES)}
    assert max(sizes.values()) < 3_000_000 and len(list((folder / "data").iterdir())) == 1000
    tab = Tab(browser)
    first = []
    for _ in range(3):
        page = tab.go((folder / "index.html").as_uri())
        first.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    print(f"first paint {min(first):.0f} ms, overview {sizes['index.html']:,} bytes")
    assert min(first) < 1000 and tab.complaints == []
    page = tab.go((folder / "forecast.html").as_uri())
    page.fill("#find", "0777")
    page.wait_for_selector("#node-chart[data-drawn='station 0777']", state="attached")
    tab.context.close()


@pytest.mark.parametrize("tab", LOOKS, indirect=True)
def test_a_served_site_has_its_forms_and_asks_nobody_else(tab: Tab, folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forms = Forms(tmp_path / "none.toml", lambda: [{"id": "E-2", "words": "The sensor is stuck.", "by": None}],
                  lambda: [{"name": "5", "words": "Version 5 waits.", "answer": None}], lambda: "3")
    told = {"trouble": ["A step did not come."], "waiting": "", "running": None, "next_run": "2015-07-19T12:00:00Z"}
    with served(folder, lambda: told, port, forms=forms):
        for name in (*PAGES, *EPISODES, "report.html"):
            page = tab.go(f"http://127.0.0.1:{port}/{name}")
            assert "A step did not come." in page.locator("body").inner_text()
            if name != "report.html":
                assert page.evaluate(FINDINGS) == [] and page.evaluate(CONTRAST) == [], name
        page = tab.go(f"http://127.0.0.1:{port}/")
        assert page.locator("form button").all_inner_texts() == ["Approve", "Decline", "I look after it"]
        assert "2015-07-19T12:00:00Z" in page.locator("main").inner_text()
    assert tab.complaints == []
    assert {re.match(r"(\w+:(//[^/]*)?)", one)[0] for one in tab.asked} <= {f"http://127.0.0.1:{port}", "data:"}  # type: ignore[index]


def test_an_episode_that_has_not_closed_stands_on_the_overview_and_in_the_verdict() -> None:
    """Evidence of it comes no more, yet its places are not calm: the overview must say why."""
    site = made_site()
    first, *others = site.report.alarms
    quiet = replace(first, end=site.report.as_known_at, recovering=True)
    stories = tuple(replace(one, alarm=quiet) if one.alarm.episode == first.episode else one for one in site.episodes)
    made = made_files(replace(site, report=replace(site.report, alarms=(quiet, *others)), episodes=stories))
    overview = made["index.html"].decode()
    assert "1 episode has not closed yet" in overview
    assert f">{first.episode}</a>: {first.what}" in overview and "No new evidence since" in overview


def test_what_has_not_changed_is_not_written_and_open_pages_keep_their_data(tmp_path: Path) -> None:
    folder = write_made_site(tmp_path / "site")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_made_site(folder)
    assert {path: path.stat().st_mtime_ns for path in before if path.name != "files.json"} == {
        path: at for path, at in before.items() if path.name != "files.json"}
    old = set((folder / "data").iterdir())
    site = made_site()
    assert site.forecasts is not None
    for round_, still in ((1.0, True), (2.0, False)):
        changed = replace(site.forecasts, observed=site.forecasts.observed + round_)
        write_site(made_files(replace(site, forecasts=changed)), folder)
        assert all(path.exists() for path in old) is still
    assert len(list((folder / "data").iterdir())) == 12, "those of this round and of the one before"


def test_a_write_that_is_broken_off_leaves_pages_with_all_they_name(tmp_path: Path) -> None:
    folder = write_made_site(tmp_path / "site")
    site = made_site()
    assert site.forecasts is not None
    files = made_files(replace(site, forecasts=replace(site.forecasts, observed=site.forecasts.observed + 5)))
    names = list(files)
    for stop in range(0, len(names), 4):
        def body(files: dict[str, bytes] = files, stop: int = stop) -> Iterator[tuple[str, bytes]]:
            yield from list(files.items())[:stop]
            raise KeyboardInterrupt

        class Broken(dict[str, bytes]):
            def items(self) -> Any:
                return body()

        with pytest.raises(KeyboardInterrupt):
            write_site(Broken(files), folder)
        for path in set(folder.rglob("*.html")) - {folder / "report.html"}:
            text = path.read_text(encoding="utf-8")
            named = re.findall(r'(?:src|href)="([^"#:]+)"', text) + [f"data/{one}" for one in
                                                                     re.findall(r'data-file="([^"]+)"', text)]
            assert text.rstrip().endswith("</html>")
            assert [one for one in named if not (path.parent / one).exists()] == []
    assert list(folder.rglob(".*")) == []


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SiteError, match="holds other files"):
        write_made_site(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.txt"]
    folder = write_made_site(tmp_path / "site")
    (folder / "files.json").write_text('{"now": [], "before": ["../thesis.txt", "/etc/passwd"]}')
    write_made_site(folder)
    assert (tmp_path / "thesis.txt").exists()
