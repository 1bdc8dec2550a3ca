"""Runs that have outlived their use: those of this stream that no version, and nothing that a version names, needs.

A run of a version stays, whatever became of that version: ``why``, ``rebuild`` and ``rollback`` read it. So do the
causal graphs that a version's lineage names, and the newest graph. What goes are runs that were killed before they
became a version, and graphs that nothing was made with.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import datetime
from typing import Any

from terracast.registry.lineage import TAGS
from terracast.registry.model_place import pages
from terracast.registry.relocation import local_path
from terracast.registry.tracking import in_words
from terracast.registry.versions import Registry

OURS = "terracast_version"  # the tag that every run of Terracast's own has
GRAPH = "graph_digest"
KEY = "evidence_key"  # the tag of what belongs to no version


def expire_runs(registry: Registry, older_than: datetime, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Delete runs of this stream that ended before ``older_than`` and that nothing needs; answers their ids.

    Parameters
    ----------
    registry : Registry
        Of the stream; runs of other experiments are not looked at, nor those that Terracast did not make.
    older_than : datetime
        With a time zone.
    keep : collection of str
        Digests of causal graphs that are in use besides those that versions name.

    Returns
    -------
    tuple of str
        The ids of the runs. MLflow marks them as deleted; artefacts on this machine are removed, those elsewhere by
        ``mlflow gc``.

    Raises
    ------
    RegistryError
        Where MLflow cannot be asked; what was deleted by then is deleted, and the next call goes on.

    Notes
    -----
    Killed between the two halves, a run is marked and its files lie there still: the next call removes them.
    """
    place, limit = registry.place, int(older_than.timestamp() * 1000)
    with registry.lock(), in_words("delete runs that are too old", registry.name):
        from mlflow.entities import ViewType

        runs = pages(place.client.search_runs, experiment_ids=[place.experiment], run_view_type=ViewType.ALL)
        needed = _needed(registry, runs, keep)
        gone = [one for one in runs if _may_go(one, limit, needed)]
        marked = [one.info.run_id for one in gone if one.info.lifecycle_stage == "active"]
        for one in gone:
            if one.info.lifecycle_stage == "active":
                place.client.delete_run(one.info.run_id)
            folder = local_path(one.info.artifact_uri)
            if folder is not None and folder.exists():
                shutil.rmtree(folder)
    return tuple(marked)


def _needed(registry: Registry, runs: Collection[Any], keep: Collection[str]) -> frozenset[str]:
    """Ids of runs that must stay."""
    place = registry.place
    held = pages(place.client.search_model_versions, filter_string=f"name='{registry.name}'")
    graphs = {*keep, *(str(one.tags[TAGS[GRAPH]]) for one in held if TAGS[GRAPH] in one.tags)}
    found = [one for one in runs if KEY in one.data.tags]
    newest = max(found, key=lambda one: one.info.start_time, default=None)
    named = {one.info.run_id for one in found if one.data.tags.get(GRAPH) in graphs or one is newest}
    return frozenset({*named, *(str(one.run_id) for one in held)})


def _may_go(run: Any, limit: int, needed: frozenset[str]) -> bool:
    """Whether a run is Terracast's own, over, old enough and not needed; one that a kill left open has no end."""
    over = run.info.end_time or run.info.start_time
    return OURS in run.data.tags and run.info.run_id not in needed and over < limit
