"""The chart of an alert: what one place observed in the weeks before, when the change began, and the newest forecast.

It is the report's own drawing, as a PNG, which every mail program and chat shows.
"""

from __future__ import annotations

import numpy as np

from terracast.flows.forecast import Issued, newest_forecast
from terracast.flows.reporting.content import FAN_LEVELS, Fan
from terracast.flows.reporting.fan import draw_fan
from terracast.flows.settings import nanoseconds
from terracast.flows.workspace import Workspace
from terracast.streams.printable import printable
from terracast.streams.wording import is_known, units_in_words

BEFORE, MOST = 14, 2000  # horizons before the change that are drawn, and steps at most
WIDE = 2.0  # times the drawing's size
EVER = np.datetime64("2261-01-01", "ns")
STYLE = """<style>
text { font: 12px sans-serif; fill: #4b545c } .name { font-size: 14px; font-weight: bold; fill: #20262b }
path { fill: none } .grid { stroke: #e8ebed } .wide { fill: #0072b2; fill-opacity: .18 }
.half { fill: #0072b2; fill-opacity: .3 } .median { stroke: #0072b2; stroke-width: 2 }
.observed { stroke: #20262b; stroke-width: 1.4 } .issued { stroke: #8b959c; stroke-dasharray: 3 3 }
.changed { stroke: #c24a00; stroke-width: 1.6; stroke-dasharray: 6 3 }
</style>"""


def chart_of_node(workspace: Workspace, node: str, since: np.datetime64) -> bytes | None:
    """The chart as a PNG, for a change that began at ``since`` (UTC); None where nothing is known of the place.

    ``node``: "" is the first one. O(steps drawn).
    """
    import vl_convert

    issued = newest_forecast(workspace, EVER)
    fan = None if issued is None else _fan(workspace, issued, node, since)
    if issued is None or fan is None:
        return None
    drawn = draw_fan(fan, issued.issue_time, units_in_words(issued.units), workspace.zone, pointed=False,
                     changed=since if is_known(since) else None)
    head, end, rest = drawn.partition(">")
    svg = f'{head} xmlns="http://www.w3.org/2000/svg"{end}{STYLE}<rect width="100%" height="100%" fill="white"/>{rest}'
    return bytes(vl_convert.svg_to_png(svg, scale=WIDE))


def _fan(workspace: Workspace, issued: Issued, node: str, since: np.datetime64) -> Fan | None:
    """What was observed at the place from some time before the change on, and the newest forecast of it."""
    stream = workspace.settings.stream
    column = issued.nodes.index(node) if node in issued.nodes else 0
    step = nanoseconds(stream.step)
    began = min(since, issued.issue_time) if is_known(since) else issued.issue_time
    first = max(began - BEFORE * nanoseconds(stream.horizon), issued.issue_time - MOST * step)
    panel = workspace.store.read().as_known_at(stream.domain, issued.issue_time, first)
    observed = panel[stream.target].transpose("time", "node").reindex(node=issued.nodes).values[:, column]
    if not np.isfinite(observed).any():
        return None
    levels = np.stack([issued.at(level)[:, column] for level in FAN_LEVELS], axis=1)
    return Fan(printable(issued.nodes[column]), panel["time"].values, observed, issued.valid_times, levels)
