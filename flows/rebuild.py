"""Rebuild: carry out again the act that made a version, from the snapshot and the state that were kept with it.

What the act read beside the data (the task, the flags of quality control, the act itself with its seed) is kept as an
artefact of the version. So a version can be made again long after the loop has gone on, and its files were lost.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.flows.service.loop_state import restored_task
from terracast.flows.service.quality_control import load_control
from terracast.flows.workspace import Workspace
from terracast.registry.tracking import RegistryError
from terracast.streams.errors import TerracastError
from terracast.streams.quality.online import QualityControl, Screened
from terracast.streams.storage.tree import pack, unpack

if TYPE_CHECKING:
    from terracast.adapt.task import ForecastTask
    from terracast.registry.lineage import Lineage
    from terracast.streams.store import View

FILE = "rebuild.txt"
REMEMBERED = "remembered"  # the rung that trains nothing: it hangs on all versions before


class RebuildError(TerracastError):
    """A version that cannot be made again, or that came out otherwise."""


def kept_for_rebuild(view: View, act: AdaptationRequest, watched: ForecastTask, serving: str,
                     since: np.datetime64) -> str:
    """What ``rebuild`` needs beside the data of the snapshot, as text; ``since``: from when on data were read."""
    tree = {"act": act.state(), "watched": watched.state(), "serving": serving, "since": str(since),
            "control": load_control(view).state()}
    return base64.b64encode(pack(tree, FILE)).decode("ascii")


def rebuild(config: Path, version: str, out: Path | None = None) -> dict[str, Any]:
    """Make a version again and compare it with the one registered; answers both digests.

    Parameters
    ----------
    config : Path
        The settings file.
    version : str
        Number, alias, or the key of the adaptation that made it.
    out : Path, optional
        A folder that gets the forecaster's files: weights as safetensors, and JSON.

    Raises
    ------
    RebuildError
        Where the version came otherwise than registered, or nothing was kept to make it from.
    """
    from terracast.registry.packing import forecaster_digest

    workspace = Workspace.open(config)
    registry = workspace.registry
    number = registry.find(version) or registry.resolve(version)
    told = registry.version(number)
    state = _kept(workspace, number, told.lineage)
    watched = restored_task(workspace, state["watched"])
    act = AdaptationRequest.restore(state["act"])
    view, since = workspace.store.read(told.lineage.snapshot), np.datetime64(state["since"])
    history = Screened(workspace.history(view, since), QualityControl.restore(state["control"]))
    maker = workspace.maker(load=registry.load)
    made = maker.make(registry.load(state["serving"]), watched, Moment(act.asked, history), act, state["serving"])
    if made.forecaster is None:
        raise RebuildError(f"rung {act.rung} made nothing this time", where=f"version {number}",
                           expected="what it made before", remedy=_remedy(workspace, told.lineage))
    digest, registered = forecaster_digest(made.forecaster, out), told.tags.get("model_digest")
    if digest != registered:
        raise RebuildError(f"its digest is {digest}", where=f"version {number}, rebuilt", expected=str(registered),
                           remedy=_remedy(workspace, told.lineage))
    return {"version": number, "identical": True, "model_digest": digest, "snapshot": told.lineage.snapshot,
            "parent": state["serving"], "rung": act.rung, "seed": maker.seed(act),
            "out": None if out is None else str(out)}


def _kept(workspace: Workspace, number: str, lineage: Lineage) -> dict[str, Any]:
    if lineage.policy_rung in ("fit", None):
        raise RebuildError("no adaptation made it", where=f"version {number}", expected="a version that a rung made",
                           remedy=lineage.command or "see `terracast why`")
    if lineage.policy_rung == REMEMBERED:
        raise RebuildError("it was recalled, not trained", where=f"version {number}",
                           expected="a version that a rung trained", remedy=f"rebuild version {lineage.parent}")
    try:
        text = workspace.registry.read_text(number, FILE)
    except RegistryError:
        raise RebuildError("nothing was kept to rebuild it from", where=f"version {number}",
                           expected=f"its artefact {FILE}",
                           remedy="restore the artefact folder from a backup") from None
    return cast("dict[str, Any]", unpack(base64.b64decode(text), FILE))


def _remedy(workspace: Workspace, lineage: Lineage) -> str:
    """What most probably differs."""
    if workspace.settings.digest() != lineage.config_digest:
        return f"set [adapt] as it was then (settings digest {lineage.config_digest})"
    return "use the same versions of packages and OMP_NUM_THREADS as then"
