"""A replay in words: the table of policies, the alarms it would have raised, and whether the loop is worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from terracast.flows.reporting.wording import stamp
from terracast.flows.terminal.output import WIDTH, table_lines
from terracast.streams.wording import counted, number, percent, units_in_words

MOST_ALARMS = 12


def alarms(rows: list[dict[str, Any]], baselines: list[str]) -> list[str]:
    """The alarms of all policies replayed, in order of time: when, what and where, and under which policies."""
    told: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for one in row["episodes"] if row["policy"] not in baselines else ():
            told.setdefault((one["opened"], one["alarm"]), []).append(row["policy"])
    return [f"{stamp(opened)} UTC: {words} ({', '.join(policies)})"
            for (opened, words), policies in sorted(told.items())]


def lines(found: Mapping[str, Any]) -> list[str]:
    """The answer for a person, in 80 columns: a line per policy, the alarms, and whether it is worth it."""
    protocol, raised = found["protocol"], found["alarms"]
    title = (f"{found['data']}: {protocol['target']} at {counted(protocol['nodes'], 'node')}, "
             f"{protocol['horizon_words']} ahead, every {protocol['cadence_words']}, {stamp(protocol['start'])} to "
             f"{stamp(protocol['stop'])} UTC, {found['summary']['issue_times']} forecasts")
    told = [f"- {one}" for one in raised[:MOST_ALARMS]]
    if len(raised) > MOST_ALARMS:
        told.append(f"… and {counted(len(raised) - MOST_ALARMS, 'further alarm')}: --json holds them all")
    heading = "Alarms that it would have raised:" if raised else "It would have raised no alarm."
    return [*wrap(title, WIDTH), "", *_table(found["rows"], protocol["units"]), "", heading,
            *(line for one in told for line in wrap(one, WIDTH, subsequent_indent="  ")), "",
            *wrap(found["advice"], WIDTH)]


def _table(rows: Sequence[Mapping[str, Any]], units: str) -> list[str]:
    unit = "no unit" if units == "unknown" else units_in_words(units)
    heads = ["policy", f"MAE\n{unit}", f"CRPS\n{unit}", "in 80 %\ninterval", "alarms", "trained", "served",
             "compute\ns"]
    return table_lines(heads, [[row["policy"], number(row["mae"]), number(row["crps"]), percent(row["coverage80"]),
                                str(row["alarms"]), str(row["adaptations"]), str(row["promotions"]),
                                number(row["compute_seconds"])] for row in rows])
