"""The page: one self-contained HTML file that a domain expert can read, offline, on a desk or a phone."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from terracast.flows.reporting.content import Report
from terracast.flows.reporting.sections import sections_of
from terracast.flows.reporting.wording import change_type_in_words, comparison, link_sentence, version_name, yes_no
from terracast.streams.wording import counted, day, instant, is_known, number, percent, units_in_words

TEMPLATES = Path(__file__).parents[1] / "templates"
SCRIPTS = ("report.js", "answers.js")  # after Vega, where there is a chart
FILTERS = (comparison, counted, day, instant, link_sentence, number, percent, change_type_in_words, units_in_words,
           version_name, yes_no)


def render(report: Report, sections: dict[str, Any] | None = None) -> str:
    """The page as HTML text: styles, scripts, data and pictures inside, nothing fetched; about 1 to 1.8 MB.

    ``sections``: what ``sections_of`` made of it, where that is there already. The same report gives the same text.
    Raises ``ReportError`` where a table lacks a column it needs or the
    causal drawing is not SVG. A report without content is a page that says what is missing:

    >>> import numpy as np
    >>> page = render(Report("City air", "air", "PM2.5", "ug m-3", np.datetime64("2015-03-01T12:00")))
    >>> "Is the forecast still true?" in page and "1 Mar 2015, 12:00 UTC" in page
    True
    """
    sections = sections_of(report) if sections is None else sections
    scripts = [one for one in (sections["vega"], *map(_script, SCRIPTS)) if one]
    return environment().get_template("report.html.j2").render(
        report=report, scripts=scripts, script_hashes=Markup(" ".join(map(_source_of, scripts))), **sections)


def write(report: Report, path: Path | str) -> Path:
    """Write the page (UTF-8) and return its path; folders are made. A reader never sees half a file."""
    return write_text(render(report), Path(path))


def write_text(text: str, path: Path) -> Path:
    """Write a page that was rendered, by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)


@cache
def _script(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _source_of(script: str) -> str:
    """The script as a source of a Content Security Policy (CSP 3, section 2.3.1): its SHA-256."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


@cache
def environment() -> Environment:
    """What every page is made with: the folder of templates, and filters that turn values into words."""
    # autoescape for every template: names of stations and words of alarms come from data
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({one.__name__: one for one in FILTERS})
    environment.tests["known"] = is_known
    return environment
