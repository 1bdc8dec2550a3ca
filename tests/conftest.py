"""What all tests share: comparing states to the bit, small trees, and no clock over an example: machines differ."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.few_trees import few_rounds

settings.register_profile("terracast", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("terracast")

# Files that take minutes, the longest first: begun last, one of them would run alone at the end while others wait.
LONGEST = ("test_cases", "test_up_live", "test_watch", "test_examples", "test_ladder_live", "test_kill",
           "test_approval", "test_alerts", "test_serving_history", "test_any_stream", "test_moved", "test_backup",
           "test_loop", "test_policies", "test_store_stays_small", "test_any_file", "test_metrics", "test_serve",
           "test_extending", "test_silence", "test_versions", "test_discover_flow", "test_first_values",
           "test_recorded", "test_drift_bench", "test_base_model", "test_days_off", "test_alarm_bench",
           "test_command", "test_rebuild", "test_up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of ``LONGEST`` first; else the order stays."""
    place = {name: order for order, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def pytest_collection_finish() -> None:
    """What was imported by now stays: Python need not look for rings of dead objects in it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture
def few_trees() -> Iterator[None]:
    """See ``few_rounds``."""
    with few_rounds():
        yield


@pytest.fixture
def same_trees() -> Callable[[object, object], None]:
    """Asserts that two state trees are equal to the bit."""
    return _assert_same


def _assert_same(one: object, two: object, where: str = "state") -> None:
    """Two state trees are equal to the bit, NaN included."""
    if isinstance(one, dict) and isinstance(two, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            _assert_same(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list | tuple) and type(one) is type(two):
        assert len(one) == len(two), where
        for index, pair in enumerate(zip(one, two, strict=True)):
            _assert_same(*pair, f"{where}[{index}]")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=where)
    else:
        assert one == two or (one != one and two != two), f"{where}: {one} != {two}"
