"""From a CSV file to forecasts with intervals, without training anything."""

# --8<-- [start:file]
import numpy as np
import pandas as pd

hours = pd.date_range("2024-01-01", periods=24 * 28, freq="h")
noise = np.random.default_rng(0).normal(size=(len(hours), 2))
table = pd.DataFrame({
    "time": np.tile(hours, 2),
    "node": np.repeat(["harbour", "station road"], len(hours)),
    "no2": np.concatenate([20 + 8 * np.sin(hours.hour * np.pi / 12) + 2 * noise[:, 0],
                           35 + 15 * np.sin(hours.hour * np.pi / 12) + 3 * noise[:, 1]]),
})
table.to_csv("my_measurements.csv", index=False)
# --8<-- [end:file]

# --8<-- [start:read]
from terracast.streams.readers import read

panel = read("my_measurements.csv", domain="air", units={"no2": "ug m-3"})
print(dict(panel.sizes), panel.attrs["step"])
# --8<-- [end:read]

# --8<-- [start:forecast]
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Request

issue_time = panel["time"].values[-1]
request = Request("no2", issue_time, horizon=24, step=np.timedelta64(1, "h"))
forecast = Base.shipped().forecast(panel, request)
print(dict(forecast.sizes))
# --8<-- [end:forecast]

# --8<-- [start:use]
next_day = forecast["no2"].sel(issue_time=issue_time, node="harbour")
for lead in (0, 5, 11):
    low, middle, high = next_day.isel(lead=lead).sel(quantile=[0.1, 0.5, 0.9]).values
    print(f"{lead + 1:2d} h ahead: {middle:.0f} ug m-3, 80 % interval {low:.0f} to {high:.0f}")
# --8<-- [end:use]
