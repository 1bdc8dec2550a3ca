"""Files that belong to no version, kept as a finished run: at most one run a key."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from terracast.registry.lineage import Lineage
from terracast.registry.recording import VersionEvidence, log_evidence
from terracast.registry.tracking import in_words
from terracast.registry.versions import Registry


def record_files(registry: Registry, key: str, snapshot: str, files: Mapping[str, str | bytes], *,
                 tags: Mapping[str, str] | None = None, metrics: Mapping[str, float] | None = None) -> str:
    """Keep files that belong to no version (a causal graph, a report) as a finished run; answers its id.

    The run is named ``key`` and holds the data snapshot as its input; asked again with the same key, the first
    finished run is answered and nothing is written. Raises ``RegistryError`` on a path that leaves the run.
    """
    lineage = Lineage(key, snapshot)
    client, experiment, where = registry.place.client, registry.place.experiment, registry.name
    with registry.lock(), in_words(f"keep {key}", where):
        asked = f"tags.evidence_key = '{key}' and attributes.status = 'FINISHED'"
        found = client.search_runs([experiment], asked, max_results=1)
        if found:
            return str(found[0].info.run_id)
        from terracast.registry.packing import terracast_version

        said = {**lineage.tags(), **(tags or {}), "evidence_key": key, "terracast_version": terracast_version()}
        run_id = str(client.create_run(experiment, tags=said, run_name=key).info.run_id)
        try:
            log_evidence(client, run_id, VersionEvidence(lineage, metrics or {}, files))
            client.set_terminated(run_id, "FINISHED")
        except BaseException:
            with suppress(Exception):
                client.set_terminated(run_id, "FAILED")
            raise
    return run_id
