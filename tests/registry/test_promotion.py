"""Aliases move as documented, whoever dies between two moves; a rollback goes further back or refuses."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from terracast.registry.lineage import Lineage
from terracast.registry.promotion import nominate, promote, rollback, withdraw
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.seasonal_naive import SeasonalNaive


class Dead(BaseException):
    """The process died."""


class Mortal(Registry):
    """A registry whose process dies before its n-th write (a fault, injected; all else is real)."""

    writes_left = 10**6

    def _spend(self) -> None:
        if self.writes_left == 0:
            raise Dead
        self.writes_left -= 1

    def point(self, alias: str, version: str | None) -> None:
        self._spend()
        super().point(alias, version)

    def tag(self, version: str, **tags: str) -> None:
        for key, value in tags.items():  # each tag is a write of its own
            self._spend()
            super().tag(version, **{key: value})

    def log_text(self, version: str, name: str, text: str) -> None:
        self._spend()
        super().log_text(version, name, text)


@pytest.fixture
def mortal(opened: Callable[..., Registry]) -> Mortal:
    held = opened(Mortal)
    assert isinstance(held, Mortal)
    for number in range(4):
        held.add(SeasonalNaive(), Lineage(f"E{number}/x", "SNAP"))
    return held


def put(held: Registry, **aliases: str) -> None:
    """Bring the aliases and promotion tags to a chosen state."""
    for alias in ("champion", "challenger", "previous"):
        held.point(alias, aliases.get(alias))
    for one in held.versions():
        held.tag(one.number, promoted_from="", rolled_back_to="", rollback_reason="")


def test_promotion_names_champion_previous_and_frees_the_challenger(mortal: Mortal) -> None:
    promote(mortal, "1", decision={"verdict": "first"}, expected_champion=None)
    assert mortal.aliases() == {"champion": "1"}
    assert nominate(mortal, "2") == "2"
    assert mortal.aliases() == {"champion": "1", "challenger": "2"}
    assert promote(mortal, "challenger", decision={"verdict": "accept"}, expected_champion="1") == "2"
    assert mortal.aliases() == {"champion": "2", "previous": "1"}
    nominate(mortal, "3")
    promote(mortal, "2", decision={"verdict": "again"})
    assert mortal.aliases() == {"champion": "2", "previous": "1", "challenger": "3"}
    assert mortal.why("2").decision == {"verdict": "accept"}
    mortal.log_text("3", "decision.json", '{"verdict": "reject"}')  # kept for a version never promoted, too
    assert "verdict reject" in str(mortal.why("3"))
    withdraw(mortal, "2")
    assert mortal.alias("challenger") == "3"
    withdraw(mortal, "3")
    withdraw(mortal, "3")
    assert mortal.alias("challenger") is None
    with pytest.raises(RegistryError, match="champion already"):
        nominate(mortal, "2")


def test_a_decision_against_another_champion_is_refused(mortal: Mortal) -> None:
    promote(mortal, "1", decision={})
    promote(mortal, "2", decision={}, expected_champion="1")
    with pytest.raises(RegistryError, match="version 2 is champion") as told:
        promote(mortal, "3", decision={}, expected_champion="1")
    assert "\n" not in str(told.value)
    with pytest.raises(RegistryError, match="expected no champion yet"):
        promote(mortal, "3", decision={}, expected_champion=None)
    assert promote(mortal, "2", decision={}, expected_champion="1") == "2"  # the same promotion, repeated
    assert mortal.aliases() == {"champion": "2", "previous": "1"}


def test_of_two_promotions_against_the_same_champion_one_wins(opened: Callable[..., Registry],
                                                              mortal: Mortal) -> None:
    promote(mortal, "1", decision={})
    answers: list[str] = []

    def attempt(version: str) -> None:
        try:
            answers.append(promote(opened(), version, decision={}, expected_champion="1"))
        except RegistryError:
            answers.append("refused")

    workers = [threading.Thread(target=attempt, args=(version,)) for version in "23"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert "refused" in answers
    assert mortal.champion() in answers
    assert mortal.alias("previous") == "1"


def test_a_promotion_killed_at_any_write_is_completed_by_a_retry(mortal: Mortal) -> None:
    put(mortal, champion="2", previous="1", challenger="3")
    mortal.tag("2", promoted_from="1")
    died = 0
    for writes in range(20):
        put(mortal, champion="2", previous="1", challenger="3")
        mortal.tag("2", promoted_from="1")
        mortal.writes_left = writes
        try:
            promote(mortal, "3", decision={"verdict": "accept"}, expected_champion="2")
            finished = True
        except Dead:
            finished, died = False, died + 1
        mortal.writes_left = 10**6
        if finished:
            break
        assert mortal.champion() in ("2", "3")  # there is a champion at every instant
        promote(mortal, "3", decision={"verdict": "accept"}, expected_champion="2")
        assert mortal.aliases() == {"champion": "3", "previous": "2"}
    assert died == 7
    assert rollback(mortal, reason="worse") == "2"
    assert rollback(mortal, reason="worse still") == "1"


def test_a_promotion_killed_and_given_up_can_still_be_rolled_back_from(mortal: Mortal) -> None:
    for writes in (0, 2, 4, 5):
        put(mortal)
        promote(mortal, "1", decision={})
        promote(mortal, "2", decision={}, expected_champion="1")
        mortal.writes_left = writes
        with pytest.raises(Dead):
            promote(mortal, "3", decision={}, expected_champion="2")
        mortal.writes_left = 10**6
        champion = mortal.champion()
        assert rollback(mortal, reason="bad") == {"2": "1", "3": "2"}[str(champion)]


def test_rollback_walks_back_and_never_swings(mortal: Mortal) -> None:
    with pytest.raises(RegistryError, match="no version is champion"):
        rollback(mortal, reason="bad")
    for version in "123":
        promote(mortal, version, decision={})
    assert rollback(mortal, reason="bad on the coast") == "2"
    assert mortal.aliases() == {"champion": "2", "previous": "1"}
    assert "rolled back to version 2: bad on the coast" in str(mortal.why("3"))
    with pytest.raises(RegistryError, match="was rolled back: bad on the coast"):
        promote(mortal, "3", decision={})
    assert rollback(mortal, reason="bad too") == "1"
    assert mortal.aliases() == {"champion": "1"}
    with pytest.raises(RegistryError, match="nothing before version 1"):
        rollback(mortal, reason="again")
    promote(mortal, "3", decision={"verdict": "by hand"}, despite_rollback=True)
    assert mortal.aliases() == {"champion": "3", "previous": "1"}
    assert rollback(mortal, reason="bad") == "1"
    with pytest.raises(RegistryError, match="nothing before"):
        rollback(mortal, reason="again")


def test_a_rollback_killed_at_any_write_is_done_once_by_retries(mortal: Mortal) -> None:
    died = 0
    for writes in range(20):
        put(mortal)
        for version in "123":
            promote(mortal, version, decision={})
        mortal.writes_left = writes
        try:
            rollback(mortal, reason="bad", expected_champion="3")
            finished = True
        except Dead:
            finished, died = False, died + 1
        mortal.writes_left = 10**6
        for _ in range(2):
            assert rollback(mortal, reason="bad", expected_champion="3") == "2"
        assert mortal.aliases() == {"champion": "2", "previous": "1"}
        if finished:
            break
    assert died == 4
    with pytest.raises(RegistryError, match="version 2 is champion"):
        rollback(mortal, reason="bad", expected_champion="4")


def test_a_promotion_first_finishes_a_rollback_that_died(mortal: Mortal) -> None:
    for version in "123":
        promote(mortal, version, decision={})
    mortal.writes_left = 2  # the rollback is written down, no alias has moved
    with pytest.raises(Dead):
        rollback(mortal, reason="bad")
    mortal.writes_left = 10**6
    assert mortal.champion() == "3"
    with pytest.raises(RegistryError, match="version 2 is champion"):
        promote(mortal, "4", decision={}, expected_champion="3")
    promote(mortal, "4", decision={}, expected_champion="2")
    assert mortal.aliases() == {"champion": "4", "previous": "2"}


def test_a_long_history_with_deaths_agrees_with_a_stack(mortal: Mortal) -> None:
    """The reference: promotions push, rollbacks pop and ban; each call is repeated until it returns."""
    chance = random.Random(5)
    for number in range(4, 8):
        mortal.add(SeasonalNaive(), Lineage(f"E{number}/x", "SNAP"))
    stack: list[str] = []
    fresh = [str(number) for number in range(1, 9)]
    for _ in range(12):
        champion = stack[-1] if stack else None
        push = fresh and (len(stack) < 2 or chance.random() < 0.55)
        if not push and len(stack) < 2:
            break
        version = fresh.pop(0) if push else ""
        while True:
            mortal.writes_left = chance.choice([0, 1, 2, 3, 4, 5, 6, 50])
            try:
                if push:
                    promote(mortal, version, decision={}, expected_champion=champion)
                else:
                    rollback(mortal, reason="bad", expected_champion=champion)
                break
            except Dead:
                continue
        stack = [*stack, version] if push else stack[:-1]
        expected = dict(zip(("champion", "previous"), reversed(stack), strict=False))
        assert mortal.aliases() == expected
