"""Promote and roll back by MLflow aliases: one writer at a time; a retry after a crash ends in one place.

MLflow moves one alias a call, without compare-and-swap. So the order is fixed: what will be true is first
written as a tag of the version it concerns (``promoted_from``, ``rolled_back_to``), then the aliases follow,
``champion`` last. A process that dies between two calls leaves a state that the next ``promote`` or
``rollback`` completes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from terracast.registry.tracking import RegistryError
from terracast.registry.versions import DECISION, Registry

ANY = "any"


def nominate(registry: Registry, version: str) -> str:
    """Make ``version`` the challenger (in place of an earlier one) and return its number."""
    with registry.lock():
        number = registry.resolve(version)
        if number == registry.champion():
            raise RegistryError(f"version {number} is champion already", where=registry.name,
                                expected="another version as challenger", remedy="nominate another one")
        registry.point("challenger", number)
        return number


def withdraw(registry: Registry, version: str) -> None:
    """Take the alias ``challenger`` from ``version``; nothing happens where it does not have it."""
    with registry.lock():
        if registry.alias("challenger") == registry.resolve(version):
            registry.point("challenger", None)


def promote(registry: Registry, version: str, *, decision: Mapping[str, object],
            expected_champion: str | None = ANY, despite_rollback: bool = False) -> str:
    """Make ``version`` (number or alias) champion and the old champion ``previous``; returns its number.

    ``decision`` (JSON-ready) is kept as the version's ``decision.json`` before anything moves. Give the
    champion that the decision was made against as ``expected_champion`` (None: there was none): where another
    version has become champion since, the promotion is refused. Promoting the champion changes nothing, so a
    promotion may be retried after a crash at any point. A version that was rolled back is refused unless
    ``despite_rollback``.
    """
    with registry.lock():
        number = registry.resolve(version)
        _finish_rollback(registry)
        champion = registry.champion()
        if champion != number:
            _check_expected(registry, champion, expected_champion)
            _check_not_rolled_back(registry, number, despite_rollback)
            text = json.dumps(dict(decision), indent=1, sort_keys=True, default=str)
            registry.log_text(number, DECISION, text)
            registry.tag(number, rolled_back_to="", rollback_reason="", promoted_from=champion or "")
            if champion is not None:
                registry.point("previous", champion)
            registry.point("champion", number)
        if registry.alias("challenger") == number:
            registry.point("challenger", None)
        return number


def rollback(registry: Registry, *, reason: str, expected_champion: str | None = ANY) -> str:
    """Put the previous champion back in service and return its number.

    The version rolled back is marked with ``reason`` and is out: ``previous`` then names the champion before
    the one restored, if there was one that was not rolled back itself. So each further rollback goes one
    champion further back and in the end is refused; it never swings to and fro. After a crash, repeat the
    call with ``expected_champion`` = the version to be rolled back: it is then rolled back once, however
    often you try.
    """
    with registry.lock():
        champion = registry.champion()
        if expected_champion not in (ANY, None, champion):
            tags = registry.tags(str(expected_champion))
            if champion is not None and tags.get("rolled_back_to") == champion:
                return champion  # an earlier try got this far
        _check_expected(registry, champion, expected_champion)
        if champion is None:
            raise _no_champion(registry)
        if "rolled_back_to" not in registry.tags(champion):
            target = _target(registry, champion)
            registry.tag(champion, rollback_reason=reason or "no reason given")
            registry.tag(champion, rolled_back_to=target)
        return _finish_rollback(registry) or champion


def planned_rollback(registry: Registry) -> tuple[str, str]:
    """The version that ``rollback`` would take out of service now, and the one that it would restore.

    Raises ``RegistryError`` where there is nothing to roll back to.
    """
    champion = registry.champion()
    if champion is None:
        raise _no_champion(registry)
    return champion, registry.tags(champion).get("rolled_back_to") or _target(registry, champion)


def _no_champion(registry: Registry) -> RegistryError:
    return RegistryError("no version is champion", where=registry.name, expected="a champion to roll back",
                         remedy="promote a version first")


def _finish_rollback(registry: Registry) -> str | None:
    """Move the aliases of a rollback that is written down; the restored champion, None if nothing is due."""
    champion = registry.champion()
    target = None if champion is None else registry.tags(champion).get("rolled_back_to")
    if target is None:
        return None
    registry.point("previous", _before(registry, target))
    registry.point("champion", target)
    return target


def _target(registry: Registry, champion: str) -> str:
    """The version to restore: ``previous``, or what the champion replaced where a promotion died half-way."""
    previous = registry.alias("previous")
    target = previous if previous != champion else _before(registry, champion)
    if target is None:
        raise RegistryError(f"there is nothing before version {champion} to roll back to",
                            where=registry.name, expected="an earlier champion that still stands",
                            remedy="promote another version, see `terracast versions`")
    return target


def _before(registry: Registry, version: str) -> str | None:
    """The nearest earlier champion before ``version`` that was not rolled back."""
    seen = {version}
    earlier = registry.tags(version).get("promoted_from")
    while earlier is not None and earlier not in seen:
        seen.add(earlier)
        tags = registry.tags(earlier)
        if "rolled_back_to" not in tags:
            return earlier
        earlier = tags.get("promoted_from")
    return None


def _check_expected(registry: Registry, champion: str | None, expected: str | None) -> None:
    if expected not in (ANY, champion):
        raise RegistryError(f"version {champion} is champion" if champion else "no version is champion",
                            where=registry.name,
                            expected=f"version {expected} as champion" if expected else "no champion yet",
                            remedy="decide again against the champion in service")


def _check_not_rolled_back(registry: Registry, number: str, despite_rollback: bool) -> None:
    tags = registry.tags(number)
    if "rolled_back_to" in tags and not despite_rollback:
        raise RegistryError(f"version {number} was rolled back: {tags.get('rollback_reason', '')}",
                            where=registry.name, expected="a version that was not taken out of service",
                            remedy="promote another one, or say despite_rollback=True")
