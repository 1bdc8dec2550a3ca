"""From a report's content to what each section of the page needs; an empty section needs one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from terracast.flows.reporting.chart import chart_of, vega_script
from terracast.flows.reporting.content import POLICY_COLUMNS, AlarmRow, Report, with_columns
from terracast.flows.reporting.fan import draw_fan
from terracast.flows.reporting.freshness import silence_sentence
from terracast.flows.reporting.map import GRADES, NodeMap, draw_map, prepared_nodes, worst_first
from terracast.flows.reporting.svg import harmless
from terracast.flows.reporting.timeline import rows_of, spoken
from terracast.flows.reporting.wording import change_type_in_words, comparison
from terracast.streams.wording import age, counted, instant, is_known, number, percent, units_in_words

NOMINAL_COVERAGE = 0.8
# more rows than this start folded away
LONG_TABLE = 16
MOST_FIRST_LOOKS = 5
FIRST_FANS = 6  # of them are open at once; those that deserve a look come first


def sections_of(report: Report) -> dict[str, Any]:
    """Everything the template needs beside the report itself."""
    nodes = prepared_nodes(report.nodes)
    picture = draw_map(nodes, report.place, report.cell) if len(nodes) else NodeMap("", (), 0)
    rows = rows_of(report.timeline, report.alarms) if report.timeline else None
    open_alarms = [alarm for alarm in report.alarms if is_open(alarm)]
    fans = fans_of(report, nodes)
    return {
        "status": status_of(report, nodes, open_alarms),
        "fans": fans[:FIRST_FANS], "more_fans": fans[FIRST_FANS:], "newest": newest_of(report),
        "facts": facts_of(report, nodes),
        "nodes": nodes.to_dict("records"),
        "map": Markup(picture.drawing), "unnamed": picture.unnamed,
        "placeless": nodes[nodes["node"].isin(picture.placeless)].to_dict("records"),
        "first": first_looks(nodes), "grades": GRADES, "long_table": LONG_TABLE,
        "chart": chart_of(rows, report.target, units_in_words(report.units)) if rows else None,
        "chart_words": spoken(rows, report.timeline.lead) if rows and report.timeline else "",
        "chart_rows": rows,
        # newest first, open ones before closed ones
        "alarms": sorted(report.alarms, key=lambda alarm: (is_open(alarm), pd.Timestamp(alarm.start)),
                         reverse=True),
        "is_open": is_open,
        "causal_drawing": Markup(harmless(report.reasons.drawing)) if report.reasons.drawing.strip() else "",
        "policies": policies_of(report.replayed.policies if report.replayed else None),
        "vega": Markup(vega_script()) if rows else "",
    }


def is_open(alarm: AlarmRow) -> bool:
    """An episode without an end goes on."""
    return not is_known(alarm.end)


def status_of(report: Report, nodes: pd.DataFrame, open_alarms: list[AlarmRow]) -> dict[str, str]:
    """The state of the whole network in a word and a sentence: a feed that is silent as a whole before drift, drift
    before outage, outage before calm."""
    silences = [told for source in report.sources
                if (told := silence_sentence(source, np.datetime64(report.as_known_at), report.place))]
    heard = " ".join(silences)
    if any(source.overdue for source in report.sources if source.domain == report.domain):
        return {"word": "outage", "name": "outage", "sentence": heard}
    if not len(nodes) and not report.alarms and report.timeline is None and not silences:
        if report.outlook is None:
            return {"word": "no data", "name": "unknown", "sentence": "Nothing has been watched yet."}
        return {"word": "not begun", "name": "unknown", "sentence": "Data are stored, but service has not begun yet."}
    drifting = [alarm for alarm in open_alarms if change_type_in_words(alarm.change_type) != "outage"]
    changed = int((nodes["state"] == "episode").sum())
    silent = int((nodes["state"] == "outage").sum())
    if drifting or changed:
        told = counted(len(drifting), "episode") + (" is" if len(drifting) == 1 else " are") + " open"
        if not drifting:
            late = sum(alarm.recovering and change_type_in_words(alarm.change_type) != "outage"
                       for alarm in report.alarms)
            told = f"No new evidence comes, but {counted(max(late, 1), 'episode')} " \
                   f"{'has' if late <= 1 else 'have'} not closed yet"
        where = f"; {counted(changed, report.place)} affected" if changed else ""
        return {"word": "changed", "name": "episode", "sentence": f"{told}{where}. {heard}".strip()}
    if silences:
        return {"word": "outage" if silent else "input silent", "name": "outage", "sentence": heard}
    if silent or open_alarms:
        told = f"{silent} of {counted(len(nodes), report.place)}" if silent else counted(len(open_alarms), "outage")
        return {"word": "outage", "name": "outage", "sentence": f"{told} without trustworthy data."}
    return {"word": "calm", "name": "calm", "sentence": "No episode is open."}


def facts_of(report: Report, nodes: pd.DataFrame) -> list[dict[str, str]]:
    """The few numbers at the top: value, what it is, what to compare it with; unknown ones are left out."""
    facts = []
    both = nodes.dropna(subset=["error", "reference_error"])
    if len(both):
        error, reference = both["error"].mean(), both["reference_error"].mean()
        facts.append({"value": f"{number(error)} {units_in_words(report.units)}".strip(),
                      "name": "mean absolute error, last 28 days",
                      "note": _compared_with(error, reference, report.reference)})
    if nodes["coverage"].notna().any():
        facts.append({"value": percent(nodes["coverage"].mean()),
                      "name": "of observations fell inside the interval",
                      "note": f"promised: {percent(NOMINAL_COVERAGE)}"})
    if nodes["skill"].notna().any():
        skill = nodes["skill"].mean()
        facts.append({"value": percent(skill), "name": "less error than seasonal naive" if skill >= 0
                      else "skill against seasonal naive",
                      "note": f"better at {int((nodes['skill'] > 0).sum())} of "
                              f"{counted(int(nodes['skill'].notna().sum()), report.place)}"})
    if len(nodes):
        calm = int((nodes["state"] == "calm").sum())
        facts.append({"value": f"{calm} of {len(nodes)}", "name": f"{report.place}s are calm",
                      "note": f"{int((nodes['state'] == 'episode').sum())} in an episode, "
                              f"{int((nodes['state'] == 'outage').sum())} in an outage"})
    return facts


def fans_of(report: Report, nodes: pd.DataFrame) -> list[Markup]:
    """A drawing per node, those in an episode or outage first; only the first ones answer the pointer."""
    if report.outlook is None:
        return []
    state = dict(zip(nodes["node"], nodes["state"], strict=True))
    ordered = sorted(report.outlook.fans, key=lambda fan: state.get(fan.node, "calm") == "calm")
    units = units_in_words(report.units)
    return [Markup(draw_fan(fan, report.outlook.issue_time, units, report.outlook.zone, pointed=place < FIRST_FANS))
            for place, fan in enumerate(ordered)]


def newest_of(report: Report) -> str:
    """How old the newest value of the target's domain is, in words; empty where that is not known."""
    source = next((one for one in report.sources if one.domain == report.domain), None)
    if source is None:
        return ""
    if source.newest is None:
        return f"No value of {source.domain} ever came."
    old = age(pd.Timestamp(report.as_known_at) - pd.Timestamp(source.newest))
    return f"The newest value is of {instant(source.newest)}: {old} old."


def _compared_with(error: float, reference: float, name: str) -> str:
    """The error beside its reference, in words."""
    if not reference > 0:
        return f"{name}: {number(reference)}"
    words = comparison(error / reference - 1)
    return f"{words} {'as' if words == 'the same' else 'than'} {name} ({number(reference)})"


def first_looks(nodes: pd.DataFrame) -> list[dict[str, Any]]:
    """Up to five nodes that deserve a look: in an episode or outage, or clearly worse than the reference."""
    worth = nodes[(nodes["state"] != "calm") | nodes["grade"].isin(["worse", "bad"])]
    return list(worst_first(worth).head(MOST_FIRST_LOOKS).to_dict("records"))


def policies_of(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The policies' rows, the lowest error first; the best value of MAE and CRPS is marked."""
    clean = with_columns(table, POLICY_COLUMNS, ("policy",), "policies")
    if clean.empty:
        return []
    for name in POLICY_COLUMNS[1:]:
        clean[name] = pd.to_numeric(clean[name]).astype(float)
    best = {name: clean[name].min() for name in ("mae", "crps")}
    longest = clean["mae"].max()
    rows = clean.sort_values("mae", kind="stable").to_dict("records")
    return [{**row, "best_mae": row["mae"] == best["mae"], "best_crps": row["crps"] == best["crps"],
             "bar": round(100 * row["mae"] / longest) if longest > 0 and row["mae"] == row["mae"] else 0}
            for row in rows]
