"""``terracast bench drift``: planted changes on any data file, labelled series, stationary replays, and speed."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from terracast.flows.terminal.output import tell
from terracast.flows.terminal.share_shown import progress
from terracast.streams.errors import TerracastError

COLUMNS = {"data": "data", "method": "method", "false_alarm_ratio": "false / stated", "detection": "found",
           "detection_shift": "shift", "detection_variance": "variance", "detection_spread": "spread",
           "detection_freeze": "freeze", "detection_ramp": "ramp", "detection_phase": "phase",
           "detection_region": "region", "detection_all": "all", "chance": "chance", "median_delay": "delay h",
           "jaccard": "overlap", "sort_accuracy": "sort"}


def drift(data: Annotated[list[Path] | None, typer.Option("--data", help="A file or folder; may be repeated.")] = None,
          inject: Annotated[str, typer.Option(help="Types of change, comma-separated: shift, variance, spread, freeze, "
                                              "ramp, phase, region, all (every type).")] = "all",
          size: Annotated[float, typer.Option(help="Size of shifts and ramps, in deviations.")] = 1.0,
          segments: Annotated[int, typer.Option(help="Stretches of each file, at most.")] = 4,
          detector: Annotated[str | None, typer.Option(help="Detectors of the monitor, comma-separated: scan, adwin, "
                                                       "page-hinkley, kswin, module:Class. Default: these four; with "
                                                       "--replays scan.")] = None,
          methods: Annotated[str | None, typer.Option(help="Comma-separated; default: ours and peers.")] = None,
          labels: Annotated[Path | None, typer.Option(help="NAB windows, TCPD annotations or truth.json.")] = None,
          replays: Annotated[bool, typer.Option("--replays", help="Stationary networks: realised / stated.")] = False,
          seeds: Annotated[int, typer.Option(help="With --replays: years of each world.")] = 2,
          nodes: Annotated[int | None, typer.Option(help="Without data: 20 of each replay, 10,000 of the speed "
                                                         "test.")] = None,
          steps: Annotated[int, typer.Option(help="Without data: steps timed.")] = 320,
          json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
          ) -> None:
    """Changes planted into real data, found or not at a stated number of false alarms, beside peers; without --data,
    the vectorised detectors beside a loop over river's objects."""
    warnings.filterwarnings("ignore", message="(All-NaN|Mean of empty|Degrees of freedom|invalid value)")
    if replays:
        tell(_replayed(nodes or 20, seeds, detector), json, COLUMNS)
    elif labels is not None:
        tell(_labelled(data or [], labels), json, COLUMNS)
    elif data:
        tell(_planted(data, inject, size, segments, methods, detector), json, COLUMNS)
    else:
        tell(_speed(nodes or 10_000, steps), json, COLUMNS)


def _planted(data: list[Path], inject: str, size: float, segments: int, methods: str | None,
             detector: str | None) -> dict[str, Any]:
    from terracast.adapt.monitoring.detection.detector import DETECTORS
    from terracast.benchmarks.base.files import found
    from terracast.benchmarks.drift.bench import DriftBench
    from terracast.benchmarks.drift.methods import METHODS, known, ours
    from terracast.benchmarks.drift.planted import CHANGE_TYPES

    asked = tuple(inject.split(","))
    change_types = CHANGE_TYPES if inject == "all" else asked
    detectors = tuple(DETECTORS) if detector is None else tuple(detector.split(","))
    peers = tuple(one for one in METHODS if not one.startswith("terracast"))
    chosen = (*map(ours, detectors), *peers) if methods is None else tuple(methods.split(","))
    for given, there, names, option in ((change_types, CHANGE_TYPES.__contains__, CHANGE_TYPES, "--inject"),
                                        (chosen, known, METHODS, "--methods")):
        if unknown := [one for one in given if not there(one)]:
            raise TerracastError(f"no {unknown[0]!r}", where=f"bench drift {option}",
                                 expected="some of " + ", ".join(names), remedy="choose among these")
    bench = DriftBench(tuple(found(data)), change_types, size, segments, chosen)
    command = "terracast bench drift " + " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    command += f" --inject {inject} --size {size:g} --segments {segments}"
    command += f" --methods {methods}" if methods else ""
    command += f" --detector {detector}" if detector else ""
    backgrounds = bench.backgrounds()
    with progress("segments", segments * len(backgrounds)) as advance:
        return bench.answer(backgrounds, command, advance)


def _labelled(data: list[Path], labels: Path) -> dict[str, Any]:
    from terracast.benchmarks.drift.labelled import answer

    if not data:
        raise TerracastError("no data", where="bench drift --labels", expected="--data FOLDER of the labelled series",
                             remedy="name the folder beside the labels")
    named = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    command = f"terracast bench drift {named} --labels {shlex.quote(str(labels))}"
    if labels.name == "truth.json":
        from terracast.benchmarks.base.files import found
        from terracast.benchmarks.drift.known import answer as of_known

        return of_known(next(iter(found(data))), labels, command)
    return answer(data[0], labels, command)


def _replayed(nodes: int, seeds: int, detector: str | None) -> dict[str, Any]:
    from terracast.benchmarks.drift.replays import ReplayBench

    bench = ReplayBench(nodes=nodes, seeds=seeds, detectors=tuple((detector or "scan").split(",")))
    command = f"terracast bench drift --replays --nodes {nodes} --seeds {seeds}"
    command += f" --detector {detector}" if detector else ""
    with progress("replays", bench.count) as advance:
        return bench.answer(command, advance)


def _speed(nodes: int, steps: int) -> dict[str, Any]:
    from time import process_time

    from terracast.benchmarks.drift.detector_bank import BankBench

    bench = BankBench(nodes, steps)
    with progress("detectors", 2) as advance:
        rows = bench.rows(process_time, advance)
    return bench.answer(rows, f"terracast bench drift --nodes {nodes} --steps {steps}")
