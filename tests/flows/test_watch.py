"""Watch: the loop live on files that arrive day by day."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from terracast.flows.command import app
from terracast.flows.report import report_on
from terracast.flows.watch import watch_once
from terracast.stfm.base.model import Base

SEED_DAYS = 31


def test_it_waits_until_enough_is_known_then_begins(small_city) -> None:  # type: ignore[no-untyped-def]
    workspace = small_city.open()
    step = watch_once(workspace, small_city.day(1))
    assert step.waiting is not None and "nothing of domain air" in step.waiting
    small_city.deliver(0, 10)
    assert "10 of 30 days" in str(watch_once(workspace, small_city.day(10)).waiting)


@pytest.fixture
def in_service(small_city):  # type: ignore[no-untyped-def]
    small_city.begin(SEED_DAYS)
    return small_city


def test_each_step_adds_what_is_new_once(in_service) -> None:  # type: ignore[no-untyped-def]
    workspace = in_service.open()
    in_service.deliver(SEED_DAYS, SEED_DAYS + 2)
    now = in_service.day(SEED_DAYS + 2)
    step = watch_once(workspace, now)
    again = watch_once(workspace, now)
    assert step.ticks == 8 and again.ticks == 0
    assert all(file.new > 0 and file.refused is None for file in step.files) and again.files == ()
    view = workspace.store.read()
    forecasts, scores = view.ledger("forecasts/air"), view.ledger("scores/air")
    assert forecasts is not None and scores is not None
    issued = forecasts["issue_time"].values
    assert len(np.unique(issued)) == len(issued) == 9
    assert (np.diff(issued) == np.timedelta64(6, "h")).all()
    assert (forecasts["valid_time"] == forecasts["issue_time"] + forecasts["lead"]).all()
    assert len(np.unique(scores["issue_time"].values)) == scores.sizes["issue_time"] > 0
    assert np.isfinite(forecasts["no2"].values).all()


def test_the_pretrained_base_serves_where_the_settings_say_so(small_city) -> None:  # type: ignore[no-untyped-def]
    config = small_city.config
    config.write_text(config.read_text().replace("[base]", '[base]\nmodel = "shipped"'), encoding="utf-8")
    small_city.deliver(0, SEED_DAYS + 1)
    watch_once(small_city.open(), small_city.day(SEED_DAYS))
    step = watch_once(small_city.open(), small_city.day(SEED_DAYS + 1))
    forecasts = small_city.open().store.read().ledger("forecasts/air")
    champion = small_city.open().registry.load("champion")
    assert step.ticks == 4 and step.champion == "1"
    assert forecasts is not None and np.isfinite(forecasts["no2"].values).all()
    assert isinstance(champion, Base)


@pytest.mark.parametrize("policy", [pytest.param("loop", marks=pytest.mark.slow), "mixture"])
def test_poison_known_after_now_changes_nothing_up_to_now(  # type: ignore[no-untyped-def]
        build_city: Callable, same_trees: Callable, policy: str) -> None:
    """Promise 1: garbage in every value known later leaves forecasts, scores and state bit-identical."""
    clean, dirty = build_city("clean"), build_city("dirty")
    for city, poison in ((clean, False), (dirty, True)):
        _serve_by(city.config, policy)
        city.deliver(0, SEED_DAYS + 2)
        if poison:
            _poison(city.folder, city.day(SEED_DAYS + 1))
        watch_once(city.open(), city.day(SEED_DAYS))
        watch_once(city.open(), city.day(SEED_DAYS + 1))
    one, two = (city.open().store.read() for city in (clean, dirty))
    for name in ("forecasts/air", "scores/air"):
        xr.testing.assert_identical(one.ledger(name), two.ledger(name))
    same_trees(one.state("loop"), two.state("loop"))
    # and the poison is really in the store, waiting to be known
    late = two.as_known_at("air", dirty.day(SEED_DAYS + 3))["no2"]
    assert (late == 6666.0).any()


def test_a_mixture_reads_its_company_alike_step_by_step_and_at_once(  # type: ignore[no-untyped-def]
        build_city: Callable, same_trees: Callable) -> None:
    steps, once = build_city("steps"), build_city("once")
    for city in (steps, once):
        _serve_by(city.config, "mixture")
        city.begin(SEED_DAYS)
        city.deliver(SEED_DAYS, SEED_DAYS + 1)
    for hours in (6, 12, 18, 24):
        watch_once(steps.open(), steps.day(SEED_DAYS) + np.timedelta64(hours, "h"))
    watch_once(once.open(), once.day(SEED_DAYS + 1))
    one, two = (city.open().store.read() for city in (steps, once))
    xr.testing.assert_identical(one.ledger("forecasts/air"), two.ledger("forecasts/air"))
    same_trees(one.state("loop"), two.state("loop"))
    loop = one.state("loop")
    assert loop["watched"]["beside"]["air"] and _covariates(loop) is not None


def test_a_mixture_reads_the_target_alone_where_the_settings_say_so(small_city) -> None:  # type: ignore[no-untyped-def]
    _serve_by(small_city.config, "mixture", "covariates = false")
    small_city.begin(SEED_DAYS)
    loop = small_city.open().store.read().state("loop")
    assert loop["watched"]["beside"] == {} and _covariates(loop) is None


def _covariates(loop: Any) -> Any:
    return loop["deployment"]["stream"]["experts"]["@state"]["checkpoint"]["covariates"]


def _serve_by(config: Path, policy: str, *more: str) -> None:
    lines = ["[adapt]", f'policy = "{policy}"', *more]
    config.write_text(config.read_text().replace("[adapt]", "\n".join(lines)))


def _poison(folder: Path, now: np.datetime64) -> None:
    for path in sorted((folder / "incoming").rglob("*.nc")):
        with xr.open_dataset(path) as opened:
            panel = opened.load()
        later = panel["known_time"].values > now
        for name in panel.data_vars:
            panel[name].values[later & np.isfinite(panel[name].values)] = 6666.0
        path.unlink()
        panel.to_netcdf(path)


def test_an_alarm_states_its_windows_and_snapshots(  # type: ignore[no-untyped-def]
        in_service, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the answer of the command and on the page: what was compared with what, on which data."""
    frozen_on = in_service.open().store.read().state("reference")["snapshot"]
    in_service.deliver(SEED_DAYS, SEED_DAYS + 4)
    _shift(in_service.folder / "incoming" / "air" / f"days-{SEED_DAYS:03d}-{SEED_DAYS + 4:03d}.nc")
    monkeypatch.chdir(in_service.folder)
    now = np.datetime_as_string(in_service.day(SEED_DAYS + 4), "s")
    told = CliRunner().invoke(app, ["watch", "--once", "--json", "--now", now])
    assert told.exit_code == 3
    answer = json.loads(told.stdout)
    (episode,) = [name for name in answer["alarms"] if "health" not in name]
    rests_on = answer["evidence"][episode]
    assert rests_on["snapshots"] == {"reference": frozen_on, "current": answer["snapshot"]}
    assert frozen_on != answer["snapshot"] and rests_on["watched"] == ["error", "input", "calibration", "level"]
    for said in rests_on["kinds"].values():
        windows = said["windows"]
        frozen, (first, last) = np.datetime64(windows["reference"][1]), map(np.datetime64, windows["current"])
        assert frozen < last and windows["before"][1] == windows["current"][0]
        assert windows["overlap"] == pytest.approx(max((frozen - first) / (last - first), 0.0), abs=1e-6)
        assert said["words"].lower() in answer["alarms"][episode].lower()
    assert answer["standing"]["input"].startswith("the context is ")
    alarm = answer["alarms"][episode]
    assert "inputs look normal" in alarm or "inputs are unusual" in alarm
    report_on(in_service.open(), in_service.day(SEED_DAYS + 4), in_service.folder / "report.html")
    page = (in_service.folder / "report.html").read_text(encoding="utf-8")
    assert f"The reference was frozen on data snapshot {frozen_on} and is compared on {answer['snapshot']}." in page
    assert "0 % of it in the reference" in page and f"Lately {answer['standing']['input']}" in page


def _shift(path: Path) -> None:
    """All stations report three times as much."""
    with xr.open_dataset(path) as opened:
        panel = opened.load()
    panel["no2"].values[:] = 3 * panel["no2"].values + 20
    path.unlink()
    panel.to_netcdf(path)
