"""What every detector must keep, as tests to inherit: for the built-in ones and for your own.

>>> class TestMine(DetectorConformance):  # in a test module: pytest runs what it inherits
...     detector = "scan"  # your name: "my_module:MyDetector"
>>> TestMine().test_a_large_step_is_flagged_at_its_own_stream()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np

from terracast.adapt.monitoring.detection.detector import RECENT_BLOCKS, Detector, ReferenceStatistics, detector_named
from terracast.streams.storage.tree import pack, unpack

BLOCKS, STREAMS = 200, 4
STEP = 140  # block of the step in what follows the reference
LARGE = 6.0  # deviations


class DetectorConformance:
    """Inherit it in a test module, as ``class TestMine(DetectorConformance)``, and name the detector.

    Attributes
    ----------
    detector : str
        As in the setting ``monitor.detector``.
    blocks_to_find : int
        Within how many blocks a step of six deviations must be flagged.

    Examples
    --------
    >>> class TestScan(DetectorConformance):
    ...     detector = "scan"
    >>> TestScan().test_a_large_step_is_flagged_at_its_own_stream()
    """

    detector: ClassVar[str]
    blocks_to_find: ClassVar[int] = 21

    def fitted(self, threshold: float = 1.0, seed: int = 0) -> Detector:
        """The detector, fitted on independent normal blocks, which it has seen."""
        reference = self.reference(seed)
        made = detector_named(self.detector).fit(reference).at(threshold)
        made.update_many(reference.streams, BLOCKS)
        return made

    def reference(self, seed: int = 0) -> ReferenceStatistics:
        """Normal blocks of two kinds of streams, some without evidence."""
        streams = np.random.default_rng(seed).normal(size=(BLOCKS, STREAMS))
        streams[10:14, 0] = np.nan
        return ReferenceStatistics(streams, np.array([0, 0, 1, 1]), np.array([0.002, 0.002]))

    def later(self, seed: int = 1, step: float = 0.0) -> np.ndarray:
        """Blocks that follow the reference; from ``STEP`` on the second stream is ``step`` higher."""
        streams = np.random.default_rng(seed).normal(size=(BLOCKS, STREAMS))
        streams[STEP:, 1] += step
        streams[20:23, 2] = np.nan
        return streams

    def test_a_large_step_is_flagged_at_its_own_stream(self) -> None:
        """A step of six deviations is flagged soon where it is, and there first."""
        flags = self.fitted().update_many(self.later(step=LARGE), BLOCKS)
        assert flags.shape == (BLOCKS, STREAMS) and flags.dtype == bool
        assert flags[STEP:STEP + self.blocks_to_find, 1].any(), "the step was not flagged"
        assert not flags[STEP - 7:STEP, 1].any(), "the step was flagged before it came"

    def test_normal_blocks_are_seldom_flagged(self) -> None:
        """At the threshold 1 the budget is kept to within a factor of four, even before the monitor calibrates it."""
        flags = self.fitted().update_many(np.concatenate([self.later(seed) for seed in range(2, 12)]), 10 * BLOCKS)
        runs = flags.reshape(-1, 8, STREAMS).any(axis=1)
        assert runs.sum() <= 4 * 0.002 * flags.size, f"{runs.sum()} runs of eight blocks with a flag"

    def test_a_higher_threshold_is_stricter(self) -> None:
        """Fewer flags at a higher threshold, and none in normal blocks at the strictest."""
        streams = np.concatenate([self.later(seed) for seed in range(2, 12)])
        loose, strict = (self.fitted(threshold).update_many(streams, len(streams)).sum() for threshold in (0.6, 1.5))
        assert strict <= loose

    def test_one_block_after_another_is_as_many_at_once(self) -> None:
        """``update_many`` and ``update`` say the same, and the future changes nothing that was said."""
        streams, steps, many = self.later(step=LARGE), self.fitted(), self.fitted()
        flags = [steps.update(streams[max(0, end - RECENT_BLOCKS):end]) for end in range(1, BLOCKS + 1)]
        assert np.array(flags).tolist() == many.update_many(streams, BLOCKS).tolist()
        cut = self.fitted().update_many(streams[:STEP + 3], STEP + 3)
        assert cut.tolist() == np.array(flags)[:STEP + 3].tolist()

    def test_restored_is_never_interrupted(self) -> None:
        """State is plain data, and who is restored from it goes on to the bit."""
        streams, whole, parted = self.later(step=LARGE), self.fitted(), self.fitted()
        for end in range(1, BLOCKS + 1):
            recent = streams[max(0, end - RECENT_BLOCKS):end]
            assert whole.update(recent).tolist() == parted.update(recent).tolist()
            if end % 17 == 0 or STEP <= end < STEP + 9:
                parted = type(parted).restore(_stored(parted.state()))
        assert _same(whole.state(), parted.state())

    def test_another_threshold_begins_anew_and_changes_nothing_here(self) -> None:
        """``at`` is a new detector; ``restart`` forgets what was seen and keeps what was fitted."""
        used, fresh = self.fitted(), detector_named(self.detector).fit(self.reference())
        before = _stored(used.state())
        other = used.at(1.0)
        other.update_many(self.later(step=LARGE), BLOCKS)
        assert _same(used.state(), before)
        used.restart()
        streams = self.later(step=LARGE)
        assert used.update_many(streams, BLOCKS).tolist() == fresh.update_many(streams, BLOCKS).tolist()

    def test_no_evidence_is_no_change(self) -> None:
        """Blocks without any evidence raise nothing."""
        silent = np.full((BLOCKS, STREAMS), np.nan)
        assert not self.fitted().at(1.0).update_many(silent, BLOCKS).any()

    def test_a_fit_is_repeatable(self) -> None:
        """The same reference makes the same detector."""
        assert _same(self.fitted().state(), self.fitted().state())

    def test_the_rehearsal_answers_the_blocks_that_were_asked_for(self) -> None:
        """Flags (block, stream) of resampled reference blocks, fewer where it is stricter."""
        reference = self.reference()
        flags = detector_named(self.detector).fit(reference).rehearsal(reference)(np.arange(2 * BLOCKS) % BLOCKS)
        assert flags(1.0).shape == (2 * BLOCKS, STREAMS) and flags(4.0).sum() <= flags(0.6).sum()


def _stored(state: Mapping[str, object]) -> dict[str, Any]:
    """A copy, as the store keeps it."""
    return cast(dict[str, Any], unpack(pack(state)))


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return pack(one) == pack(other)
