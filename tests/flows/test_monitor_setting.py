"""The setting monitor.detector: refused where there is none of that name, in service from the first step on."""

from __future__ import annotations

from pathlib import Path

import pytest

from terracast.adapt.monitoring.detection.sequential import PageHinkleyDetector
from terracast.flows.init import write_settings
from terracast.flows.service.loop_state import load_loop
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.watch import watch_once

DETECTOR = '\n[monitor]\ndetector = "{}"\n'


def test_the_commented_file_names_the_default(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text("time,a\n" + "\n".join(f"2024-01-{day:02d},{day % 5}" for day in range(1, 29)))
    config = write_settings("air", table, tmp_path)
    assert 'detector = "scan"' in config.read_text() and read_settings(config).monitor.detector == "scan"


def test_an_unknown_detector_is_refused_with_those_there_are(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.config.write_text(small_city.config.read_text() + DETECTOR.format("cusum"))
    with pytest.raises(SettingsError, match=r"monitor\.detector: 'cusum' .* scan, adwin, page-hinkley, kswin"):
        read_settings(small_city.config)


def test_the_detector_that_is_set_stands_watch(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.config.write_text(small_city.config.read_text() + DETECTOR.format("page-hinkley"))
    small_city.deliver(0, 36)
    workspace = small_city.open()
    for day in (35, 36):
        watch_once(workspace, small_city.day(day))
    monitor = load_loop(workspace, workspace.store.read()).monitor
    assert isinstance(monitor.detector, PageHinkleyDetector) and monitor.calibration.detector == "page-hinkley"
    assert monitor.detector.threshold == monitor.calibration.threshold
