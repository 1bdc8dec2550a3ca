"""How many threads a forecast takes: waiting for each other costs more than a small network's work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

FEW = 100  # series; so many a single thread forecasts as fast as two on an idle machine, and far faster on a busy one


@contextmanager
def threads_for(series: int) -> Iterator[None]:
    """One thread within for few ``series``, else as many as torch was told to take.

    >>> with threads_for(12):
    ...     torch.get_num_threads()
    1
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1 if series <= FEW else usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
