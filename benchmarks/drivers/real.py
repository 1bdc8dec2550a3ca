"""Bench of drivers on panels of the user: the error with chosen ones beside none, all and what peers pick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from terracast.benchmarks.drivers.judged import METHODS, Protocol, judge
from terracast.causal.graph.graph import Series
from terracast.streams.errors import TerracastError
from terracast.streams.readers import read

PASSIVE = "own.* never causes other.*"  # what anyone knows of bikes and weather
PUBLISHED = {"own": 1, "other": 1}  # steps


def bench_drivers_in(data: Path, own: tuple[str, ...], protocol: Protocol) -> dict[str, Any]:
    """Mean absolute error of a file's variable on the last fifth of the span, over leads and nodes, by method.

    Drivers are chosen on what is known before it, as ``terracast discover`` does; both the choice and the error are of
    the forecaster that serves. Raises ``TerracastError`` for variables that are not there.

    Parameters
    ----------
    data : Path
        The file.
    own : tuple of str
        Variables of the target's domain, the target first; the rest is another domain. Both come a step late.
    protocol : Protocol
        How drivers are judged.
    """
    panel = read(data, domain="own")
    unknown = [name for name in own if name not in panel.data_vars]
    rest = [str(name) for name in panel.data_vars if name not in own and panel[name].dtype.kind == "f"]
    if unknown or not rest:
        raise TerracastError(f"no variable {unknown[0]!r}" if unknown else "no other variable", where=data.name,
                             expected=", ".join(map(str, panel.data_vars)), remedy="mend --target and --own")
    panels = {"own": panel[list(own)], "other": panel[rest].assign_attrs(domain="other")}
    target = Series("own", own[0])
    judged = judge(panels, PUBLISHED, target, protocol)
    table = [{"method": name, "data": data.name, "mae_ratio": judged.ratio(name),
              "used": [str(one) for one in judged.used[name]]} for name in METHODS]
    ours = judged.ratio("terracast")
    extra = (f" --own {','.join(own[1:])}" if own[1:] else "") + (" --passive" if protocol.knowledge else "")
    return {"bench": "drivers", "data": data.name,
            "protocol": {"target": str(target), "published": PUBLISHED,
                         "issue_times": int(np.isfinite(judged.errors["none"]).any(axis=(1, 2)).sum()),
                         "max_lag": protocol.max_lag, "horizon": protocol.horizon, "model": protocol.model,
                         "knowledge": "" if protocol.knowledge is None else protocol.knowledge.text()},
            "rows": table,
            "summary": {f"mae_ratio_to_{name}": ours / judged.ratio(name) for name in METHODS[:-1]},
            "command": f"terracast bench drivers --data {data} --target {own[0]}{extra} "
                       f"--max-lag {protocol.max_lag} --horizon {protocol.horizon}"}
