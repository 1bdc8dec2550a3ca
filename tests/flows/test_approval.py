"""A person agrees before a version serves: what waits, how it is answered, what is written down, and what expires."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.trial import Trial
from terracast.flows.manual import answer_by_hand, history_rows, promote_by_hand, story
from terracast.flows.report import report_on
from terracast.flows.running.prefect_api import APPROVAL
from terracast.flows.service.approvals import ApprovalError
from terracast.flows.service.loop_state import load_loop, save_loop
from terracast.flows.service.serving_history import entries
from terracast.flows.status import status
from terracast.flows.watch import WatchStep, watch_once
from terracast.flows.workspace import Workspace
from terracast.registry.lineage import Lineage

SEED_DAYS = 31
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


def set_adapt(city, **adapt: str) -> None:  # type: ignore[no-untyped-def]
    """Put settings into the section [adapt], in place of those of the same name."""
    lines = [line for line in city.config.read_text().splitlines()
             if line.partition("=")[0].strip() not in adapt]
    at = lines.index("[adapt]") + 1
    lines[at:at] = [f'{name} = "{value}"' for name, value in adapt.items()]
    city.config.write_text("\n".join(lines) + "\n")


def run(city, *verb: str, code: int = 0) -> str:  # type: ignore[no-untyped-def]
    """Type a verb; what it prints, or of an error its line."""
    done = subprocess.run([*COMMAND, *verb], cwd=city.folder, capture_output=True, text=True,
                          env={**os.environ, "USER": "operator", "OMP_NUM_THREADS": "1"})
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code == 1 else done.stdout


def history(city) -> list[dict[str, Any]]:  # type: ignore[no-untyped-def]
    return history_rows(city.config)


def answer(city, name: str, *, approved: bool = True, note: str = "") -> None:  # type: ignore[no-untyped-def]
    """As the verb does, in this process."""
    answer_by_hand(city.config, name, approved=approved, note=note, by="operator")


def put_on_trial(workspace: Workspace, key: str) -> str:
    """A copy of the champion on trial, with paired losses by which the gate accepts it at the next step."""
    with workspace.store.transaction("a test puts a challenger on trial") as step:
        loop = load_loop(workspace, step)
        assert loop.last_tick is not None
        act = AdaptationRequest(key, loop.last_tick, "a test", None, "fine-tune")
        version = workspace.registry.add(loop.champion.model, Lineage(key, "S", parent=loop.champion.version))
        losses = [(np.full(3, 1.0 + 0.1 * (at % 3)), np.full(3, 0.5 + 0.1 * (at % 3))) for at in range(400)]
        trial = Trial(loop.champion.successor(version, loop.champion.model), act, workspace.policy.gate, losses)
        loop.deployment.trial = trial
        save_loop(step, loop)
    return version


class Days:
    """Six hours a step; days of data are delivered as they are needed."""

    def __init__(self, city) -> None:  # type: ignore[no-untyped-def]
        self.city, self.now, self.delivered = city, city.day(SEED_DAYS), SEED_DAYS
        city.deliver(0, SEED_DAYS)

    def step(self, hours: int = 6) -> WatchStep:
        """The next step."""
        self.now = self.now + np.timedelta64(hours, "h")
        while self.city.day(self.delivered) < self.now:
            self.city.deliver(self.delivered, self.delivered + 1)
            self.delivered += 1
        return watch_once(self.city.open(), self.now)


@pytest.mark.integration
def test_a_promotion_waits_for_a_person(small_city) -> None:  # type: ignore[no-untyped-def]
    set_adapt(small_city, policy="loop", approval="promotion")
    small_city.config.write_text(small_city.config.read_text() + '\n[alerts]\nsystem = ["json://127.0.0.1:9/x"]\n')
    days = Days(small_city)
    watch_once(small_city.open(), days.now)
    (began,) = history(small_city)
    assert (began["action"], began["version"], began["by"], began["serves"]) == ("began", "1", "loop", "1")
    assert began["time"] == f"{np.datetime_as_string(days.now, 's')}Z"
    with pytest.raises(ApprovalError, match=r"'1' does not wait for approval .* expected nothing: nothing waits"):
        answer(small_city, "1")

    version = put_on_trial(small_city.open(), "e1")
    told = days.step()
    assert told.champion == "1" and told.decisions == () and [one["name"] for one in told.approvals] == [version]
    found = status(small_city.config, str(days.now))
    assert found.to_json()["approvals"] == list(told.approvals)
    assert any(f"terracast approve {version}" in line for line in found.lines)
    letters = small_city.open().store.read().state("events")["letters"]  # type: ignore[index]
    assert [one["payload"]["version"] for one in letters if one["event"] == APPROVAL] == [version]
    (alert,) = small_city.open().store.read().state("alerts")["letters"]  # type: ignore[index]
    assert f"{version} waits for approval" in alert["title"] and f"terracast approve {version}" in alert["text"]
    page = report_on(small_city.open(), days.now, small_city.folder / "report.html").read_text()
    assert f"terracast approve {version}" in page
    again = days.step()
    assert again.champion == "1" and again.approvals == told.approvals, "asked once, it goes on waiting"

    wrong = run(small_city, "approve", "7", code=1)
    assert len(wrong.strip().splitlines()) == 1 and f"expected {version}" in wrong and "terracast status" in wrong
    said = run(small_city, "approve", version, "--by", "ann", "--note", "looked at the harbour", "--now",
               str(days.now))
    assert "approved by ann" in said and "next step" in said
    with pytest.raises(ApprovalError, match="was approved by ann: looked at the harbour already"):
        answer(small_city, version)
    assert small_city.open().registry.champion() == "1", "the next step carries it out"
    served = days.step()
    registry = small_city.open().registry
    assert served.champion == version == registry.champion() and served.approvals == ()
    lines = json.loads(run(small_city, "history", "--json"))["history"]
    assert lines == history(small_city) and {"time", "version", "action", "by", "reason"} <= lines[0].keys()
    assert [(one["action"], one["version"], one["by"]) for one in lines] == [
        ("began", "1", "loop"), ("approved", version, "ann"), ("promoted", version, "loop")]
    assert lines[1]["reason"] == "looked at the harbour" and "approved by ann" in lines[2]["reason"]
    assert lines[2]["p_value"] < 0.05 and lines[2]["mean_gain"] > 0.3 and lines[2]["pairs"] > 10
    decision = json.loads(registry.read_text(version, "decision.json"))
    assert (decision["answered_by"], decision["answer_note"]) == ("ann", "looked at the harbour")
    assert registry.tags(version)["approved_by"] == "ann"
    assert any("It was approved by ann" in one for one in story(small_city.config, version)["sentences"])
    kept = json.loads(registry.read_text(version, "history.json"))["history"]
    assert [one["action"] for one in kept] == ["approved", "promoted"]
    _declined_and_expired(small_city, days, version)


def _declined_and_expired(city, days: Days, champion: str) -> None:  # type: ignore[no-untyped-def]
    version = put_on_trial(city.open(), "e2")
    days.step()
    assert f"version {version} declined by operator" in run(city, "decline", version)  # the user of the shell
    after = days.step()
    assert after.champion == champion and after.approvals == () and "declined by operator" in after.decisions[0]
    registry = city.open().registry
    assert registry.alias("challenger") is None and registry.tags(version)["declined_by"] == "operator"
    assert [one["action"] for one in history(city) if one["version"] == version] == ["declined"]

    set_adapt(city, approval_timeout="12h")
    late = put_on_trial(city.open(), "e3")
    assert days.step().approvals and days.step().approvals
    after = days.step()
    assert after.champion == champion and after.approvals == () and "nobody approved it within" in after.decisions[0]
    (line,) = [one for one in history(city) if one["version"] == late]
    assert (line["action"], line["by"], line["serves"]) == ("expired", "loop", champion)

    by_hand = put_on_trial(city.open(), "e4")  # whom a person promotes waits for nobody
    assert days.step().approvals
    promote_by_hand(city.config, by_hand, "it is needed now", "ann")
    after = days.step()
    assert after.champion == by_hand and after.approvals == ()
    lines = [(one["action"], one["by"]) for one in history(city) if one["version"] == by_hand]
    assert lines == [("promoted", "ann"), ("expired", "loop")]

    set_adapt(city, approval="none")
    free = put_on_trial(city.open(), "e5")
    assert days.step().champion == free
    assert [one["action"] for one in history(city) if one["version"] == free] == ["promoted"]
    table = run(city, "history").splitlines()
    assert max(map(len, table)) <= 80 and table[0].split()[:2] == ["time", "(UTC)"]
    page = report_on(city.open(), days.now, city.folder / "report.html").read_text()
    assert f"promotion to version {free}" in page


@pytest.mark.integration
def test_everything_waits_also_the_training_of_a_policy_without_a_gate(  # type: ignore[no-untyped-def]
        small_city) -> None:
    set_adapt(small_city, policy="weekly", approval="everything")
    days = Days(small_city)
    watch_once(small_city.open(), days.now)
    told = days.step(7 * 24)
    (request,) = told.approvals
    assert request["version"] is None and request["asks"] == "adaptation" and request["key"] == request["name"]
    assert len(small_city.open().registry.versions()) == 1, "nothing was trained"
    assert days.step().approvals == told.approvals
    answer(small_city, request["name"], note="go on")
    trained = days.step()
    assert trained.champion == "1" and [one["version"] for one in trained.approvals] == ["2"]
    registry = small_city.open().registry
    assert registry.alias("challenger") == "2"
    kept = json.loads(registry.read_text("2", "history.json"))["history"]
    assert [(one["action"], one["by"]) for one in kept] == [("approved", "operator"), ("challenged", "loop")]
    answer(small_city, "2")
    assert days.step().champion == "2"
    loop = load_loop(small_city.open(), small_city.open().store.read())
    assert loop.deployment.probation is None and loop.challenger is None, "a policy without a gate compares nothing"
    assert [one.action for one in entries(small_city.open().store.read())] == [
        "began", "approved", "challenged", "approved", "promoted"]

    asked = days.step(7 * 24).approvals
    assert asked and asked[0]["asks"] == "adaptation"
    answer(small_city, asked[0]["name"], approved=False, note="not before the audit")
    after = days.step()
    assert after.approvals == () and after.champion == "2"
    assert any("not before the audit" in one for one in after.receipts)
    assert len(registry.versions()) == 2


def test_a_mode_that_is_none_is_refused_in_one_line(small_city) -> None:  # type: ignore[no-untyped-def]
    set_adapt(small_city, approval="sometimes")
    said = run(small_city, "status", code=1)
    assert len(said.strip().splitlines()) == 1 and "adapt.approval" in said and "everything" in said


def test_before_service_there_is_no_history(small_city) -> None:  # type: ignore[no-untyped-def]
    assert json.loads(run(small_city, "history", "--json")) == {"history": []}
    assert "nothing has served yet" in run(small_city, "history")
    assert "nothing waits" in run(small_city, "decline", "1", code=1)
