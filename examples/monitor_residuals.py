"""Residuals in, alarms out: the monitor beside a forecaster of your own."""

# --8<-- [start:residuals]
import numpy as np

hour = np.timedelta64(1, "h")
times = np.datetime64("2024-01-01", "ns") + np.arange(24 * 150) * hour
residuals = np.random.default_rng(0).normal(size=(len(times), 4))  # (time, node): (observed - median) / spread
nodes = ("harbour", "station road", "park", "ring road")
residuals[24 * 130:, 2] += 1.5  # the park changes on day 130
# --8<-- [end:residuals]

# --8<-- [start:fit]
from terracast.adapt.monitoring.monitor import Monitor

reference = slice(0, 24 * 100)  # 100 days in which nothing changed
monitor = Monitor.fit(residuals[reference], times[reference], false_alarms_per_month=1.0, nodes=nodes, seed=1)
# --8<-- [end:fit]

# --8<-- [start:observe]
from terracast.adapt.monitoring.episodes.alarm_text import Subject
from terracast.adapt.monitoring.episodes.episodes import Episodes

subject = Subject("NO2", "ug m-3", nodes=len(nodes), false_alarms_per_month=1.0)
episodes, told = Episodes(cooldown=np.timedelta64(7, "D"), name="air-NO2", subject=subject), set()
for day in range(100, 150):
    rows = slice(24 * day, 24 * day + 24)
    evidence = monitor.observe(times[rows], residuals[rows])
    for episode in episodes.fold(times[rows][-1], evidence):
        if episode.id not in told:
            told.add(episode.id)
            print(f"day {day}, {', '.join(episode.nodes)}: {episode.alarm}")
# --8<-- [end:observe]
