"""What made a version: its lineage as a value, kept in MLflow tags, and told again in plain words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from terracast.registry.tracking import RegistryError

TAGS = {"key": "lineage_key", "snapshot": "data_snapshot", "base": "base", "parent": "parent_model_id",
        "episode_id": "episode_id", "alarm_kind": "alarm_kind", "policy_rung": "policy_rung",
        "graph_digest": "graph_digest", "config_digest": "config_digest", "known_at": "known_at",
        "reference": "reference_window", "seed": "seed", "command": "rebuild_command"}


def digest(value: str | bytes | Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits that name a text, bytes, or JSON-ready mapping (in any order of keys).

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    if isinstance(value, Mapping):
        value = json.dumps(dict(value), sort_keys=True, default=str)
    raw = value.encode() if isinstance(value, str) else value
    return hashlib.sha256(raw).hexdigest()[:16]


@dataclass(frozen=True)
class Lineage:
    """What made a version; two versions never share a ``key`` (``base``, or episode id and rung).

    ``snapshot`` names the exact data, ``known_at`` the instant up to which they were known, ``reference`` the
    window (first, last stamp) that the model learnt from; ``base`` is the digest or name of the frozen base,
    ``parent`` the version that this one continues, ``command`` the line that makes it again. None or "": not
    there.

    >>> made = Lineage("E7/fine-tune", "SNAP1", parent="1", known_at=np.datetime64("2024-01-05T06"), seed=3)
    >>> Lineage.from_tags(made.tags()) == made
    True
    """

    key: str
    snapshot: str
    parent: str | None = None
    episode_id: str | None = None
    alarm_kind: str | None = None
    policy_rung: str | None = None
    graph_digest: str | None = None
    config_digest: str = ""
    known_at: np.datetime64 | None = None
    seed: int | None = None
    reference: tuple[np.datetime64, np.datetime64] | None = None
    base: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        if not self.key or len(self.key) > 200 or any(sign in self.key for sign in "'\"`\n"):
            raise RegistryError(f"key {self.key!r} cannot name a version", where="lineage",
                                expected="1 to 200 characters without quotes or line ends",
                                remedy="use the episode id and the rung")
        stamps = [stamp for stamp in (self.known_at, *(self.reference or ())) if stamp is not None]
        if np.isnat(np.array(stamps, "datetime64[ns]")).any():
            raise RegistryError("a time is missing (NaT)", where=f"lineage {self.key}",
                                expected="known_at and reference to be times or None", remedy="leave it out")

    def tags(self) -> dict[str, str]:
        """The lineage as MLflow tags; what is None or empty has no tag."""
        filled = {name: value for name, value in asdict(self).items() if value is not None and value != ""}
        return {TAGS[name]: _as_text(value) for name, value in filled.items()}

    def to_json(self) -> str:
        """The lineage as JSON text, under the names of the tags."""
        return json.dumps(self.tags(), indent=1, sort_keys=True)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Lineage:
        """Read back what ``tags`` wrote; other tags are ignored."""
        known = {one.name: tags[TAGS[one.name]] for one in fields(cls) if TAGS[one.name] in tags}
        typed: dict[str, Any] = {"key": "unknown", "snapshot": "", **known}
        if "seed" in known:
            typed["seed"] = int(known["seed"])
        if "known_at" in known:
            typed["known_at"] = np.datetime64(known["known_at"], "ns")
        if "reference" in known:
            first, _, last = known["reference"].partition("/")
            typed["reference"] = (np.datetime64(first, "ns"), np.datetime64(last, "ns"))
        return cls(**typed)


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_as_text, value))  # an ISO 8601 interval
    return str(np.datetime_as_string(value)) if isinstance(value, np.datetime64) else str(value)


@dataclass(frozen=True)
class Version:
    """One version as the registry holds it; ``created`` is MLflow's own stamp (UTC)."""

    number: str
    aliases: tuple[str, ...]
    lineage: Lineage
    metrics: Mapping[str, float]
    created: np.datetime64
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class VersionStory:
    """The thread of evidence behind one version: the data, and the same in sentences (``str(story)``)."""

    version: Version
    ancestors: tuple[str, ...]
    decision: Mapping[str, object] | None
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def to_dict(self) -> dict[str, object]:
        """JSON-ready: for ``--json`` and for reports."""
        return {"version": self.version.number, "aliases": list(self.version.aliases),
                "created": str(self.version.created), "run_id": self.version.run_id,
                "lineage": self.version.lineage.tags(), "ancestors": list(self.ancestors),
                "metrics": dict(self.version.metrics), "model_digest": self.version.tags.get("model_digest"),
                "terracast_version": self.version.tags.get("terracast_version"),
                "decision": None if self.decision is None else dict(self.decision),
                "rolled_back_to": self.version.tags.get("rolled_back_to"),
                "sentences": list(self.sentences)}


def tell(name: str, version: Version, ancestors: tuple[str, ...],
         decision: Mapping[str, object] | None) -> VersionStory:
    """Tell how ``version`` of model ``name`` came to be; what is not recorded is said to be not recorded."""
    lineage, tags = version.lineage, version.tags
    role = " and ".join(version.aliases) or "in no role"
    lines = [f"Version {version.number} of {name} (key {lineage.key}) is {role}; "
             f"registered {_minute(version.created)}.", _origin(lineage), _data(lineage)]
    if ancestors:
        lines.append(f"It continues version {' which continues '.join(ancestors)}.")
    if lineage.base:
        lines.append(f"Its frozen base is {lineage.base}.")
    lines.append(f"Its drivers come from causal graph {lineage.graph_digest}." if lineage.graph_digest
                 else "No causal graph is recorded: it uses no drivers.")
    lines.append(_settings(lineage, tags))
    if version.metrics:
        lines.append("Measured: " + ", ".join(f"{key} {value:.4g}"
                                              for key, value in sorted(version.metrics.items())) + ".")
    lines.append("Gate decision: " + ", ".join(f"{key} {value}" for key, value in decision.items()) + "."
                 if decision else "No gate decision is recorded.")
    lines += [_answer(word, tags) for word in ("approved", "declined") if f"{word}_by" in tags]
    if "gain_in_service" in tags:
        lines.append(f"In service {tags['gain_in_service']}.")
    if "rolled_back_to" in tags:
        reason = tags.get("rollback_reason", "")
        lines.append(f"It was rolled back to version {tags['rolled_back_to']}: {reason}")
    lines.append(f"Make it again with: {lineage.command}" if lineage.command
                 else "The command that makes it again is not recorded.")
    return VersionStory(version, ancestors, decision, tuple(lines))


def _answer(word: str, tags: Mapping[str, str]) -> str:
    """Who agreed or declined, when, and why."""
    at = tags.get(f"{word}_at", "")[:16].replace("T", " ")
    note = tags.get(f"{word}_note", "")
    return f"It was {word} by {tags[f'{word}_by']} at {at}{f': {note}' if note else ''}."


def _origin(lineage: Lineage) -> str:
    if lineage.episode_id is None:
        return "No episode made it: it is a base or was made by hand."
    alarm = f" after an alarm of kind {lineage.alarm_kind}" if lineage.alarm_kind else ""
    rung = f" by rung {lineage.policy_rung}" if lineage.policy_rung else ""
    return f"It was made in episode {lineage.episode_id}{rung}{alarm}."


def _data(lineage: Lineage) -> str:
    known = f" as known at {_minute(lineage.known_at)}" if lineage.known_at is not None else ""
    window = (f", reference window {_minute(lineage.reference[0])} to {_minute(lineage.reference[1])}"
              if lineage.reference else "")
    return f"It learnt from data snapshot {lineage.snapshot}{known}{window}."


def _settings(lineage: Lineage, tags: Mapping[str, str]) -> str:
    seed = "no seed" if lineage.seed is None else f"seed {lineage.seed}"
    return (f"Settings digest {lineage.config_digest or 'not recorded'}, {seed}, "
            f"model digest {tags.get('model_digest', 'not recorded')}, "
            f"terracast {tags.get('terracast_version', 'unknown')}.")


def _minute(stamp: np.datetime64) -> str:
    return str(np.datetime_as_string(stamp, "m")).replace("T", " ")
