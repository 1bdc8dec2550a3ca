"""What Prefect's pages show beside the run of a step: its words, the open episodes, and a link to the page.

They are told over Prefect's REST interface with short patience: a server that is away, or that takes none, costs a line
and no step. Where there is no server nothing is made. Each has one key a stream, under which Prefect shows the newest
and keeps those before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terracast.flows.reporting.step_words import first_line, news
from terracast.flows.running.place import UP, RunningPlace
from terracast.flows.running.prefect_api import ServerAwayError, ask, server
from terracast.flows.terminal.output import note
from terracast.streams.printable import printable

MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~])")  # what Markdown, or a page in a browser, would take for more than a sign


def show_step(config: str | Path, stream: str, answer: Mapping[str, Any], run: str | None) -> int:
    """Put the artefacts of a step to Prefect's server, where there is one; returns how many it took (0: not all).

    Parameters
    ----------
    config : str or Path
        The settings file.
    stream : str
        Its stream's name.
    answer : Mapping
        What the step answered (``WatchStep.to_json``).
    run : str or None
        The id of the flow's run, beside which they stand; None: of no run.
    """
    api = server()
    if api is None:
        return 0
    made = artefacts(stream, answer, RunningPlace.of(Path(config)).read(UP).get("page"))
    try:
        for one in made:
            ask(api, "/artifacts/", {**one, "flow_run_id": run})
    except ServerAwayError as away:
        note(f"what this step did is not shown by Prefect: {away}")
        return 0
    return len(made)


def artefacts(stream: str, answer: Mapping[str, Any], page: str | None) -> list[dict[str, Any]]:
    """As Prefect's server takes them: Markdown, a table, and a link where there is a ``page``.

    >>> calm = {"waiting": "3 of 30 days of air_2 are known", "alarms": {}, "silent": [], "standing": {},
    ...         "returned": [], "set_aside": [], "decisions": [], "approvals": [], "dropped": [], "receipts": [],
    ...         "episodes": []}
    >>> [(one["key"], one["type"]) for one in artefacts("Air 2", calm, "http://127.0.0.1:8478")]
    [('air-2-step', 'markdown'), ('air-2-open-episodes', 'table'), ('air-2-page', 'markdown')]
    >>> artefacts("Air 2", calm, None)[0]["data"]
    '3 of 30 days of air\\\\_2 are known'
    """
    name = re.sub(r"[^a-z0-9]+", "-", stream.lower()).strip("-") or "stream"
    words = "\n".join([plain(first_line(answer)), *(f"- {plain(one)}" for one in news(answer))])
    rows = [{"episode": one["id"], "kind": one["type"], "since": one["since"],
             "nodes": printable(", ".join(one["nodes"])), "alarm": printable(one["text"])}
            for one in answer["episodes"] if one["closed"] is None]
    made = [{"key": f"{name}-step", "type": "markdown", "description": "What the last step did.", "data": words},
            {"key": f"{name}-open-episodes", "type": "table", "description": "The episodes that are open.",
             "data": json.dumps(rows)}]
    if page is not None:
        made.append({"key": f"{name}-page", "type": "markdown", "description": "The report.",
                     "data": f"[The report of {plain(stream)}]({page})"})
    return made


def plain(text: str) -> str:
    r"""Text as Markdown that reads as it stands: names from data are no headings, links or tags.

    >>> plain("air_2 <b>")
    'air\\_2 \\<b\\>'
    """
    return MARKS.sub(r"\\\1", " ".join(printable(text).split()))
