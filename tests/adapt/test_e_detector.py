"""How sure: bets against normal blocks are seldom won, and a change wins them."""

import numpy as np

from terracast.adapt.monitoring.diagnosis.e_value import LATEST, EValues


def test_normal_blocks_seldom_win_the_bet():
    draws = np.random.default_rng(5)
    sure = EValues.fit(draws.normal(size=(400, 300)), np.zeros(300, int))
    values = np.concatenate([sure.values(draws.normal(size=(80, 300))) for _ in range(40)])
    for limit in (100.0, 1000.0):
        assert (values >= limit).mean() <= LATEST / limit


def test_sureness_tells_change_from_none_and_survives():
    draws = np.random.default_rng(8)
    sure = EValues.fit(draws.normal(size=(200, 30)), np.repeat([0, 1, 2], 10))
    calm = draws.normal(size=(70, 30))
    calm[30, 4] = np.nan
    loud = calm.copy()
    loud[60:, 3] -= 2.5
    values = sure.values(loud)
    assert (np.delete(values, 3) == np.delete(sure.values(calm), 3)).all()
    assert values[3] > 1000 and np.median(values) < 100
    assert EValues.restore(sure.state()).values(loud, np.array([3])).tobytes() == values[3:4].tobytes()
