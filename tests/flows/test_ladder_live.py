"""The ladder live: every rung is carried out, registered with its receipt and lineage, admitted, rolled back; a kill
between registering and admitting makes no second version; a rung that fails is dropped and service goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.admission import examine
from terracast.adapt.clock import Moment
from terracast.adapt.evaluation.oracle import ORACLE
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.version_history import VersionHistory
from terracast.adapt.rungs.correction import Corrected
from terracast.adapt.rungs.output_rls import RecursiveCorrection
from terracast.flows.adapt import Registered, carry_out_request
from terracast.flows.manual import promote_by_hand, rollback_by_hand
from terracast.flows.replay import run_replay
from terracast.flows.report import report_on
from terracast.flows.service.loop_state import load_loop, save_loop, saved_part
from terracast.flows.settings import SettingsError
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.registry.lineage import Lineage

SEED_DAYS = 31
BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"


def _wish(workspace: Workspace, rung: str, key: str | None = None) -> AdaptationRequest:
    """Write into the store what the ladder would have wished for."""
    with workspace.store.transaction(f"a test wishes {rung}") as step:
        loop = load_loop(workspace, step)
        assert loop.last_tick is not None
        loop.deployment.trial = None
        since = loop.last_tick - np.timedelta64(8, "D")
        loop.adaptation_request = AdaptationRequest(key or f"e-{rung}", loop.last_tick, "a test", "e", rung, since)
        save_loop(step, loop)
        return loop.adaptation_request


@pytest.fixture
def on_the_ladder(small_city):  # type: ignore[no-untyped-def]
    return _begun(small_city)


def _begun(city):  # type: ignore[no-untyped-def]
    settings = city.config.read_text().replace("[adapt]", '[adapt]\npolicy = "ladder"')
    city.config.write_text(settings)
    city.begin(SEED_DAYS)
    return city


def test_every_rung_is_carried_out_live(on_the_ladder) -> None:  # type: ignore[no-untyped-def]
    workspace = on_the_ladder.open()
    rungs = ["fine-tune", *workspace.maker().rungs]
    made = {}
    for rung in rungs:
        act = _wish(workspace, rung)
        version = carry_out_request(workspace)
        loop = load_loop(workspace, workspace.store.read())
        climb = loop.attempt_log.attempts[-1]
        assert loop.adaptation_request is None and (climb.rung, climb.version) == (rung, version)
        if version is None:
            assert climb.outcome == "dropped" and climb.told and loop.challenger is None
            continue
        made[rung] = version
        assert climb.outcome == "trial" and loop.challenger is not None and loop.challenger.version == version
        assert workspace.registry.alias("challenger") == version
        lineage = workspace.registry.version(version).lineage
        assert (lineage.key, lineage.policy_rung) == (act.key, rung)
        assert lineage.parent == "1" or (rung == "remembered" and lineage.parent in made.values())
        receipt = json.loads(workspace.registry.read_text(version, "receipt.json"))
        assert receipt["rung"] == rung and receipt["kept"] and receipt["seconds"] > 0
        assert carry_out_request(workspace) is None  # nothing is left to do
    assert "fine-tune" in made and len(made) >= 3, made
    dropped = {climb.rung: climb.told for climb in loop.attempt_log.attempts if climb.outcome == "dropped"}
    assert "adapter" in made or "held-back issues" in dropped["adapter"]
    past = VersionHistory.restore(saved_part(workspace.store.read(), "past"))
    assert past.regimes.base == "1" and [one.version for one in past.regimes.held] == [
        version for rung, version in made.items() if rung != "remembered"]
    _a_wrapped_version_serves_is_told_of_and_rolled_back(on_the_ladder)


def _a_wrapped_version_serves_is_told_of_and_rolled_back(city) -> None:  # type: ignore[no-untyped-def]
    workspace = city.open()
    loop = load_loop(workspace, workspace.store.read())
    moment = Moment(city.day(SEED_DAYS), workspace.store.read().history())
    correction = RecursiveCorrection(12, 3, np.timedelta64(1, "h"))
    correction.weights += 0.05
    version = workspace.registry.add(
        Corrected(loop.champion.model, correction), Lineage("wrapped", "S", parent="1", policy_rung="output-recursive"),
        panel=loop.watched.panel(moment, moment.now - loop.watched.history), request=workspace.request.at(moment.now))
    promote_by_hand(city.config, version, "a test")
    city.deliver(SEED_DAYS, SEED_DAYS + 2)
    step = watch_once(workspace, city.day(SEED_DAYS + 1))
    assert step.champion == version and step.ticks == 4
    _wish(workspace, "continue", "again")  # acts beneath the correction: nothing piles up, nothing fails
    made = carry_out_request(workspace)
    told = load_loop(workspace, workspace.store.read()).attempt_log.attempts[-1].told
    assert made is not None or "cannot be trained" not in told
    page = report_on(workspace, city.day(SEED_DAYS + 1), city.folder / "report.html")
    assert page.stat().st_size > 10_000
    rollback_by_hand(city.config, "a test")
    assert watch_once(workspace, city.day(SEED_DAYS + 2)).champion == "1"


@pytest.mark.parametrize("kills", [0, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_while_a_rung_acts_there_is_one_version(  # type: ignore[no-untyped-def]
        build_city: Callable, same_trees: Callable, kills: int) -> None:
    undisturbed, killed = (_begun(build_city(name)) for name in ("undisturbed", "killed"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from terracast.flows.command import main; main()", "adapt"]
    draw = random.Random(3)
    for number in range(kills + 1):
        for city in (undisturbed, killed):
            act = _wish(city.open(), "fine-tune", f"e{number}-fine-tune")
        workspace = killed.open()
        if number == 0:  # what a run did that died after registering, before its transaction
            view = workspace.store.read()
            loop, maker = load_loop(workspace, view), workspace.maker(load=workspace.registry.load)
            moment = Moment(act.asked, view.history())
            made = examine(act, loop, moment, maker,
                           Registered(workspace, view, loop, maker, moment, np.datetime64("1970-01-01", "ns")))
            assert made.version == "2" and made.admitted
        else:
            process = subprocess.Popen(command, cwd=killed.folder, env=environment, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(2.0, 10.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert carry_out_request(undisturbed.open()) == str(number + 2)
        assert carry_out_request(workspace) in (str(number + 2), None)  # None: it had done all before the kill
    keys = [[one.lineage.key for one in city.open().registry.versions()] for city in (undisturbed, killed)]
    assert keys[0] == keys[1] and keys[0][1:] == [f"e{number}-fine-tune" for number in range(kills + 1)]
    views = [city.open().store.read() for city in (undisturbed, killed)]
    for part in ("loop", "past", "outbox"):
        same_trees(*(view.state(part) for view in views))
    assert undisturbed.open().registry.aliases() == killed.open().registry.aliases()


def test_replay_with_the_ladder_and_the_oracle(small_city) -> None:  # type: ignore[no-untyped-def]
    @contextmanager
    def bar(words: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: None

    small_city.deliver(0, 42)
    stop = np.datetime_as_string(small_city.day(38), "s")
    answer = run_replay(small_city.config, ["frozen", "ladder", "oracle"], None, stop, bar)
    rows = {row["policy"]: row for row in answer["rows"]}
    assert rows[ORACLE]["attainable"] is False and "not attainable" in ORACLE
    assert rows[ORACLE]["crps"] <= rows["ladder"]["crps"] + 1e-9
    with pytest.raises(SettingsError, match=r"no policy 'fortune'.*ladder, oracle"):
        run_replay(small_city.config, ["fortune"], None, stop, bar)


BEIJING_SETTINGS = """\
[stream]
name = "beijing"
domain = "air"
target = "NO2"
horizon = "12h"
cadence = "6h"
history = "5d"
label_timeout = "12h"
false_alarms_per_month = 4.0

[base]
first_fit = "60d"
steps = 150

[adapt]
policy = "ladder"
rungs = ["output-recursive", "continue", "retrain"]
cooldown = "7d"
window = "42d"
steps = 50

[discovery]
max_lag = 2
trial_steps = 20

[[sources]]
domain = "air"
path = "no2.nc"
delay = "1h"
"""


@pytest.mark.skipif(not BEIJING.exists(), reason="needs ../shared/data/beijing_air_quality")
def test_on_beijing_with_a_planted_change_the_ladder_acts_by_itself(tmp_path: Path) -> None:
    """NO2 at three stations, spring 2013; from 10 May on all readings of working hours are 80 ug/m3 too high."""
    with xr.open_dataset(BEIJING) as opened:
        panel = opened[["NO2"]].isel(time=slice(0, 24 * 135), node=slice(0, 3)).load()
    hours = panel["time"].dt.hour.values
    panel["NO2"].values[(np.arange(len(hours)) >= 24 * 70) & (hours >= 9) & (hours < 17)] += 80.0
    panel.to_netcdf(tmp_path / "no2.nc")
    config, start = tmp_path / "terracast.toml", panel["time"].values[0]
    config.write_text(BEIJING_SETTINGS)
    watch_once(Workspace.open(config), start + np.timedelta64(61, "D"))
    workspace = Workspace.open(config)
    step = watch_once(workspace, start + np.timedelta64(135, "D"))
    loop = load_loop(workspace, workspace.store.read())
    attempts = loop.attempt_log.attempts
    assert step.alarms and attempts and set(step.receipts) == {climb.sentence for climb in attempts}
    versions = {version.number: version for version in workspace.registry.versions()}
    made = [climb for climb in attempts if climb.version is not None]
    assert made and len(versions) == len(made) + 1
    for climb in made:
        assert versions[climb.version].lineage.episode_id == climb.episode
        assert versions[climb.version].lineage.policy_rung == climb.rung
    accepted = [climb for climb in attempts if climb.outcome == "accepted"]
    if accepted:  # what serves was let in by the gate, is better, and its gain in service is told
        assert loop.champion.version == accepted[-1].version == workspace.registry.champion()
        assert "accept" in str(workspace.registry.why(accepted[-1].version or ""))
    forecasts = workspace.store.read().ledger("forecasts/air")
    assert forecasts is not None and np.isfinite(forecasts["NO2"].values).all()
    assert forecasts.sizes["issue_time"] == len(np.unique(forecasts["issue_time"].values)) == step.ticks + 1
