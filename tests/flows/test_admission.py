"""One wish, carried out by a live service and in memory as a replay does: the same verdict, for the same reason."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.adapt.admission import InMemory, examine, settle
from terracast.adapt.clock import Moment
from terracast.adapt.loop import Loop
from terracast.adapt.promotion.executor import Executor
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.retention import RetentionTest, Stretch
from terracast.adapt.promotion.version_history import VersionHistory
from terracast.flows.adapt import carry_out_request
from terracast.flows.service.loop_state import load_loop, save_loop, save_part
from terracast.flows.workspace import Workspace

SEED_DAYS = 31


@pytest.fixture
def in_service(small_city):  # type: ignore[no-untyped-def]
    small_city.config.write_text(small_city.config.read_text().replace("[adapt]", '[adapt]\npolicy = "ladder"'))
    small_city.begin(SEED_DAYS)
    return small_city


def _wish(workspace: Workspace, rung: str, key: str, margin: float) -> tuple[AdaptationRequest, dict[str, object]]:
    """Write a wish into the store, and a memory of earlier times that a newcomer must match within ``margin``."""
    with workspace.store.transaction("a test wishes") as step:
        loop = load_loop(workspace, step)
        assert loop.last_tick is not None
        stretches = [Stretch(f"days {first} on", tuple(loop.last_tick - np.timedelta64(first * 24 - 8 * issue, "h")
                                                       for issue in range(12))) for first in (20, 10)]
        past = VersionHistory(earlier=RetentionTest(margin=margin, held=stretches))
        loop.adaptation_request = AdaptationRequest(key, loop.last_tick, "a test", "e", rung,
                                                    loop.last_tick - np.timedelta64(8, "D"))
        save_part(step, "past", past)
        save_loop(step, loop)
        return loop.adaptation_request, past.state()


def _in_memory(workspace: Workspace, act: AdaptationRequest, past: dict[str, object]) -> Loop:
    """What a replay makes of the wish."""
    view = workspace.store.read()
    loop = load_loop(workspace, view)
    whole: Executor = workspace.maker(VersionHistory.restore(past))
    settle(examine(act, loop, Moment(act.asked, view.history()), whole, InMemory(whole.versions)), loop)
    return loop


def test_live_service_and_replay_come_to_the_same_verdict(in_service) -> None:  # type: ignore[no-untyped-def]
    workspace = in_service.open()
    outcomes = []
    for number, (rung, margin) in enumerate([("remembered", 0.5), ("fine-tune", -0.9), ("fine-tune", 9.0)]):
        act, past = _wish(workspace, rung, f"e{number}-{rung}", margin)
        replayed = _in_memory(workspace, act, past)
        version = carry_out_request(workspace)
        live = load_loop(workspace, workspace.store.read())
        mine, theirs = live.attempt_log.attempts[-1], replayed.attempt_log.attempts[-1]
        assert (mine.outcome, mine.told, str(mine.before)) == (theirs.outcome, theirs.told, str(theirs.before))
        assert (version is None) == (theirs.version is None) and live.adaptation_request is None
        assert replayed.adaptation_request is None
        assert (live.challenger is None) == (replayed.challenger is None)
        outcomes.append((mine.outcome, mine.told))
    assert [outcome for outcome, _ in outcomes] == ["dropped", "rejected", "trial"]
    assert "forgot days" in outcomes[1][1] or "not shown to be within" in outcomes[1][1]
