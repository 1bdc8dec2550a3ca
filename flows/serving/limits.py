"""How often one address may ask of ``terracast serve``: a token bucket. Wrong tokens count as for pushed data."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address

MOST_ADDRESSES = 10_000  # that are remembered: the one that asked longest ago is forgotten first
BURST_SECONDS = 10.0  # for which a bucket that is full allows twice the rate


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it.

    >>> [is_loopback(one) for one in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", "example.org")]
    [True, True, True, False, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RequestRate:
    """A bucket for each asker, which holds ``BURST_SECONDS`` of the rate and fills at the rate.

    Parameters
    ----------
    rate : float
        Requests a second.

    Examples
    --------
    >>> limit = RequestRate(rate=0.5)
    >>> [limit.wait("ann", now) for now in (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)], limit.wait("ben", 0.0)
    ([0.0, 0.0, 0.0, 0.0, 0.0, 2.0], 0.0)
    """

    def __init__(self, rate: float) -> None:
        self.rate, self.most = rate, max(1.0, rate * BURST_SECONDS)
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, asker: str, now: float) -> float:
        """Take one request at ``now`` (seconds); 0, or seconds until there is room for one."""
        left, then = self._held.pop(asker, (self.most, now))
        left = min(self.most, left + (now - then) * self.rate)
        allowed = left >= 1
        self._held[asker] = left - 1 if allowed else left, now
        if len(self._held) > MOST_ADDRESSES:
            self._held.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.rate
