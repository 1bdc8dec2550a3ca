"""The scorecard as a page: one self-contained HTML file in the report's dress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from terracast.flows.reporting.map import GRADES, draw_map, prepared_nodes
from terracast.flows.scorecards.drawing import SIDES, draw_card
from terracast.streams.wording import percent

TEMPLATES = Path(__file__).parents[1] / "templates"
MEANING = {
    "domain": ("taught on the series itself, or worlds of the kind it was pre-trained on", "another domain"),
    "spatial": ("nodes that were taught on", "every other node, held out"),
    "temporal": ("right after the training part, by day, on weekdays", "the last fifth, by night, at weekends"),
    "scale": ("the data's own step and nodes", "a coarser step, coarser cells")}


def render(answer: Mapping[str, Any]) -> str:
    """The page as HTML text from what ``benchmarks.scorecard.bench.answer`` gives: nothing is fetched, no script."""
    whole = [row for row in answer["rows"] if row["part"] == "all"]
    maps = _maps(answer["nodes"])
    return _environment().get_template("scorecard.html.j2").render(
        answer=answer, protocol=answer["protocol"], meaning=MEANING, sides=SIDES,
        axes=[_axis(whole, axis) for axis in MEANING], parts=[row for row in answer["rows"] if row["part"] != "all"],
        naive=Markup(draw_card(whole, "seasonal_naive")), ridge=Markup(draw_card(whole, "ridge")), maps=maps,
        grades=[(name, words) for _, name, words in GRADES], refusals=_refusals(answer["refusals"]))


def write(answer: Mapping[str, Any], path: Path) -> Path:
    """Write the page (UTF-8) and return its path; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(render(answer), encoding="utf-8")
    return unfinished.replace(path)


def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=lambda value: percent(value, signed=True) if value is not None else "–")
    return environment


def _axis(rows: list[Mapping[str, Any]], axis: str) -> dict[str, Any]:
    own = {row["side"]: row for row in rows if row["axis"] == axis}
    skills = [own[side]["skill_seasonal_naive"] for side in ("in", "out")]
    lost = None if None in skills else skills[0] - skills[1]
    return {"name": axis, "in": own["in"], "out": own["out"], "lost": lost, "meaning": MEANING[axis]}


def _maps(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A map for each series whose nodes have places: coloured by the error against seasonal naive."""
    if not nodes:
        return []
    table = pd.DataFrame(nodes)
    made = []
    for (data, variable), own in table.groupby(["data", "variable"], sort=False):
        if len(own) < 3:
            continue
        drawing = draw_map(prepared_nodes(own.drop(columns=["data", "variable", "units"])), "node").drawing
        relative = own["error"] / own["reference_error"].where(own["reference_error"] > 0) - 1
        made.append({"data": data, "variable": variable, "count": len(own),
                     "drawing": Markup(drawing.replace('id="map"', "")),
                     "better": float((relative < 0).mean()), "spread": _spread(relative.to_numpy(float))})
    return made


def _spread(relative: np.ndarray) -> str:
    known = relative[np.isfinite(relative)]
    if not len(known):
        return "no node has a figure"
    worst, best = percent(known.max(), signed=True), percent(known.min(), signed=True)
    return f"{best} at the best node, {worst} at the worst"


def _refusals(refused: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Refusals by part and reason, with how many series."""
    if not refused:
        return []
    table = pd.DataFrame(refused)
    counted = table.groupby(["axis", "side", "part"], sort=False)["why"].agg(["first", "size"]).reset_index()
    return [{**row, "why": row["first"], "series": int(row["size"])} for row in counted.to_dict("records")]
