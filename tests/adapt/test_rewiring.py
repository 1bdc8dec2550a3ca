"""Re-wired sensors: a data ticket, once, for those concerned."""

import numpy as np

from terracast.adapt.data_faults.rewiring import Rewiring

DAY = np.timedelta64(1, "D")
START = np.datetime64("2015-02-01", "ns")
NAMES = ("a", "b", "c", "d")


def days(groups, count, seed):
    draws = np.random.default_rng(seed)
    for _ in range(count):
        values = np.round(draws.normal(size=(24, 4)) * 5, 1)
        for group in groups:
            values[:, group] = values[:, group[:1]]
        yield values


def test_a_re_wiring_is_one_ticket_and_then_normal():
    wiring = Rewiring.fit(list(days(([0, 1],), 30, 0)), NAMES)
    assert wiring.same.sum() == 2
    told = []
    for day, values in enumerate([*days(([0, 1],), 20, 1), *days(([0, 2],), 40, 2)]):
        told += wiring.update(START + day * DAY, values)
        wiring = Rewiring.restore(wiring.state())
    (ticket,) = told
    assert ticket.change_type == "health" and ticket.ticket == "wiring" and ticket.nodes == ("a", "b", "c")
    assert ticket.since == START + 20 * DAY and "a and c now show the same" in ticket.details["change"]


def test_dry_days_gaps_and_single_odd_days_say_nothing():
    wiring = Rewiring.fit(list(days((), 30, 3)), NAMES)
    dry = np.zeros((24, 4))
    gone = np.full((24, 4), np.nan)
    odd = next(iter(days(([0, 3],), 1, 4)))
    calm = [*days((), 6, 5)]
    feed = [dry] * 20 + [gone] * 10 + [odd, *calm, odd, *calm]
    assert not any(wiring.update(START + day * DAY, values) for day, values in enumerate(feed))
