"""What was meta-learned, as a small file beside the base's weights, bound to these weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import safetensors
import safetensors.torch

from terracast.adapt.rungs.adapter import AdapterError, Values
from terracast.adapt.rungs.cavia import Directions
from terracast.stfm.base.model import SHIPPED, Base

FILE = "directions.safetensors"


def save_start(values: Values, base: Base, plan: Mapping[str, object], path: Path) -> Path:
    """Write an adapter's or directions' ``values`` with the plan (seed, tasks, steps) that made them and the digest of
    the base they belong to."""
    told = {"plan": json.dumps(dict(plan), sort_keys=True), "base_sha256": digest(base)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    content = safetensors.torch.save({name: value.contiguous() for name, value in values.items()}, told)
    partial.write_bytes(content)
    partial.replace(path)
    return path


def load_start(base: Base, path: Path = SHIPPED / FILE) -> Values:
    """The values kept in ``path``. Raises ``AdapterError`` where there are none, or those of another base."""
    try:
        with safetensors.safe_open(str(path), "pt") as held:
            told = held.metadata() or {}
            values = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError) as error:
        raise AdapterError("no start to be read", where=str(path), expected="what meta-learning wrote",
                           remedy="learn one: terracast pretrain --adapters") from error
    if told.get("base_sha256") != digest(base):
        raise AdapterError("the start belongs to other weights", where=str(path), expected="a start for this base",
                           remedy="learn one for this base: terracast pretrain --adapters")
    return values


def plan_of(path: Path = SHIPPED / FILE) -> dict[str, object]:
    """The plan that made what is kept in ``path``: method, seed, tasks, steps."""
    with safetensors.safe_open(str(path), "pt") as held:
        return dict(json.loads((held.metadata() or {}).get("plan", "{}")))


@cache
def shipped_directions() -> Directions | None:
    """The directions that come with Terracast for ``Base.shipped()``; None where there are none for these weights."""
    try:
        return Directions(load_start(Base.shipped()))
    except AdapterError:
        return None


def digest(base: Base) -> str:
    """A digest of the base's weights."""
    total = hashlib.sha256()
    for name, value in sorted(base.weights().items()):
        total.update(name.encode())
        total.update(value.tobytes())
    return total.hexdigest()
