"""Numbers for dashboards: how a stream stands, in the text that Prometheus reads.

They are rendered from plain values. The process of ``terracast up`` does not open the store for a scrape: what reads it
takes two seconds to import and 190 MB to hold, and a step that tidies the store may free what a reader has open. So
the runner, which has all of it at hand, writes down after each run what the store holds (``flows.metrics``): instants,
not ages, so that a scrape between two runs tells the right age. Each scrape has a registry of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from terracast.flows.running.failed_verbs import runs_and_failures
from terracast.flows.running.place import RunningPlace
from terracast.flows.running.run_status import missed, now, trouble

STORED = "metrics.json"  # what the runner read in the store, beside ``runs.json``
COMPARED_FOR = 2 * 86400.0  # seconds (or two cadences) for which a comparison with the frozen base is shown
KINDS = ("level", "trend", "scale", "seasonality", "relation", "input", "calibration", "health")


@dataclass(frozen=True)
class StreamNumbers:
    """How a stream stands at an instant: ``runs``, what ``runs.json`` holds (empty where no ``up`` runs); ``stored``,
    what ``flows.metrics.measured`` read; ``memory`` of the runner, bytes, None: not known."""

    stream: str
    at: datetime
    runs: Mapping[str, Any]
    stored: Mapping[str, Any]
    running: bool
    memory: int | None = None


class Sample(NamedTuple):
    """One number: the metric it is of, its labels besides ``stream``, its value."""

    name: str
    labels: Mapping[str, str]
    value: float | None


COUNTED = ("terracast_runs_total", "terracast_runs_failed_total", "terracast_alarms_opened_total",
           "terracast_messages_sent_total")
SAYS = {  # in the order in which they are printed
    "terracast_up_running": "Whether `terracast up` runs on the workspace: 1 or 0.",
    "terracast_up_trouble": "How many things are wrong. Their sentences stand on the page and in /status.json.",
    "terracast_step_missed": "Whether a step that was due did not come: 1 or 0.",
    "terracast_cadence_seconds": "Seconds from one step to the next, as the settings say.",
    "terracast_runs_total": "Runs that ended since `terracast up` began, by verb. A step is the verb watch.",
    "terracast_runs_failed_total": "Runs that failed since `terracast up` began, by verb.",
    "terracast_last_run_failed": "Whether the last run failed: 1 or 0, by verb.",
    "terracast_last_run_age_seconds": "Seconds since the last run ended, by verb. A step is the verb watch.",
    "terracast_last_run_duration_seconds": "Seconds that the last run took, by verb. A step is the verb watch.",
    "terracast_runner_resident_memory_bytes": "Memory that the process which carries the steps out holds, in bytes.",
    "terracast_store_read_timestamp_seconds": "When the numbers of the store were read, seconds since 1970, UTC.",
    "terracast_last_step_timestamp_seconds": "The instant up to which steps have gone, seconds since 1970, UTC.",
    "terracast_last_step_age_seconds": "Seconds since the instant up to which steps have gone.",
    "terracast_newest_value_timestamp_seconds": "The stamp of the newest value, by domain, seconds since 1970, UTC.",
    "terracast_newest_value_age_seconds": "Seconds since the stamp of the newest value, by domain.",
    "terracast_source_overdue": "Whether the next value is later than it ever usually is: 1 or 0, by domain.",
    "terracast_silent_nodes": "How many nodes are silent for longer than they usually are, by domain.",
    "terracast_scored_forecasts": "How many forecasts the errors and the coverage are means of.",
    "terracast_mean_absolute_error": "Mean absolute error of what was served, the last 28 days, in the target's units.",
    "terracast_frozen_mean_absolute_error": "Mean absolute error that the frozen base alone would have had.",
    "terracast_error_to_frozen_ratio": "Error of what was served over that of the frozen base, on the same forecasts.",
    "terracast_interval_coverage_ratio": "Share of values inside the 80 % interval, the last 28 days. 0.8 is right.",
    "terracast_node_mean_absolute_error": "Mean absolute error of what was served, by node, in the target's units.",
    "terracast_node_interval_coverage_ratio": "Share of the values inside the 80 % interval, by node.",
    "terracast_monitor_learning": "Whether the monitor still learns and raises no alarm of drift: 1 or 0.",
    "terracast_open_episodes": "Episodes that are open, by kind of change. Kind health is a data ticket, no drift.",
    "terracast_alarms_opened_total": "Episodes and data tickets opened since service began.",
    "terracast_messages_sent_total": "Messages with alerts that an address took, since service began.",
    "terracast_alerts_waiting": "Alerts that wait: for quiet hours, a digest, or an address that does not answer.",
    "terracast_alert_addresses_failing": "Addresses of alerts that do not answer.",
    "terracast_champion_version": "The number of the version in service.",
    "terracast_champion_age_seconds": "Seconds since the version in service was made.",
    "terracast_store_bytes": "What the store takes on the disk, in bytes. Absent on object storage.",
}


def numbers_of(place: RunningPlace, stream: str) -> StreamNumbers:
    """What ``terracast up`` knows now, from its two small files; no step under way is waited for."""
    return numbers_at(place, stream, now(), place.read(STORED), running=True)


def numbers_at(place: RunningPlace, stream: str, at: datetime, stored: Mapping[str, Any], *,
               running: bool) -> StreamNumbers:
    """What was ``stored``, with what the runner tells of itself, if one runs."""
    runs = runs_and_failures(place) if running else {}
    memory = resident_bytes(int(runs["pid"])) if runs.get("pid") else None
    return StreamNumbers(stream, at, runs, stored, running, memory)


def resident_bytes(pid: int) -> int | None:
    """What a process holds in memory, in bytes; None where there is no such process.

    >>> resident_bytes(os.getpid()) > 1_000_000
    True
    """
    try:
        if sys.platform == "linux":
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])  # 0: it waits to be collected
            return pages * os.sysconf("SC_PAGE_SIZE") or None
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
        return int(told.stdout) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def unread(stored: Mapping[str, Any]) -> list[str]:
    """What could not be read for the numbers of the store, a sentence each: they are those of an earlier run."""
    return [f"The numbers for dashboards are old: {one}" for one in stored.get("unread", ())]


def exposition(numbers: StreamNumbers, accept: str = "", by_node: bool = False) -> tuple[str, bytes]:
    """The content type and the text of a scrape, in the format that ``accept`` (a header of HTTP) asks for; default:
    the text format 0.0.4, which every Prometheus and every textfile collector reads.

    >>> from datetime import UTC
    >>> calm = StreamNumbers("city", datetime(2024, 1, 25, tzinfo=UTC), {}, {"store_bytes": 2000000}, False)
    >>> print(exposition(calm)[1].decode().splitlines()[-1])
    terracast_store_bytes{stream="city"} 2e+06
    """
    registry = CollectorRegistry()
    registry.register(_Collected(numbers, by_node))
    encode, kind = choose_encoder(accept)
    return kind, encode(registry)


def families(numbers: StreamNumbers, by_node: bool = False) -> list[Metric]:
    """The metrics that have a value, in the order of ``SAYS``."""
    found: dict[str, list[Sample]] = {}
    for one in _samples(numbers, by_node):
        if one.value is not None:
            found.setdefault(one.name, []).append(one)
    made: list[Metric] = []
    for name, says in SAYS.items():
        if name in found:
            names = ["stream", *found[name][0].labels]
            family = (CounterMetricFamily if name in COUNTED else GaugeMetricFamily)(name, says, labels=names)
            for one in found[name]:
                assert one.value is not None
                family.add_metric([numbers.stream, *one.labels.values()], one.value)
            made.append(family)
    return made


def as_json(numbers: StreamNumbers, by_node: bool = False) -> list[dict[str, Any]]:
    """The same as plain data: name, type, help, samples with labels and value."""
    return [{"name": one.samples[0].name, "type": one.type, "help": one.documentation,
             "samples": [{"labels": dict(each.labels), "value": each.value} for each in one.samples]}
            for one in families(numbers, by_node)]


class _Collected:
    """What a registry asks at a scrape."""

    def __init__(self, numbers: StreamNumbers, by_node: bool) -> None:
        self._numbers, self._by_node = numbers, by_node

    def collect(self) -> list[Metric]:
        return families(self._numbers, self._by_node)

    def describe(self) -> list[Metric]:
        """Nothing is described before it is collected."""
        return []


def _samples(numbers: StreamNumbers, by_node: bool) -> Iterator[Sample]:
    yield from _of_runs(numbers)
    stored = numbers.stored
    for name, key in (("store_read", "read_at"), ("last_step", "last_step")):
        yield Sample(f"terracast_{name}_timestamp_seconds", {}, _epoch(stored.get(key)))
    yield Sample("terracast_last_step_age_seconds", {}, _age(stored.get("last_step"), numbers.at))
    for domain, one in stored.get("sources", {}).items():
        yield from _of_source(domain, one, numbers.at)
    yield from _of_errors(numbers, by_node)
    yield Sample("terracast_monitor_learning", {}, stored.get("learning"))
    for kind, count in stored.get("open_episodes", {}).items():
        yield Sample("terracast_open_episodes", {"kind": kind}, count)
    # not by kind: further evidence may name an episode anew, and a counter must not fall
    yield Sample("terracast_alarms_opened_total", {}, stored.get("alarms_opened"))
    alerts = stored.get("alerts") or {}
    for name, key in (("messages_sent_total", "arrived"), ("alerts_waiting", "waiting"),
                      ("alert_addresses_failing", "failing")):
        yield Sample(f"terracast_{name}", {}, alerts.get(key))
    champion = stored.get("champion") or {}
    yield Sample("terracast_champion_version", {}, champion.get("version"))
    yield Sample("terracast_champion_age_seconds", {}, _age(champion.get("created"), numbers.at))
    yield Sample("terracast_store_bytes", {}, stored.get("store_bytes"))


def _of_runs(numbers: StreamNumbers) -> Iterator[Sample]:
    """What ``up`` knows, whether the store can be read or not."""
    runs, failed = numbers.runs, numbers.runs.get("failed") or {}
    yield Sample("terracast_up_running", {}, int(numbers.running))
    wrong = [*trouble(runs, numbers.at), *unread(numbers.stored)]
    yield Sample("terracast_up_trouble", {}, len(wrong))
    if runs.get("ready"):
        yield Sample("terracast_step_missed", {}, int(missed(runs, numbers.at) is not None))
    yield Sample("terracast_cadence_seconds", {}, _cadence(numbers))
    for verb, one in (runs.get("runs") or {}).items():
        yield Sample("terracast_runs_total", {"verb": verb}, one["done"])
        yield Sample("terracast_runs_failed_total", {"verb": verb}, one["failed"])
        yield Sample("terracast_last_run_failed", {"verb": verb}, int(verb in failed))
        yield Sample("terracast_last_run_age_seconds", {"verb": verb}, _age(one["ended"], numbers.at))
        yield Sample("terracast_last_run_duration_seconds", {"verb": verb}, one["seconds"])
    yield Sample("terracast_runner_resident_memory_bytes", {}, numbers.memory)


def _of_source(domain: str, one: Mapping[str, Any], at: datetime) -> Iterator[Sample]:
    label, overdue = {"domain": domain}, _age(one["overdue_from"], at)
    yield Sample("terracast_newest_value_timestamp_seconds", label, _epoch(one["newest"]))
    yield Sample("terracast_newest_value_age_seconds", label, _age(one["newest"], at))
    yield Sample("terracast_source_overdue", label, None if overdue is None else int(overdue > 0))
    yield Sample("terracast_silent_nodes", label, one["silent_nodes"])


def _of_errors(numbers: StreamNumbers, by_node: bool) -> Iterator[Sample]:
    errors, compared = numbers.stored.get("errors") or {}, numbers.stored.get("compared") or {}
    target = {"target": str(numbers.stored.get("target", ""))}
    measured = {**target, "units": str(numbers.stored.get("units", ""))}
    yield Sample("terracast_scored_forecasts", target, errors.get("forecasts"))
    yield Sample("terracast_mean_absolute_error", measured, errors.get("mean_absolute_error"))
    yield Sample("terracast_interval_coverage_ratio", target, errors.get("coverage"))
    old = _age(compared.get("at"), numbers.at)
    if old is not None and old <= max(COMPARED_FOR, 2 * (_cadence(numbers) or 0.0)):
        frozen, served = compared["frozen_mean_absolute_error"], compared["mean_absolute_error"]
        yield Sample("terracast_frozen_mean_absolute_error", measured, frozen)
        yield Sample("terracast_error_to_frozen_ratio", target, served / frozen if frozen > 0 else None)
    for node, one in (errors.get("nodes", {}) if by_node else {}).items():
        yield Sample("terracast_node_mean_absolute_error", {**measured, "node": node}, one[0])
        yield Sample("terracast_node_interval_coverage_ratio", {**target, "node": node}, one[1])


def _cadence(numbers: StreamNumbers) -> float | None:
    """Seconds between steps; the runner knows of months and local days, which are looked for each day."""
    return numbers.runs.get("cadence_seconds") or numbers.stored.get("cadence_seconds")


def _epoch(stamp: str | None) -> float | None:
    return None if stamp is None else datetime.fromisoformat(stamp).timestamp()


def _age(stamp: str | None, at: datetime) -> float | None:
    then = _epoch(stamp)
    return None if then is None else round(at.timestamp() - then, 3)
