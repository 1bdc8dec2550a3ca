"""The contract of a rung: a forecaster and what is known go in, an adapted forecaster with its receipt comes out.

A rung never changes the forecaster it is given: undoing it is going back to ``Adapted.undo``. ``attempt`` is how a
ladder calls a rung: whatever goes wrong inside, service goes on with what there was, and the receipt says why.
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from terracast.adapt.rungs.pairs import Pairs, in_blocks, losses_on, matured, up_to
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.errors import TerracastError
from terracast.streams.instant import instant

GAIN = 0.003  # smallest share of the loss that makes an adapted forecaster worth having: less is chance
BLOCKS = 3  # blocks of held-back issues without which nothing is believed
BROKEN = (TerracastError, ArithmeticError, RuntimeError, ValueError, np.linalg.LinAlgError)


class RungError(TerracastError):
    """A rung that cannot act on this model or on this little data."""


@dataclass(frozen=True)
class Receipt:
    """What one act of a rung was and what it was worth: JSON by ``as_json``.

    ``loss_before``, ``loss_after``: mean CRPS in spreads of the node on the newest matured pairs, which were held
    back from the learning (NaN where there are none). ``parameters``: numbers changed. ``seconds``: of the CPU.
    ``expires_at``: from when it should no longer serve unless renewed; None: when something better replaces it.
    """

    rung: str
    paper: str
    kept: bool
    why: str
    parameters: int
    pairs: int
    loss_before: float
    loss_after: float
    acted_at: np.datetime64
    expires_at: np.datetime64 | None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; a loss that is not a number becomes None."""
        told = asdict(self)
        for name in ("loss_before", "loss_after"):
            told[name] = None if not np.isfinite(told[name]) else round(float(told[name]), 6)
        return told | {"acted_at": str(self.acted_at), "expires_at": self.expires_at and str(self.expires_at)}


@dataclass(frozen=True)
class Adapted:
    """``forecaster`` is what the rung proposes (``undo`` itself, where it was dropped)."""

    forecaster: Forecaster
    receipt: Receipt
    undo: Forecaster

    @property
    def kept(self) -> bool:
        """Whether the rung changed anything that is worth serving."""
        return self.receipt.kept


@runtime_checkable
class Rung(Protocol):
    """One way to adapt. ``cost`` is a sentence with figures; ``expiry`` how long an act holds (None: until replaced).

    ``adapt``: ``known`` is the panel as known at ``request.issue_time``, which is now; rows after it are never read.
    Returns what ``judged`` makes. May raise ``TerracastError``; ``attempt`` turns that into a receipt.
    """

    @property
    def name(self) -> str: ...

    @property
    def paper(self) -> str: ...

    @property
    def cost(self) -> str: ...

    @property
    def expiry(self) -> np.timedelta64 | None: ...

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted: ...


def attempt(rung: Rung, forecaster: Forecaster, known: xr.Dataset, request: Request,
            clock: Callable[[], float] = stopwatch.process_time) -> Adapted:
    """Let the rung act; where it fails, explodes or cannot forecast, keep ``forecaster`` and say why."""
    began = clock()
    try:
        adapted = rung.adapt(forecaster, known, request)
        if adapted.kept:
            adapted.forecaster.forecast(up_to(known, request.issue_time), request)  # refuses NaN and crossing
    except BROKEN as error:
        receipt = Receipt(rung.name, rung.paper, False, f"dropped: {error}", 0, 0, np.nan, np.nan,
                          instant(request.issue_time), None)
        adapted = Adapted(forecaster, receipt, forecaster)
    return replace(adapted, receipt=replace(adapted.receipt, seconds=clock() - began))


def judged(rung: Rung, before: Forecaster, after: Forecaster, known: xr.Dataset, request: Request, *,
           parameters: int, why: str, pairs: Pairs | None = None, gain: float = GAIN) -> Adapted:
    """Compare ``after`` with ``before`` on held-back matured pairs and write the receipt.

    Kept if its loss is lower by the share ``gain`` and by a standard error of the differences, over blocks of
    one horizon (labels of neighbouring issues overlap); never on fewer than BLOCKS of these. Where nothing has matured,
    nothing can be said: kept, for a mixture to judge.
    """
    held = matured(known, request) if pairs is None else pairs
    now = instant(request.issue_time)
    expires = None if rung.expiry is None else now + rung.expiry
    firsts, lasts = losses_on(before, held), losses_on(after, held)
    begun, reached = (float(np.nanmean(one)) if np.isfinite(one).any() else np.nan for one in (firsts, lasts))
    kept, verdict = True, "no matured pair to judge it by"
    if held.held.size:
        differences = in_blocks(lasts - firsts, held)
        error = float(np.std(differences, ddof=1) / len(differences) ** 0.5) if len(differences) > 1 else np.inf
        better = np.isfinite(reached) and reached <= begun * (1 - gain) and float(np.mean(differences)) <= -error
        kept = bool(better and len(differences) >= BLOCKS)
        verdict = f"loss {begun:.4g} to {reached:.4g} on {len(held.held)} held-back issues ({len(differences)} blocks)"
    receipt = Receipt(rung.name, rung.paper, kept, f"{why}; {verdict}" if kept else f"dropped: {why}; {verdict}",
                      parameters, len(held.held), begun, reached, now, expires)
    return Adapted(after if kept else before, receipt, before)
