"""A forecaster as an MLflow model folder: safetensors, JSON and the code that serves them; no pickle."""

from __future__ import annotations

import hashlib
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import pandas as pd
import xarray as xr

from terracast.adapt.rungs import serialization as kept
from terracast.registry.tidy import Interface, table_of
from terracast.registry.tracking import RegistryError
from terracast.stfm import serialization as shelf
from terracast.stfm.forecaster import Forecaster

SERVED = Path(__file__).with_name("served.py")
FORECASTER = "artifacts/forecaster"  # where MLflow puts the artefact of that name inside a model folder
EXAMPLE_ROWS, EXAMPLE_NODES = 24, 2
NEEDED = ("numpy", "pandas", "xarray", "safetensors", "torch")


def terracast_version() -> str:
    """The installed version of Terracast, or ``unknown`` in a bare checkout."""
    try:
        return version("terracast")
    except PackageNotFoundError:
        return "unknown"


def requirements() -> list[str]:
    """What a served model needs, pinned to what is installed; a build label such as ``+cpu`` is left out.

    >>> any(line.startswith("torch==") and "+" not in line for line in requirements())
    True
    """
    found = [f"{name}=={version(name).partition('+')[0]}" for name in NEEDED]
    own = terracast_version()
    return found if own == "unknown" else [f"terracast=={own}", *found]


def folder_digest(folder: Path) -> str:
    """SHA-256 (first 32 digits) over the names and bytes of every file in a folder. O(bytes)."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            whole.update(f"{path.relative_to(folder).as_posix()}\0{len(body)}\0".encode() + body)
    return whole.hexdigest()[:32]


def forecaster_digest(forecaster: Forecaster, folder: Path | None = None) -> str:
    """The digest that ``pack`` gives a forecaster; its files stay in ``folder`` where one is given."""
    if folder is not None:
        return folder_digest(shelf.save(_keepable(forecaster), folder))
    with tempfile.TemporaryDirectory() as scratch:
        return folder_digest(shelf.save(_keepable(forecaster), Path(scratch, "forecaster")))


def pack(forecaster: Forecaster, interface: Interface, example: xr.Dataset | None, folder: Path,
         ids: tuple[str, str]) -> str:
    """Write the model folder ``folder / "model"`` and return the digest of its forecaster.

    ``ids`` are MLflow's (run id, model id), ``example`` a panel of which a few rows are kept as input
    example. Takes about 0.2 s plus the time to write the weights.
    """
    shelved = folder / "forecaster"
    shelved.mkdir()
    shelf.save(_keepable(forecaster), shelved)
    described = folder / "interface.json"
    described.write_text(interface.to_json(), encoding="utf-8")
    table = None if example is None else _example(example)
    _write(folder, shelved, described, table, ids, interface)
    return folder_digest(shelved)


def _keepable(forecaster: Forecaster) -> shelf.Serializable:
    if not (hasattr(forecaster, "config") and hasattr(forecaster, "weights")):
        raise RegistryError(f"a {type(forecaster).__name__} cannot be kept", where="registry",
                            expected="a forecaster with config() and weights()",
                            remedy="add them and build(): see docs/extend/base-model.md")
    return cast(shelf.Serializable, forecaster)


def _example(panel: xr.Dataset) -> pd.DataFrame:
    few = panel.isel(time=slice(-EXAMPLE_ROWS, None), node=slice(EXAMPLE_NODES))
    table = table_of(few)
    return table.assign(node=table["node"].astype(object))


def _write(folder: Path, shelved: Path, described: Path, table: pd.DataFrame | None, ids: tuple[str, str],
           interface: Interface) -> None:
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    save_model(path=str(folder / "model"), python_model=str(SERVED),
               artifacts={"forecaster": str(shelved), "interface": str(described)},
               signature=_signature(table, interface), input_example=table,
               pip_requirements=requirements(), mlflow_model=Model(run_id=ids[0], model_id=ids[1]))


def _signature(table: pd.DataFrame | None, interface: Interface) -> object:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    inputs = None
    if table is not None:
        types = {"time": DataType.datetime, "node": DataType.string}
        needed = ("time", "node", interface.target)
        inputs = Schema([ColSpec(types.get(name, DataType.double), name, required=name in needed)
                         for name in table.columns])
    outputs = Schema([ColSpec(DataType.datetime, "issue_time"), ColSpec(DataType.long, "lead"),
                      ColSpec(DataType.datetime, "valid_time"), ColSpec(DataType.string, "node"),
                      ColSpec(DataType.double, "quantile"), ColSpec(DataType.double, "value")])
    params = ParamSchema([ParamSpec("target", DataType.string, ""), ParamSpec("step", DataType.string, ""),
                          ParamSpec("horizon", DataType.long, 0),
                          ParamSpec("issue_time", DataType.string, "")])
    return ModelSignature(inputs, outputs, params)


def unpack(folder: Path, expected_digest: str | None, where: str) -> Forecaster:
    """Rebuild the forecaster of a model folder; refuses files that are not those that were registered."""
    shelved = folder if folder.name == "forecaster" else folder / FORECASTER
    if not shelved.is_dir():
        raise RegistryError("the model's files are gone", where=where, expected=f"the folder {shelved}",
                            remedy="restore the artefact folder from a backup, or make the version again")
    if expected_digest and folder_digest(shelved) != expected_digest:
        raise RegistryError("the model's files were changed or damaged", where=where,
                            expected=f"digest {expected_digest}",
                            remedy="restore the artefact folder from a backup, or make the version again")
    return kept.load(shelved)
