"""The base model's network: its symmetries, and that chunks, filling and chance change nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import nbinom, poisson

from terracast.stfm.base import network as module
from terracast.stfm.base.counts import quantiles, surprise
from terracast.stfm.base.network import BaseNetwork, Batch, Size
from terracast.stfm.base.panel_tensors import panel_tensors
from terracast.stfm.base.training_batch import collated
from terracast.stfm.base.window import cut
from tests.stfm.base_panels import HOUR, panel

SMALL = Size(width=32, layers=2, heads=2, inducing=4)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = BaseNetwork(SMALL).eval()
    with torch.no_grad():  # nothing starts at zero, or the tests would see nothing of it
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return made


def batch(nodes: int = 5, **parts) -> Batch:
    given_panel = panel(nodes=nodes)
    scene = panel_tensors(given_panel, "flow", HOUR, until=given_panel["time"].values[-1], ahead=0, **parts)
    return collated([cut(scene, 600, 40), cut(scene, 700, 40)])


def answer(network, given_batch):
    with torch.inference_mode():
        return network(given_batch)


def test_quantiles_rise_and_are_finite(network):
    told = answer(network, batch()).quantiles
    assert told.shape == (2, 5, 64, 11)
    assert torch.isfinite(told).all() and (told.diff(dim=-1) >= 0).all()


def test_the_order_of_nodes_does_not_matter(network):
    given_batch = batch()
    order = torch.tensor([3, 0, 4, 1, 2])
    back = order.argsort()
    parts = {name: value if name == "circles" else value[:, order] for name, value in vars(given_batch).items()}
    parts["neighbours"] = back[parts["neighbours"]]
    told, mixed = answer(network, given_batch).quantiles, answer(network, Batch(**parts)).quantiles
    torch.testing.assert_close(told[:, order], mixed, atol=1e-4, rtol=1e-4)


def test_filling_up_nodes_does_not_change_the_others(network):
    small, large = panel(nodes=3), panel(nodes=6)
    scenes = [panel_tensors(one, "flow", HOUR, until=one["time"].values[-1], ahead=0) for one in (small, large)]
    alone = answer(network, collated([cut(scenes[0], 600, 40)])).quantiles
    beside = answer(network, collated([cut(scenes[0], 600, 40), cut(scenes[1], 600, 40)])).quantiles
    torch.testing.assert_close(alone[0], beside[0, :3], atol=1e-4, rtol=1e-4)


def test_chunks_change_nothing(network, monkeypatch):
    given_batch = batch()
    whole = answer(network, given_batch).quantiles
    monkeypatch.setattr(module, "CHUNK", 3)
    torch.testing.assert_close(answer(network, given_batch).quantiles, whole, atol=1e-4, rtol=1e-4)


def test_neighbours_drivers_and_the_network_are_heard(network):
    given_batch = batch()
    told = answer(network, given_batch).quantiles
    deaf = replace(given_batch, near=torch.zeros_like(given_batch.near))
    assert (answer(network, deaf).quantiles - told).abs().max() > 1e-5
    dry = replace(given_batch, drivers_known=torch.zeros_like(given_batch.drivers_known))
    assert (answer(network, dry).quantiles - told).abs().max() > 1e-5
    alone = replace(given_batch, real=torch.arange(5).expand(2, -1) < 4)
    assert (answer(network, alone).quantiles - told)[:, :4].abs().max() > 1e-6


def test_surprise_is_that_of_scipy():
    counts = torch.arange(6.0)
    mean, dispersion = torch.full((6,), 2.3), torch.full((6,), 1.7)
    wanted = -nbinom.logpmf(counts.numpy(), 1.7, 1.7 / (1.7 + 2.3))
    np.testing.assert_allclose(surprise(counts, mean, dispersion, torch.zeros(6)), wanted, rtol=1e-4)
    inflated = surprise(counts, mean, dispersion, torch.full((6,), 0.3))
    np.testing.assert_allclose(float(torch.exp(-inflated[0])), 0.3 + 0.7 * np.exp(-wanted[0]), rtol=1e-4)
    assert abs(float(torch.exp(-surprise(torch.arange(400.0), mean[:1], dispersion[:1], torch.full((400,), 0.3))).sum())
               - 1) < 1e-3


def test_count_quantiles_are_those_of_poisson_at_large_dispersion_and_of_draws_with_extra_zeros():
    levels = (0.05, 0.5, 0.95)
    told = quantiles(np.array([3.0]), np.array([1e7]), np.array([0.0]), levels)
    np.testing.assert_array_equal(told[0], poisson.ppf(levels, 3.0))
    chance = np.random.default_rng(0)
    draws = chance.negative_binomial(2.0, 2.0 / (2.0 + 5.0), 200_000) * (chance.random(200_000) > 0.4)
    told = quantiles(np.array([5.0]), np.array([2.0]), np.array([0.4]), levels)
    np.testing.assert_allclose(told[0], np.quantile(draws, levels), atol=1.0)
