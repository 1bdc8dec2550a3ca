"""The base model's network, read top to bottom: patches in, attention over time and space, quantiles out.

Shapes: W windows (issue times), N nodes, T = C + F patches of PATCH steps (C of context, F ahead), D width.
Cost of one forward pass: O(W N T (T D + D²)) over time and O(W T N (M + NEIGHBOURS + drivers) D) over space:
linear in nodes, because a node attends to M inducing points (Lee et al. 2019, Set Transformer), to its nearest
neighbours and to its own drivers, never to all other nodes. Memory: one (W, N, T, D) tensor and a few chunks of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from terracast.stfm.base.baselines import NAMES, STATISTICS
from terracast.stfm.base.seasons import FEATURES
from terracast.stfm.base.window import PATCH, WindowTensors
from terracast.stfm.forecaster import QUANTILES

ANCHOR = NAMES.index("profile + persistence")
MEDIAN = QUANTILES.index(0.5)
RANK = 4
COUNTS = 3  # parameters of the count head: log mean, log dispersion, zero share
CHUNK = 2048  # node series that go through time attention at once outside training


@dataclass(frozen=True)
class Size:
    """Width D, layers, heads, inducing points M."""

    width: int = 128
    layers: int = 6
    heads: int = 4
    inducing: int = 8


@dataclass(frozen=True)
class Batch(WindowTensors):
    """Windows side by side: every field with a leading W; ``real`` (W, N): not filling."""

    real: torch.Tensor


@dataclass(frozen=True)
class ForecastOutput:
    """Quantiles in z (W, N, lead, quantile), rising; count parameters (W, N, lead, COUNTS); states (W, N, T, D)."""

    quantiles: torch.Tensor
    counts: torch.Tensor
    states: torch.Tensor


class BaseNetwork(nn.Module):
    """Windows to quantile forecasts; every weight is shared by all nodes, steps and domains."""

    heads = ("trust", "added", "shape", "widths", "width_bias", "counting")

    def __init__(self, size: Size) -> None:
        super().__init__()
        width, readings = size.width, len(NAMES)
        self.size = size
        self.past = PatchEmbedding(3 * PATCH + FEATURES, width)
        self.ahead = PatchEmbedding((readings + 2) * PATCH + readings + STATISTICS + FEATURES, width)
        self.driver = PatchEmbedding(2 * PATCH + FEATURES, width)
        self.told = nn.Linear(STATISTICS, width)
        self.time = nn.ModuleList(TimeLayer(size) for _ in range(size.layers))
        self.space = nn.ModuleList(SpaceLayer(size) for _ in range(size.layers // 2))
        self.norm = nn.LayerNorm(width)
        self.trust = nn.Linear(width, readings * PATCH)
        self.added = nn.Linear(width, PATCH)
        self.shape = nn.Linear(width, PATCH * RANK)
        self.widths = nn.Parameter(torch.randn(RANK, len(QUANTILES) - 1) * 0.2)
        self.width_bias = nn.Parameter(torch.full((len(QUANTILES) - 1,), -1.3))
        self.counting = nn.Linear(width, PATCH * COUNTS)
        for layer in (self.trust, self.added, self.counting):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch) -> ForecastOutput:
        return self.tell(self.look(batch), batch)

    def look(self, batch: Batch) -> torch.Tensor:
        """What the network makes of the windows: states (W, N, T, D)."""
        context, patches = batch.values.shape[2], batch.circles.shape[1]
        x = self._tokens(batch, context, patches - context)
        drivers = self._driver_tokens(batch)
        turn = rotations(patches, x.shape[-1] // self.size.heads, context, x.device)
        for depth, layer in enumerate(self.time):
            x = in_chunks(partial(layer, turn=turn), x.flatten(0, 1)).view(x.shape)
            if depth % 2 == 0 and depth // 2 < len(self.space):
                x = self.space[depth // 2](x, drivers, batch)
        states: torch.Tensor = self.norm(x)
        return states

    def tell(self, states: torch.Tensor, batch: Batch) -> ForecastOutput:
        """Forecasts from states: the heads."""
        future = states[:, :, batch.values.shape[2]:]
        lead = (*future.shape[:2], future.shape[2] * PATCH)
        median = self._median(future, batch, lead)
        shape = self.shape(future).view(*lead, RANK)
        steps = functional.softplus(shape @ self.widths + self.width_bias) * batch.spread[..., None]
        above = median[..., None] + steps[..., MEDIAN:].cumsum(-1)
        below = median[..., None] - steps[..., :MEDIAN].flip(-1).cumsum(-1).flip(-1)
        quantiles = torch.cat([below, median[..., None], above], -1)
        return ForecastOutput(quantiles, self.counting(future).view(*lead, COUNTS), states)

    def _tokens(self, batch: Batch, context: int, ahead: int) -> torch.Tensor:
        """One token a patch: what was seen, what the readings say of what comes, the calendar."""
        windows, nodes = batch.values.shape[:2]
        circles = batch.circles[:, None].expand(-1, nodes, -1, -1)
        past = self.past(torch.cat([batch.values, batch.known, batch.rest, circles[:, :, :context]], -1))
        anchor = batch.readings[:, :, ANCHOR:ANCHOR + 1]
        said = torch.cat([2 * (batch.readings - anchor), anchor], 2).asinh()  # differences are small beside the level
        said = said.view(windows, nodes, -1, ahead, PATCH).transpose(2, 3).flatten(3)
        same = torch.cat([batch.available.float(), batch.statistics], -1)[:, :, None].expand(-1, -1, ahead, -1)
        future = self.ahead(torch.cat([said, batch.spread.view(windows, nodes, ahead, PATCH).log(), same,
                                       circles[:, :, context:]], -1))
        return torch.cat([past, future], 2) + self.told(batch.statistics)[:, :, None]

    def _driver_tokens(self, batch: Batch) -> torch.Tensor:
        """Tokens (W, N, driver, T, D) of the drivers, already moved by their lag."""
        circles = batch.circles[:, None, None].expand(*batch.drivers.shape[:3], -1, -1)
        entered: torch.Tensor = self.driver(torch.cat([batch.drivers, batch.drivers_known, circles], -1))
        return entered

    def _median(self, future: torch.Tensor, batch: Batch, lead: tuple[int, int, int]) -> torch.Tensor:
        """What the readings say, each as far as it is trusted, plus what the network adds."""
        readings = len(NAMES)
        trust = self.trust(future).view(*future.shape[:3], readings, PATCH)
        trust = trust.masked_fill(~batch.available[:, :, None, :, None], -1e4).softmax(3)
        said = batch.readings.view(*batch.readings.shape[:3], -1, PATCH).transpose(2, 3)
        mixed = (trust * said).sum(3)
        return mixed.reshape(lead) + self.added(future).reshape(lead) * batch.spread


class PatchEmbedding(nn.Module):
    """Features of a patch into a token: a residual perceptron."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, width)
        self.bent = nn.Linear(inputs, 2 * width)
        self.back = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        entered: torch.Tensor = self.straight(x) + self.back(functional.gelu(self.bent(x)))
        return entered


class TimeLayer(nn.Module):
    """Attention over the patches of one node, with rotary positions (Su et al. 2021), and a perceptron."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.before = nn.LayerNorm(size.width)
        self.mix = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.between = nn.LayerNorm(size.width)
        self.wide = nn.Linear(size.width, 3 * size.width)
        self.back = nn.Linear(3 * size.width, size.width)

    def forward(self, x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        series, patches, width = x.shape
        mixed = self.mix(self.before(x)).view(series, patches, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(apply_rotary(query, turn), apply_rotary(key, turn), value)
        x = x + self.out(seen.transpose(1, 2).reshape(series, patches, width))
        moved: torch.Tensor = x + self.back(functional.gelu(self.wide(self.between(x))))
        return moved


class SpaceLayer(nn.Module):
    """At each patch a node attends to M summaries of the network, its neighbours (with where they lie), its drivers
    and itself; the summaries are themselves attention of M learned queries over all nodes."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.before = nn.LayerNorm(size.width)
        self.inducing = nn.Parameter(torch.randn(size.inducing, size.width) * 0.3)
        self.query = nn.Linear(size.width, size.width)
        self.both = nn.Linear(size.width, 2 * size.width)
        self.where = nn.Linear(3, size.width)
        self.kind = nn.Parameter(torch.randn(4, size.width) * 0.1)  # summary, neighbour, driver, itself
        self.out = nn.Linear(size.width, size.width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor, drivers: torch.Tensor, batch: Batch) -> torch.Tensor:
        if torch.is_grad_enabled() or x.shape[1] <= CHUNK:
            return x + self._seen(x, drivers, batch)
        patches = range(x.shape[2])  # one patch at a time: what is gathered around each node is large
        return torch.cat([x[:, :, at:at + 1] + self._seen(x[:, :, at:at + 1], drivers[:, :, :, at:at + 1], batch)
                          for at in patches], 2)

    def _seen(self, x: torch.Tensor, drivers: torch.Tensor, batch: Batch) -> torch.Tensor:
        width = x.shape[-1]
        flat = self.before(x).transpose(1, 2)  # (W, T, N, D)
        summaries = self._summaries(flat, batch.real) + self.kind[0]
        around = self._around(flat, batch) + self.kind[1]  # (W, T, N, K, D)
        own = torch.cat([drivers.permute(0, 3, 1, 2, 4) + self.kind[2], flat[:, :, :, None] + self.kind[3]], 3)
        query = self._split(self.query(flat))  # (W, T, N, h, d)
        keys_shared, values_shared = self._split(self.both(summaries)).chunk(2, -1)  # (W, T, M, h, d)
        keys_own, values_own = self._split(self.both(torch.cat([around, own], 3))).chunk(2, -1)
        scores = torch.cat([torch.einsum("wtnhd,wtmhd->wtnhm", query, keys_shared),
                            torch.einsum("wtnhd,wtnkhd->wtnhk", query, keys_own)], -1) / (width / self.heads) ** 0.5
        scores = scores.masked_fill(self._absent(batch, drivers.shape[2])[:, None, :, None], -1e4)
        weights = scores.softmax(-1)
        shared = summaries.shape[2]
        seen = torch.einsum("wtnhm,wtmhd->wtnhd", weights[..., :shared], values_shared)
        seen = seen + torch.einsum("wtnhk,wtnkhd->wtnhd", weights[..., shared:], values_own)
        found: torch.Tensor = self.out(seen.flatten(3)).transpose(1, 2)
        return found

    def _summaries(self, flat: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """M inducing points at each patch (W, T, M, D): what the whole network is doing."""
        keys, values = self._split(self.both(flat)).chunk(2, -1)
        query = self.inducing.view(-1, self.heads, self.inducing.shape[1] // self.heads)
        scores = torch.einsum("mhd,wtnhd->wtmhn", query, keys) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~real[:, None, None, None], -1e4)
        return torch.einsum("wtmhn,wtnhd->wtmhd", scores.softmax(-1), values).flatten(3)

    def _around(self, flat: torch.Tensor, batch: Batch) -> torch.Tensor:
        index = torch.arange(len(flat), device=flat.device)[:, None, None]
        gathered = flat.transpose(1, 2)[index, batch.neighbours]  # (W, N, K, T, D)
        return gathered.permute(0, 3, 1, 2, 4) + self.where(batch.offsets)[:, None]

    def _absent(self, batch: Batch, drivers: int) -> torch.Tensor:
        """(W, N, key): keys that are not there."""
        windows, nodes = batch.real.shape
        keys = len(self.inducing) + batch.near.shape[2] + drivers + 1
        absent = torch.zeros(windows, nodes, keys, dtype=torch.bool, device=batch.real.device)
        absent[:, :, len(self.inducing):len(self.inducing) + batch.near.shape[2]] = ~batch.near
        silent = ~(batch.drivers_known > 0).flatten(3).any(3)
        absent[:, :, len(self.inducing) + batch.near.shape[2]:-1] = silent
        return absent

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)


def in_chunks(layer: Callable[[torch.Tensor], torch.Tensor], series: torch.Tensor) -> torch.Tensor:
    """Apply ``layer`` to CHUNK series at a time outside training, so that memory does not grow with nodes."""
    if torch.is_grad_enabled() or len(series) <= CHUNK:
        return layer(series)
    return torch.cat([layer(part) for part in series.split(CHUNK)])


def rotations(patches: int, width: int, context: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of rotary positions, counted from the issue time."""
    position = torch.arange(patches, device=device) - context
    rates = 100.0 ** (-torch.arange(0, width, 2, device=device) / width)
    angle = position[:, None] * rates
    return angle.cos(), angle.sin()


def apply_rotary(x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotate pairs of features by their position."""
    one, other = x.chunk(2, -1)
    cosine, sine = turn
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)


