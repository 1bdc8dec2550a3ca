"""The mixture around a base: no peeking, exact restart, coverage, and never far behind a base that is good."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from terracast.adapt.correction.experts.expert_config import IN_COMPANY, USUAL
from terracast.adapt.correction.experts.residual_quantiles import ResidualQuantiles
from terracast.adapt.correction.experts.streaming import StreamingExperts
from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.evaluation.scores import crps, inside
from terracast.stfm.forecaster import Request

pytestmark = pytest.mark.usefixtures("few_trees")
STEP = np.timedelta64(1, "h")
LEVELS = (0.1, 0.5, 0.9)
HORIZON, EVERY = 6, 3


def _values(rows: int = 700, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    wave = np.sin(np.arange(rows)[:, None] * 2 * np.pi / 24 + np.arange(2))
    return np.asarray(wave + 0.3 * draws.normal(size=(rows, 2)))


def _panel(values: np.ndarray) -> xr.DataArray:
    stamps = np.datetime64("2020-01-01", "ns") + np.arange(len(values)) * STEP
    return xr.DataArray(values, dims=("time", "node"), coords={"time": stamps, "node": ["a", "b"]})


def _base(row: int, off: float) -> np.ndarray:
    """A base that knows the wave, shifted by ``off``; width right for its noise."""
    due = row + 1 + np.arange(HORIZON)
    middle = np.sin(due[:, None] * 2 * np.pi / 24 + np.arange(2)) + off
    return np.asarray(middle[..., None] + 0.384 * np.array([-1.0, 0.0, 1.0]))


def _restored(mixture: Mixture) -> Mixture:
    return Mixture.restore(mixture.state()).reading(StreamingExperts.restore(mixture.stream.state()))


def _run(values: np.ndarray, off: float, stop: int, restart_at: int | None = None) -> tuple[list[np.ndarray], Mixture]:
    panel, start = _panel(values), 300
    request = Request("x", panel["time"].values[start - 1], HORIZON, STEP, LEVELS)
    mixture, said, issued = Mixture.begin(panel[:start], request, per_issue=EVERY), [], []
    for row in range(start - 1, stop, EVERY):
        for issue in issued[-HORIZON // EVERY:]:
            due = issue + 1 + np.arange(HORIZON)
            fresh = ((due > row - EVERY) & (due <= row))[:, None]
            mixture.learn(panel["time"].values[issue], np.where(fresh, values[np.minimum(due, row)], np.nan))
        if row == restart_at:
            mixture = _restored(mixture)
        at = request.at(panel["time"].values[row])
        said.append(mixture.apply(panel[:row + 1], at, _base(row, off)))
        issued.append(row)
    return said, mixture


def test_poison_after_t_leaves_every_forecast_up_to_t() -> None:
    clean = _values()
    poisoned = clean.copy()
    poisoned[402:] = -1e9
    one, two = _run(clean, 0.0, 450)[0], _run(poisoned, 0.0, 450)[0]
    upto = (401 - 299) // EVERY + 1
    for a, b in zip(one[:upto], two[:upto], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[-1], two[-1])


def _in_company(rows: int, wind: np.ndarray, values: np.ndarray, restart_at: int | None = None) -> list[np.ndarray]:
    """Forecasts of a mixture that is told of a second variable, which is 6 rows ahead of the target."""
    panel, start, said = _panel(values), 300, []
    beside = xr.DataArray(np.stack([wind, wind], 1)[:, None], dims=("time", "variable", "node"),
                          coords={"time": panel["time"].values, "node": ["a", "b"]})
    request = Request("x", panel["time"].values[start - 1], HORIZON, STEP, LEVELS)
    mixture = Mixture.begin(panel[:start], request, per_issue=EVERY, beside=beside[:start])
    for row in range(start - 1, rows, EVERY):
        if row == restart_at:
            mixture = _restored(mixture)
        points = mixture.apply(panel[:row + 1], request.at(panel["time"].values[row]), _base(row, 0.0),
                               beside[row - EVERY:row + 1])
        said.append(np.concatenate([mixture.stream.experts.points()[..., None].reshape(-1), points.reshape(-1)]))
    return said


def test_company_is_read_as_known_helps_and_survives_a_restart() -> None:
    draws = np.random.default_rng(4)
    wind = np.convolve(draws.normal(size=706), np.ones(6) / 6, "same")
    values = _values() + 2.0 * np.concatenate([np.zeros(6), wind])[:700, None]
    wind, later = wind[:700], wind[:700].copy()
    later[402:] = 1e9
    whole, poisoned, twice = (_in_company(450, one, values, at) for one, at in ((wind, None), (later, None),
                                                                               (wind, 360)))
    upto = (401 - 299) // EVERY + 1
    for a, b in zip(whole[:upto], poisoned[:upto], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole, twice, strict=True):
        np.testing.assert_array_equal(a, b)
    experts = np.array([one[:-HORIZON * 2 * 3].reshape(-1, HORIZON, 2) for one in whole])
    labels = np.array([values[row + 1:row + 1 + HORIZON] for row in range(299, 450, EVERY)])
    errors = np.abs(experts - labels[:, None]).mean(axis=(0, 2, 3))
    first = len(USUAL)
    without = {kind: errors[number] for number, kind in enumerate(USUAL)}
    for kind, error in zip(IN_COMPANY, errors[first:first + len(IN_COMPANY)], strict=True):
        alike = [other for other in USUAL if (other.reads, other.reference) == ("lags", kind.reference)]
        assert error < 0.95 * min(without[other] for other in alike)


def test_restart_goes_on_to_the_bit(same_trees: Callable[[object, object], None]) -> None:
    one, two = _run(_values(), 0.5, 420), _run(_values(), 0.5, 420, restart_at=359)
    np.testing.assert_array_equal(np.stack(one[0]), np.stack(two[0]))
    same_trees(one[1].state(), two[1].state())
    same_trees(one[1].stream.state(), two[1].stream.state())


def _losses(values: np.ndarray, said: list[np.ndarray], off: float) -> tuple[float, float, float]:
    ours, base, hits = [], [], []
    for number, served in enumerate(said):
        row = 299 + number * EVERY
        labels = values[row + 1:row + 1 + HORIZON]
        ours.append(crps(served, labels, LEVELS).mean())
        base.append(crps(_base(row, off), labels, LEVELS).mean())
        hits.append(inside(served, labels, LEVELS).mean())
    return float(np.mean(ours)), float(np.mean(base)), float(np.mean(hits))


def test_never_far_behind_a_perfect_base_and_far_ahead_of_a_wrong_one() -> None:
    values = _values()
    ours, base, hits = _losses(values, _run(values, 0.0, 690)[0], 0.0)
    assert ours < 1.05 * base
    assert 0.7 < hits < 0.9
    ours, base, _ = _losses(values, _run(values, 1.0, 690)[0], 1.0)
    assert ours < 0.6 * base


def test_labels_that_never_come_and_a_silent_stream() -> None:
    values = _values()
    values[310:] = np.nan
    said, _ = _run(values, 0.0, 450)
    assert np.isfinite(np.stack(said)).all()
    assert (np.diff(np.stack(said), axis=-1) >= 0).all()


def test_said_quantiles_cover_in_the_long_run_however_late_the_label() -> None:
    draws, late = np.random.default_rng(4), 50
    widths, waiting, hits = ResidualQuantiles(1, 1, LEVELS, 5.0, delays=np.array([late])), [], []
    point = np.zeros((1, 1))
    for step in range(6000):
        label = (1 + step / 2000) * draws.standard_t(3, size=(1, 1)) + np.sin(step / 500)
        said = widths.around(point)
        hits.append(float(said[0, 0, 0] <= label[0, 0] <= said[0, 0, 2]))
        waiting.append((label, said))
        if len(waiting) > late:
            label, said = waiting.pop(0)
            widths.learn(label, point, said)
    assert 0.78 < np.mean(hits) < 0.82
    assert min(np.array(hits).reshape(8, -1).mean(axis=1)) > 0.7
