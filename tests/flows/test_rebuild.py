"""A version is made again from its lineage: its files and its forecasts are the same to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.rungs.serialization import load
from terracast.flows.adapt import carry_out_request
from terracast.flows.manual import story
from terracast.flows.rebuild import RebuildError, rebuild
from terracast.flows.service.loop_state import load_loop, save_loop
from terracast.flows.watch import watch_once

SEED_DAYS = 31
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


@pytest.mark.integration
def test_a_trained_version_is_made_again_to_the_bit(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.config.write_text(small_city.config.read_text().replace("[adapt]", '[adapt]\npolicy = "loop"'))
    small_city.begin(SEED_DAYS)
    workspace = small_city.open()
    with workspace.store.transaction("a test asks for training") as step:
        loop = load_loop(workspace, step)
        assert loop.last_tick is not None
        loop.adaptation_request = AdaptationRequest("e1-fine-tune", loop.last_tick, "a test", "e1")
        save_loop(step, loop)
    version = carry_out_request(workspace)
    assert version == "2"
    small_city.deliver(SEED_DAYS, SEED_DAYS + 2)  # the loop has gone on since, with more data and other flags
    watch_once(small_city.open(), small_city.day(SEED_DAYS + 2))
    (command,) = [one.partition(": ")[2] for one in story(small_city.config, version)["sentences"]
                  if one.startswith("Make it again")]
    assert command == "terracast rebuild e1-fine-tune"
    done = subprocess.run([*COMMAND, *command.split()[1:], "--json", "--out", "again"], cwd=small_city.folder,
                          capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"] == "2" and answer["identical"] and answer["parent"] == "1"
    again, held = load(small_city.folder / "again"), workspace.registry.load(version)
    view = workspace.store.read()
    watched = load_loop(workspace, view).watched
    moment = Moment(small_city.day(SEED_DAYS + 1), view.history())
    panel = watched.panel(moment, moment.now - watched.history)
    xr.testing.assert_identical(again.forecast(panel, watched.request.at(moment.now)),
                                held.forecast(panel, watched.request.at(moment.now)))
    with pytest.raises(RebuildError, match=r"no adaptation made it .*terracast retrain --now"):
        rebuild(small_city.config, "1")
    small_city.config.write_text(small_city.config.read_text().replace("steps = 20", "steps = 21", 1))
    with pytest.raises(RebuildError, match=r"its digest is .*set .adapt. as it was then"):
        rebuild(small_city.config, version)
    assert np.isfinite(again.forecast(panel, watched.request.at(moment.now))["no2"].values).all()
