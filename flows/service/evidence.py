"""What an episode rests on, in the open: what each kind of evidence said, which windows it compared, on which data."""

from __future__ import annotations

from typing import Any

from terracast.adapt.monitoring.episodes.episodes import Episode

NOT_KEPT = "not kept"


def evidence_of(episode: Episode, frozen_on: str | None, snapshot: str) -> dict[str, Any]:
    """As a program reads it: the kinds that spoke, with words, strength and windows; the store's snapshots that the
    reference was frozen on (None: service began before that was kept) and that it is compared on."""
    return {"kinds": {channel: one.to_json(episode.subject) for channel, one in episode.channels.items()},
            "watched": list(episode.watched), "snapshots": {"reference": frozen_on, "current": snapshot}}


def evidence_in_words(episode: Episode, frozen_on: str | None, snapshot: str) -> tuple[str, ...]:
    """The numbers of each channel, then the snapshots; nothing for a data ticket."""
    told = episode.alarm.statistics
    if not told:
        return ()
    return (*told, f"The reference was frozen on data snapshot {frozen_on or NOT_KEPT} and is compared on {snapshot}.")
