"""Adding a version at most once per lineage key, over kills and beside writers on other machines."""

from __future__ import annotations

import xarray as xr

from terracast.registry.lineage import TAGS
from terracast.registry.model_place import ModelPlace, pages
from terracast.registry.recording import VersionEvidence, record
from terracast.registry.tidy import Interface
from terracast.stfm.forecaster import Forecaster


def add_once(place: ModelPlace, evidence: VersionEvidence, forecaster: Forecaster, interface: Interface,
             panel: xr.Dataset | None) -> str:
    """The number of the version with this lineage key, made now if it is not there."""
    lineage = evidence.lineage
    with place.lock():
        found = place.find(lineage.key)
        if found is not None:
            return found
        if lineage.parent is not None:
            place.get(lineage.parent)  # refuses one that is not there
        with place.words(f"add {lineage.key}"):
            _retire_unfinished(place, lineage.key)
            made = record(place.client, place.experiment, evidence, forecaster, interface, panel)
            held = place.client.create_model_version(place.name, made.source, made.run_id, tags=dict(made.tags),
                                                     model_id=made.model_id)
            return _settled(place, lineage.key, str(held.version))


def _retire_unfinished(place: ModelPlace, key: str) -> None:
    """Mark the runs that died before they became a version; what they wrote stays as evidence."""
    runs = pages(place.client.search_runs, experiment_ids=[place.experiment],
                 filter_string=f"tags.{TAGS['key']} = '{key}' and attributes.status != 'KILLED'")
    for run in runs:
        place.client.set_terminated(run.info.run_id, "KILLED")


def _settled(place: ModelPlace, key: str, number: str) -> str:
    """Where a writer on another machine made the same version meanwhile, the lower number stays."""
    first = str(min(int(one.version) for one in place.having(key)))
    if first != number:
        place.client.delete_model_version(place.name, number)
    return first
