"""From what the site shows to its files: pages, the data of each node, and what all pages share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from terracast.flows.reporting.chart import vega_script
from terracast.flows.reporting.map import GRADES, grade_of
from terracast.flows.reporting.page import SCRIPTS, TEMPLATES, environment
from terracast.flows.reporting.sections import is_open
from terracast.flows.reporting.wording import change_type_in_words
from terracast.flows.site.content import EpisodeStory, Forecasts, Frame, Gaps, Site
from terracast.flows.site.node_chart import node_chart
from terracast.streams.wording import day, percent, units_in_words

PAGES = {"index.html": "Overview", "forecast.html": "Forecast", "episodes.html": "Episodes",
         "versions.html": "Versions", "drivers.html": "Drivers and graph", "quality.html": "Data quality",
         "scorecard.html": "Scorecard", "settings.html": "Settings"}
CHARTED = ("index.html", "forecast.html")
GAP_GRADES = (("gap0", "none"), ("gap1", "up to 10 %"), ("gap2", "up to 50 %"), ("gap3", "more"), ("gap4", "all"))
MOST_GAP_ROWS = 100
DIGITS = 5  # of a number in the data of a node
GRADE_PLACE = {name: place for place, name in enumerate((*(name for _, name, _ in GRADES), "unknown"))}


def files_of(site: Site, sections: Mapping[str, Any]) -> dict[str, bytes]:
    """Every file of the site by its path, the pages last and the overview at the very end: nothing is named before it
    is there. ``sections``: what ``reporting.sections.sections_of`` made of the report."""
    shared = assets()
    names = {name: path for name, (path, _) in shared.items()}
    data = node_files(site.forecasts)
    files = dict(shared.values()) | {f"data/{name}": body for name, body in data.values()}
    common = {**sections, "fans": [*sections["fans"], *sections["more_fans"]], "more_fans": [], "site": site,
              "report": site.report, "assets": names, "pages": PAGES, "newest": sections["newest"]}
    blank = _blank_map(site, str(sections["map"]))
    for story in site.episodes:
        files[story.page] = _page("site_episode.html.j2", "episodes.html", common, root="../", story=story,
                                  **_over_time(story, blank))
    for page in sorted(PAGES, key=lambda one: one == "index.html"):
        files[page] = _page(f"site_{page.removesuffix('.html').replace('index', 'overview')}.html.j2", page, common,
                            **_own(page, site, data))
    if site.card:
        files = {"generalization.html": site.card.encode(), **files}
    return files


def _page(template: str, page: str, common: Mapping[str, Any], root: str = "", **own: Any) -> bytes:
    charted = page in CHARTED and not root
    answers = ["answers.js"] if page == "drivers.html" else []
    scripts = [*(["vega.js"] if charted else []), "report.js", "site.js", *answers]
    text = _environment().get_template(template).render(**{**common, "page": page, "root": root, "charted": charted,
                                                           "scripts": scripts, **own})
    return text.encode()


def _own(page: str, site: Site, data: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """What one page needs for itself."""
    if page == "index.html":
        return {"open_stories": [one for one in site.episodes if is_open(one.alarm) or one.alarm.recovering]}
    if page == "forecast.html":
        listed = [{"node": node, "file": name} for node, (name, _) in data.items()]
        return {"nodes_with_files": listed, "node_page": _node_page(site) if site.forecasts else None}
    if page == "quality.html":
        of_data = [one for one in site.episodes if change_type_in_words(one.alarm.change_type) == "outage"]
        return {"gaps": _gap_rows(site.gaps), "gap_grades": GAP_GRADES, "data_stories": of_data}
    return {}


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """What pages share, by its own name: the path, which names the content, so that it may be kept for ever."""
    texts = {"site.css": _read("report.css") + _read("site.css"), "vega.js": vega_script(), "site.js": _read("site.js"),
             **{name: _read(name) for name in SCRIPTS}}
    found = {}
    for name, text in texts.items():
        body, (stem, _, kind) = text.encode(), name.partition(".")
        found[name] = f"assets/{stem}-{sha256(body).hexdigest()[:12]}.{kind}", body
    return found


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return environment()


def node_files(forecasts: Forecasts | None) -> dict[str, tuple[str, bytes]]:
    """By node: the name and the text of the file with its data, a script that hands them over, as a page that was
    opened as a file may not fetch. The name follows from the content: an open page never gets another's data."""
    if forecasts is None:
        return {}
    found = {}
    observed, quantiles, week = (_rounded(one) for one in (forecasts.observed, forecasts.quantiles, forecasts.week))
    for column, node in enumerate(forecasts.nodes):
        held = {"node": node, "observed": _plain(observed[:, column]),
                "quantiles": [_plain(one) for one in quantiles[:, column].T],
                "week": [_plain(one) for one in week[:, column].T]}
        body = f"window.terracast.node({json.dumps(held, separators=(',', ':'))});\n".encode()
        found[node] = f"node-{sha256(body).hexdigest()[:16]}.js", body
    return found


def _rounded(values: np.ndarray) -> np.ndarray:
    """To ``DIGITS`` figures; NaN stays."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where((values != 0) & np.isfinite(values), np.floor(np.log10(np.abs(values))), 0)
    factor = 10.0 ** (DIGITS - 1 - size)
    rounded: np.ndarray = np.round(values * factor) / factor
    return rounded


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{one:.{DIGITS}g}") if one == one else None for one in values.tolist()]


def _node_page(site: Site) -> dict[str, Any]:
    """What the forecast page needs for whichever node: the chart and the times, in milliseconds since 1970."""
    held, report = site.forecasts, site.report
    assert held is not None
    units = units_in_words(report.units)
    issued = None if held.issue_time is None else _milliseconds(np.array([held.issue_time]))[0]
    return {"chart": node_chart(report.target, units), "units": units, "times": _milliseconds(held.times),
            "valid_times": _milliseconds(held.valid_times), "week_times": _milliseconds(held.week_times),
            "issue_time": issued, "past": 2 * 86_400_000}


def _milliseconds(times: np.ndarray) -> list[int]:
    return [int(one) for one in times.astype("datetime64[ms]").astype(np.int64)]


def _gap_rows(gaps: Gaps | None) -> dict[str, Any] | None:
    """The nodes with gaps, most first, each day as a class and a sentence."""
    if gaps is None:
        return None
    means = np.nanmean(gaps.shares, axis=1)
    order = [int(one) for one in np.argsort(-means, kind="stable") if means[one] > 0]
    rows = [{"node": gaps.nodes[one], "share": float(means[one]),
             "cells": [_cell(share, at) for share, at in zip(gaps.shares[one], gaps.days, strict=True)]}
            for one in order[:MOST_GAP_ROWS]]
    return {"rows": rows, "days": list(pd.DatetimeIndex(gaps.days)), "whole": len(gaps.nodes) - len(order),
            "more": max(0, len(order) - MOST_GAP_ROWS)}


def _cell(share: float, at: np.datetime64) -> dict[str, str]:
    place = 0 if share <= 0 else 1 if share <= 0.1 else 2 if share <= 0.5 else 3 if share < 1 else 4
    return {"grade": GAP_GRADES[place][0], "words": f"{day(at)}: {percent(share)} missing"}


def _blank_map(site: Site, drawing: str) -> tuple[str, tuple[str, ...]]:
    """The map of the overview without any colour, each node with its name alone, and the nodes by their places; empty
    where no node has a position."""
    if site.report.nodes is None or not site.episodes or not drawing:
        return "", ()
    plain = re.sub(r'(class="node )[a-z]+ [a-z]+((?: cell)?" data-node="([^"]*)"[^>]*>)<title>[^<]*</title>',
                   r"\1unknown calm\2<title>\3</title>", drawing)
    plain = plain.replace(' id="map"', "").replace("coloured by their error against the reference",
                                                  "coloured by their error in the period chosen")
    return plain, tuple(str(one) for one in site.report.nodes["node"])


def _over_time(story: EpisodeStory, blank: tuple[str, tuple[str, ...]]) -> dict[str, Any]:
    """The map of an episode and its periods; a node's grade is a digit at the node's place."""
    drawing, names = blank
    frames = [_frame(one, story.nodes) for one in story.frames]
    return {"frames": frames, "blank_map": Markup(_marked(drawing, names, frozenset(story.nodes))) if frames else "",
            "frame_data": [{"words": words["words"], "grades": _grades(frame, names)}
                           for words, frame in zip(frames, story.frames, strict=True)]}


def _grades(frame: Frame, names: Sequence[str]) -> str:
    return "".join(str(GRADE_PLACE[grade_of(frame.relative.get(name, float("nan")))]) for name in names)


def _frame(frame: Frame, inside: Iterable[str]) -> dict[str, Any]:
    own = set(inside)
    return {"words": f"{day(frame.start)} to {day(frame.end)}",
            "inside": _mean([value for node, value in frame.relative.items() if not own or node in own]),
            "outside": _mean([value for node, value in frame.relative.items() if own and node not in own])}


def _mean(values: Sequence[float]) -> float:
    known = [one for one in values if one == one]
    return sum(known) / len(known) if known else float("nan")


def _marked(drawing: str, names: Sequence[str], own: frozenset[str]) -> str:
    """The map with the place of each node in the periods, and a ring around the nodes of the episode."""
    places = {str(Markup.escape(name)): place for place, name in enumerate(names)}
    rings = {str(Markup.escape(name)) for name in own}

    def mark(found: re.Match[str]) -> str:
        name = found[2]
        state = "episode" if name in rings else "calm"
        return f'class="node unknown {state}{found[1] or ""}" data-place="{places.get(name, 0)}"'

    return re.sub(r'class="node unknown calm( cell)?" data-node="([^"]*)"', mark, drawing)

