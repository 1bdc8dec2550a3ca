"""A forecaster that a rung wrapped is a version like any other."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.adapt.rungs.correction import Corrected
from terracast.adapt.rungs.output_rls import RecursiveCorrection
from terracast.registry.lineage import Lineage
from terracast.registry.versions import Registry
from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.forecaster import NativeModel


def test_a_wrapped_forecaster_is_registered_and_served(registry: Registry, model: NativeModel, panel: xr.Dataset,
                                                       asked: Request) -> None:
    correction = RecursiveCorrection(asked.horizon, panel.sizes["node"], asked.step)
    correction.learn(np.zeros((6, 4)), np.ones((6, 4)), np.full((6, 4), 2.0), asked.issue_time)
    wrapped = Corrected(model, correction)
    base = registry.add(model, Lineage("base", "S1"), panel=panel, request=asked)
    version = registry.add(wrapped, Lineage("e-output", "S1", parent=base, policy_rung="output-recursive"),
                           files={"receipt.json": "{}"}, panel=panel, request=asked)
    again = registry.load(version)
    assert again.forecast(panel, asked).identical(wrapped.forecast(panel, asked))
    assert not again.forecast(panel, asked).identical(model.forecast(panel, asked))
    assert registry.read_text(version, "receipt.json") == "{}"

    from mlflow.pyfunc import load_model  # and as anybody with MLflow alone would serve it
    served = load_model(registry.place.get(version).source)
    table = panel["pm25"].to_dataframe().reset_index()[["time", "node", "pm25"]]
    told = served.predict(table)
    wanted = wrapped.forecast(panel, asked)["pm25"].values.ravel()
    np.testing.assert_allclose(np.sort(told["value"].to_numpy()), np.sort(wanted), rtol=1e-6)
