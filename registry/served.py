"""The model code that MLflow runs to serve a version (models-from-code: nothing is pickled).

MLflow copies this file beside the weights and runs it on loading; it needs Terracast installed. Read a
version with ``Registry.load``, or with ``mlflow.pyfunc.load_model("models:/NAME@champion")``.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from terracast.adapt.rungs import serialization as kept
from terracast.registry.tidy import Interface, table_of_forecast


class ServedForecaster(PythonModel):
    """A forecaster behind MLflow's ``predict``: a tidy table in, a tidy table out (see ``registry.tidy``)."""

    def load_context(self, context: Any) -> None:
        """Rebuild the forecaster from safetensors and JSON."""
        self.forecaster = kept.load(Path(context.artifacts["forecaster"]))
        self.interface = Interface.from_json(Path(context.artifacts["interface"]).read_text(encoding="utf-8"))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Forecast every node of the table from its last stamp, or from ``params["issue_time"]``."""
        panel, request = self.interface.asked(model_input, params or {})
        return table_of_forecast(self.forecaster.forecast(panel, request), request.target, request.step)


set_model(ServedForecaster())
