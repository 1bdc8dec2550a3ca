"""Ingest: what is new in the sources into the store, cursor and data of a source in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from terracast.flows.settings import Settings, SourceContext
from terracast.flows.settings.clock import as_of
from terracast.flows.workspace import Workspace
from terracast.streams.clock import Clock as StoredClock
from terracast.streams.readers.rows_that_are_none import NO_OBSERVATIONS
from terracast.streams.sources import IngestAnswer, Source, drain

REJECTED = 0.01  # share of the rows of a piece of which nothing need be said
Clock = Callable[[], np.datetime64]


def ingest_new(workspace: Workspace) -> tuple[IngestAnswer, ...]:
    """Drain every source; a source that cannot be reached is answered with the reason, the others go on.

    A file that cannot be read is refused whole and remembered, so that it is told once and tried again when it has
    changed. Nothing of it reaches the store.
    """
    sources = sources_of(workspace.settings, lambda: as_of(None), workspace.store.read().clock)
    try:
        return drain(sources, workspace.store)
    finally:
        for source in sources:
            source.close()


def refusal(answers: Iterable[IngestAnswer]) -> str | None:
    """One line where a piece was refused, or more than ``REJECTED`` of its rows were rejected; None: all was taken.

    >>> refusal([IngestAnswer("a", "air", "x.csv", new=90, rejected={"off the clock": 10})])
    '10.0 % of the rows of x.csv are rejected (off the clock); the others are kept: mend the file or its [[sources]]'
    """
    told = []
    for one in answers:
        lost = sum(count for why, count in one.rejected.items() if why not in NO_OBSERVATIONS)
        rows = one.new + one.late + one.duplicate + one.revised + lost
        if one.refused:
            told.append(f"refused: {one.refused}")
        elif lost > REJECTED * rows:
            told.append(f"{lost / rows:.1%} of the rows of {one.item} are rejected ({', '.join(one.rejected)}); the "
                        "others are kept: mend the file or its [[sources]]".replace("%", " %", 1))
    return None if not told else told[0] + (f" (and {len(told) - 1} more pieces)" if len(told) > 1 else "")


def sources_of(settings: Settings, clock: Clock,
               held: Callable[[str], StoredClock | None] = lambda domain: None) -> list[Source]:
    """The sources as set; ``clock`` tells the time of arrival where a row does not say, ``held`` the clock that a
    domain has in the store, by which files are read whose settings name no step: a few corrections show none."""
    inbox = settings.path(settings.store.inbox)
    return [one.build(SourceContext(settings.folder, inbox, clock, held(one.domain))) for one in settings.sources]


def listen(config: str | Path, host: str, port: int, proxy: str | None = None) -> None:
    """Take pushes for every source of type ``push`` until interrupted; a watch step ingests what was taken.

    ``proxy``: the address of a proxy that is believed when it says for whom it asks (``X-Forwarded-For``). Nobody else
    is: whoever may choose the address that is counted could try tokens without end.
    """
    import uvicorn

    from terracast.flows.settings import PushSourceSettings, SettingsError, read_settings
    from terracast.streams.sources.http import push_app

    settings = read_settings(config)
    terms = {one.domain: one.terms() for one in settings.sources if isinstance(one, PushSourceSettings)}
    if not terms:
        raise SettingsError("no source of type 'push'", where=str(config), expected="at least one",
                            remedy='add [[sources]] with type = "push"')
    app = push_app(settings.path(settings.store.inbox), terms, lambda: as_of(None))
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False, proxy_headers=proxy is not None,
                forwarded_allow_ips=proxy or "")


def ingest(config: str = "terracast.toml") -> dict[str, Any]:
    """Ingest what is new; answers rows new, late, duplicate, revised, rejected, and the snapshot."""
    workspace = Workspace.open(config)
    answers = ingest_new(workspace)
    return {"files": [asdict(answer) for answer in answers], "refused": refusal(answers),
            "snapshot": workspace.store.read().snapshot}
