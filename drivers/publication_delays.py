"""How late a domain is published, read off what was known at earlier instants."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from terracast.adapt.clock import Moment

LOOKS = 24
SPREAD = np.timedelta64(30, "D")


def publication_delays(moment: Moment, domains: Iterable[str], step: np.timedelta64) -> dict[str, int]:
    """By domain: at an issue time, how many ``step`` old is the newest stamp with values from half of the nodes.

    The upper quartile over ``LOOKS`` earlier instants of the last 30 days, so that one dark day does not count.
    Domains of which nothing is known are left out. Reads only what was known at each instant.
    """
    found = {}
    for domain in domains:
        ages = [age for place in range(LOOKS)
                if (age := _age(moment.earlier(moment.now - place * SPREAD // LOOKS), domain, step)) is not None]
        if ages:
            found[domain] = int(np.ceil(np.quantile(ages, 0.75, method="lower")))
    return found


def _age(then: Moment, domain: str, step: np.timedelta64) -> float | None:
    panel = then.known(domain, then.now - SPREAD)
    if not panel.sizes["time"]:
        return None
    reported = np.mean([np.isfinite(one.transpose("time", "node").values).mean(axis=1)
                        for one in panel.data_vars.values()], axis=0)
    if not reported.max() > 0:
        return None
    newest = np.flatnonzero(reported >= 0.5 * np.quantile(reported, 0.9))[-1]
    return float((then.now - panel["time"].values[newest]) / step)
