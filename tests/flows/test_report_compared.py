"""What a page compares anew stays affordable however long the service runs."""

import numpy as np
import pandas as pd
import pytest

from terracast.flows.report import FEWEST, MOST, compared_scores

NOW, HOUR = np.datetime64("2024-06-01", "ns"), np.timedelta64(1, "h")


def served(issues: int, nodes: int) -> pd.DataFrame:
    times = NOW - np.arange(issues) * HOUR
    return pd.DataFrame({"issue_time": np.repeat(times, nodes), "node": np.tile(np.arange(nodes), issues)})


@pytest.mark.parametrize(("issues", "nodes"), [(0, 3), (5, 3), (100, 1), (20_000, 3), (2_000, 40), (400, 2_000)])
def test_few_of_many_are_compared_half_of_them_lately(issues: int, nodes: int) -> None:
    scores, recent = served(issues, nodes), NOW - 28 * 24 * HOUR
    found = compared_scores(scores, recent, nodes)
    times, most = found["issue_time"].unique(), max(FEWEST, MOST // nodes)
    assert len(times) == (issues if issues <= most else len(times)) <= most
    assert (found.groupby("issue_time").size() == nodes).all()
    if issues > most:
        lately = (times >= recent).mean()
        all_lately = (scores["issue_time"].unique() >= recent).sum()
        assert lately >= 0.4 or (times >= recent).sum() == all_lately
        assert times.max() == NOW
        if issues * HOUR > 2 * 28 * 24 * HOUR:
            assert lately <= 0.6 and times.min() == scores["issue_time"].min(), "and the first forecast is among them"
