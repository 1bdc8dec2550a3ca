"""Published peers of the rungs: their gradients against autograd, and the contract that every row of a bench keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from terracast.adapt.rungs.correction import OutputRung
from terracast.adapt.rungs.rung import Rung, attempt
from terracast.benchmarks.adapt.peers.gated import GatedCorrection, gated_rung
from terracast.benchmarks.adapt.peers.recent import Recent, RecentStatistics
from terracast.benchmarks.adapt.peers.spectral import SpectralCorrection, spectral_rung
from terracast.stfm.forecaster import Capabilities, Request, as_forecast
from tests.adapt.test_rungs_output import NOW, Flat, never_reads_later, panel, request, stands_bad_input

PEERS = [gated_rung(), spectral_rung(), RecentStatistics(lengths=(96, 168))]


def test_the_gated_gradient_is_that_of_autograd() -> None:
    draws = np.random.default_rng(2)
    gated = GatedCorrection(5, 2)
    for name in gated._learned:
        gated._learned[name] = draws.normal(size=gated._learned[name].shape)
    y, error = draws.normal(size=(2, 5)), draws.normal(size=(2, 5))
    there = draws.random((2, 5)) < 0.7
    there[:, 0] = True
    held = {name: torch.tensor(value, requires_grad=True) for name, value in gated._learned.items()}
    linear = torch.einsum("nij,nj->ni", held["matrix"], torch.tensor(y)) / 5**0.5 + held["bias"]
    left = torch.tanh(held["gate"])[:, None] * linear - torch.tensor(error)
    ((left**2 * torch.tensor(there)).sum(1) / torch.tensor(there.sum(1))).sum().backward()
    for name, slope in gated.gradients(y, np.where(there, error, 0.0), there).items():
        np.testing.assert_allclose(slope, held[name].grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("leads", [7, 24])
def test_the_spectral_gradient_is_that_of_autograd(leads: int) -> None:
    draws = np.random.default_rng(3)
    spectral = SpectralCorrection(leads, 2)
    spectral.gain = draws.uniform(-0.3, 0.3, spectral.gain.shape)
    median, labels = draws.normal(size=(leads, 2)), draws.normal(size=(leads, 2))
    width, there = draws.uniform(0.5, 2, (leads, 2)), draws.random((leads, 2)) < 0.8
    gain = torch.tensor(spectral.gain, requires_grad=True)
    factor = (1 + gain[..., 0]) * torch.exp(1j * gain[..., 1])
    spectrum = torch.fft.rfft(torch.tensor(median.T), dim=1) * factor[:, torch.tensor(spectral._band)]
    error = (torch.fft.irfft(spectrum, leads, dim=1) - torch.tensor(labels.T)) / torch.tensor(width.T)
    seen = torch.tensor(there.T)
    ((error**2 * seen).sum(1) / seen.sum(1)).sum().backward()
    found = spectral.gradient(median, width, np.where(there, labels, 0.0), there)
    np.testing.assert_allclose(found, gain.grad.numpy(), rtol=1e-8, atol=1e-12)


def test_recent_statistics_win_after_a_jump_of_level() -> None:
    jumped = panel(days=40, nodes=1)
    jumped["pm25"].values[24 * 25:] += 30.0

    class Mean:
        capabilities = Capabilities(history=2000)

        def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
            told = np.nanquantile(context["pm25"].values, request.quantiles, axis=0).T
            return as_forecast(np.repeat(told[None], request.horizon, axis=0), context, request)

    now = jumped["time"].values[-1]
    adapted = attempt(RecentStatistics(), Mean(), jumped, request(now))
    assert adapted.kept and isinstance(adapted.forecaster, Recent) and adapted.forecaster.rows <= 336
    assert adapted.receipt.loss_after < 0.3 * adapted.receipt.loss_before


@pytest.mark.parametrize("rung", PEERS[:2], ids=lambda rung: rung.name)
def test_a_constant_error_is_corrected_behind_any_forecaster(rung: OutputRung) -> None:
    adapted = attempt(rung, Flat(), panel(), request())
    assert adapted.kept and adapted.receipt.loss_after < 0.9 * adapted.receipt.loss_before


@pytest.mark.parametrize("rung", PEERS, ids=lambda rung: rung.name)
def test_what_is_known_after_now_is_never_read_and_bad_input_does_no_harm(rung: Rung) -> None:
    never_reads_later(rung)
    stands_bad_input(rung)


def test_nothing_learned_changes_nothing() -> None:
    median, width = np.random.default_rng(0).normal(size=(24, 3)), np.ones((24, 3))
    for one in (GatedCorrection(24, 3), SpectralCorrection(24, 3)):
        np.testing.assert_allclose(one.shift(median, width, NOW), 0.0, atol=1e-12)
