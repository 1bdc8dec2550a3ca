"""Objects that are written down and read back, to the bit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from terracast.streams.errors import StoreError
from terracast.streams.stateful import Stateful, decoded
from terracast.streams.storage.tree import pack, unpack


@dataclass(frozen=True)
class Level(Stateful):
    mean: float
    since: np.datetime64
    weights: np.ndarray


class Tracker(Stateful):
    NOT_KEPT = frozenset({"model", "total"})

    def __init__(self, model: object) -> None:
        self.model = model
        self.levels: dict[tuple[str, int], Level] = {}
        self.queue: deque[float] = deque(maxlen=3)
        self.seen = {"b", "a"}
        self.best: Level | None = None
        self._pairs: list[tuple[np.ndarray, int]] = []
        self.total = 0.0

    def restored(self) -> None:
        self.model, self.total = None, float(sum(one.mean for one in self.levels.values()))


@dataclass
class Holder(Stateful):
    what: Any = None
    rest: list[Any] = field(default_factory=list)


def _tracker() -> Tracker:
    tracker = Tracker(model=object())
    since = np.datetime64("2024-01-01T05", "ns")
    tracker.levels["no2", 3] = Level(np.nextafter(1.0, 2.0), since, np.array([1, np.nan]))
    tracker.best = tracker.levels["no2", 3]
    tracker.queue.extend([1.0, 2.0, 3.0, 4.0])
    tracker._pairs.append((np.arange(3, dtype=np.int32), 7))
    return tracker


def test_what_was_kept_comes_back_to_the_bit_through_bytes(same_trees) -> None:
    tracker = _tracker()
    back = Tracker.restore(unpack(pack(tracker.state())))  # type: ignore[arg-type]
    same_trees(back.state(), tracker.state())
    assert back.levels["no2", 3].mean == np.nextafter(1.0, 2.0) and back.best is not None
    assert back.queue.maxlen == 3 and list(back.queue) == [2.0, 3.0, 4.0] and back.seen == {"a", "b"}
    assert back.levels["no2", 3].since.dtype == np.dtype("<M8[ns]") and back._pairs[0][0].dtype == np.int32
    assert back.model is None and back.total == np.nextafter(1.0, 2.0), "what is not kept is made again"


def test_a_state_shares_no_array_with_the_object_nor_with_a_second_one() -> None:
    tracker = _tracker()
    state = tracker.state()
    one, other = Tracker.restore(state), Tracker.restore(state)
    one._pairs[0][0][:] = 9
    assert tracker._pairs[0][0][0] == 0 and other._pairs[0][0][0] == 0


def test_a_mapping_whose_keys_look_like_the_codec_s_own_is_kept_as_it_is() -> None:
    odd = {"@class": "nobody:Nothing", "@pairs": [1]}
    assert Holder.restore(unpack(pack(Holder(odd).state()))).what == odd  # type: ignore[arg-type]


def test_what_cannot_be_kept_is_named_with_its_place() -> None:
    with pytest.raises(StoreError, match="object cannot be kept") as refused:
        Holder(rest=[{"deep": object()}]).state()
    assert refused.value.where == "rest.deep"


def test_a_state_of_another_class_or_of_nobody_is_refused() -> None:
    with pytest.raises(StoreError, match=r"expected one of .*Tracker"):
        Tracker.restore(Holder().state())
    with pytest.raises(StoreError, match="not known"):
        Holder.restore({"@class": "os:system", "command": "true"})


def test_instants_and_spans_keep_value_unit_and_not_a_time() -> None:
    kept = [np.datetime64("2024-01-01T05", "ns"), np.datetime64("NaT", "ns"), np.timedelta64(-5, "ns"),
            np.datetime64("2024-01-01", "D"), np.timedelta64(7, "D")]
    back = Holder.restore(unpack(pack(Holder(kept).state()))).what  # type: ignore[arg-type]
    assert [(type(one), str(one), one.dtype) for one in back] == [(type(one), str(one), one.dtype) for one in kept]
    assert decoded(Holder({"@time": 3}).state()["what"]) == {"@time": 3}, "a user's own key is no instant"


class Counter(Stateful):
    """Writes its state itself."""

    def __init__(self, seen: int) -> None:
        self.seen, self.cache = seen, object()

    def state(self) -> dict[str, object]:
        return {"n": self.seen}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Counter:
        return cls(**{"seen": state["n"]} if state.keys() == {"n"} else {})


def test_a_class_that_writes_its_state_itself_is_kept_inside_others() -> None:
    back = Holder.restore(unpack(pack(Holder(rest=[Counter(3)]).state())))  # type: ignore[arg-type]
    assert isinstance(back.rest[0], Counter) and back.rest[0].seen == 3
