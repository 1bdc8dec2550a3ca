"""The native model's network: a residual perceptron from an input vector to quantiles that cannot cross."""

from __future__ import annotations

import torch
from torch import nn

from terracast.stfm.mlp.windows import InputLayout

REACH = 8.0  # the median cannot leave the level by more than this in z
RANK = 4


class Block(nn.Module):
    """x + W2 gelu(W1 norm(x)): a step that starts near the identity."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, width)
        self.back = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.back(self.dropout(nn.functional.gelu(self.wide(self.norm(x)))))


class Network(nn.Module):
    """From inputs (window, layout.inputs) to z quantiles (window, horizon, quantile), non-decreasing.

    The median is the level plus a linear map of the target's patches plus what the perceptron says; the other
    quantiles stand off from it by cumulated softplus widths. Widths of one lead are a linear map of ``RANK``
    features, so that the size grows with the horizon, not with horizon × quantiles.

    >>> layout = InputLayout(lookback=24, horizon=6, quantiles=(0.1, 0.5, 0.9))
    >>> network = Network(layout, width=16, depth=1, dropout=0.0)
    >>> z = network(torch.zeros(2, layout.inputs), torch.zeros(2, len(layout.patches)), torch.zeros(2))
    >>> tuple(z.shape), bool((z.diff(dim=2) >= 0).all())
    ((2, 6, 3), True)
    """

    def __init__(self, layout: InputLayout, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        quantiles, horizon = layout.quantiles, layout.horizon
        self.horizon = horizon
        self.below = min(range(len(quantiles)), key=lambda index: abs(quantiles[index] - 0.5))
        self.thinned = nn.Dropout(dropout / 2)
        self.entry = nn.Linear(layout.inputs, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(len(layout.patches), horizon, bias=False)
        self.median = nn.Linear(width, horizon)
        self.shape = nn.Linear(width, horizon * RANK)
        self.width_bias = nn.Parameter(torch.full((horizon, len(quantiles) - 1), -2.0))
        self.width_map = nn.Parameter(torch.randn(RANK, len(quantiles) - 1) * 0.3)
        for tensor in (self.linear.weight, self.median.weight, self.median.bias):
            nn.init.zeros_(tensor)

    def forward(self, inputs: torch.Tensor, patches: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        x = self.entry(self.thinned(inputs))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        move = self.median(x) + self.linear(patches)
        median = level[:, None] + REACH * torch.tanh(move / REACH)
        shape = self.shape(x).view(-1, self.horizon, RANK)
        steps = nn.functional.softplus(shape @ self.width_map + self.width_bias)
        above = median[:, :, None] + steps[:, :, self.below:].cumsum(2)
        below = median[:, :, None] - steps[:, :, :self.below].flip(2).cumsum(2).flip(2)
        return torch.cat([below, median[:, :, None], above], 2)
