"""The frozen scale: known quantiles, robustness, gaps, state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.statistics.reference_scale import ReferencePeriodError, ReferenceScale


def test_location_and_scale_are_those_of_the_normal_law():
    values = np.random.default_rng(0).normal([5, -2], [3, 0.1], size=(20_000, 2))
    reference = ReferenceScale.fit(values)
    assert reference.location == pytest.approx([5, -2], abs=0.1)
    assert reference.scale == pytest.approx([3, 0.1], rel=0.03)


def test_outliers_move_nothing_and_are_clipped():
    values = np.random.default_rng(1).normal(size=(5000, 1))
    values[:200] = 1e6
    reference = ReferenceScale.fit(values)
    assert abs(reference.location[0]) < 0.1 and abs(reference.scale[0] - 1) < 0.1
    assert reference.standardise(np.array([1e6])).tolist() == [8.0]
    assert reference.standardise(np.array([-1e6])).tolist() == [-8.0]


def test_stuck_and_silent_nodes():
    values = np.random.default_rng(2).normal(size=(100, 3))
    values[:, 1], values[:, 2] = 4.0, np.nan
    reference = ReferenceScale.fit(values)
    z = reference.standardise(np.array([0.0, 4.0, 1.0]))
    assert z[1] == 0 and np.isnan(z[2]) and reference.scale[1] > 0
    assert (ReferenceScale.fit(np.ones((5, 2))).scale == 1).all()
    with pytest.raises(ReferencePeriodError, match="longer reference"):
        ReferenceScale.fit(np.full((5, 2), np.nan))


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_z_does_not_depend_on_units(shift, factor, seed):
    values = np.random.default_rng(seed).normal(size=(50, 2))
    plain, other = ReferenceScale.fit(values), ReferenceScale.fit(shift + factor * values)
    assert plain.standardise(values) == pytest.approx(other.standardise(shift + factor * values), abs=1e-6)


def test_state():
    reference = ReferenceScale.fit(np.random.default_rng(3).normal(size=(50, 2)))
    again = ReferenceScale.restore(reference.state())
    assert (again.location == reference.location).all() and (again.scale == reference.scale).all()
