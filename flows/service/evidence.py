"""What an episode rests on, in the open: what each kind of evidence said, which windows it compared, on which data."""

from __future__ import annotations

from typing import Any

from terracast.adapt.monitoring.episodes.episodes import Episode

NOT_KEPT = "not kept"


def evidence_of(episode: Episode, frozen_on: str | None, snapshot: str) -> dict[str, Any]:
    """As a program reads it: the kinds that spoke, with words, strength and windows; the store's snapshots that the
    reference was frozen on (None: service began before that was kept) and that it is compared on."""
    return {"kinds": {kind: one.to_json() for kind, one in episode.heard.items()},
            "watched": list(episode.watched), "snapshots": {"reference": frozen_on, "current": snapshot}}


def evidence_in_words(episode: Episode, frozen_on: str | None, snapshot: str) -> tuple[str, ...]:
    """A sentence for each kind that compared windows, then the snapshots; nothing for a data ticket."""
    told = [f"{kind.capitalize()}: {one.windows.words}." for kind, one in episode.heard.items()
            if one.windows is not None]
    if not told:
        return ()
    return (*told, f"The reference was frozen on data snapshot {frozen_on or NOT_KEPT} and is compared on {snapshot}.")
