"""How often one address may ask, and how often it may be wrong: a token bucket, and a count of wrong tokens."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

MOST_ADDRESSES = 10_000  # that are remembered: the one that asked longest ago is forgotten first
BURST_SECONDS = 10.0  # for which a bucket that is full allows twice the rate
WRONG, WRONG_SECONDS = 10, 60.0  # wrong tokens from one address in that time, after which it is shut out as long


def asker(address: str) -> str:
    """Whom a limit concerns: an address, of IPv6 the network of 64 bits, which one machine has to itself.

    >>> asker("192.0.2.7"), asker("2001:db8::1"), asker("a pipe")
    ('192.0.2.7', '2001:db8::/64', 'a pipe')
    """
    try:
        if ip_address(address).version == 4:
            return address
        return str(ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


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


@dataclass
class _Wrong:
    count: int
    since: float


class WrongTokens:
    """Counts wrong tokens: after ``WRONG`` within ``WRONG_SECONDS`` an asker is shut out for as long, right or wrong.

    Examples
    --------
    >>> tried = WrongTokens()
    >>> for _ in range(10):
    ...     tried.count("ann", 0.0)
    >>> tried.wait("ann", 1.0), tried.wait("ben", 1.0), tried.wait("ann", 61.0)
    (59.0, 0.0, 0.0)
    """

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Wrong] = OrderedDict()

    def count(self, asker: str, now: float) -> None:
        """One more wrong token at ``now``, seconds."""
        held = self._held.pop(asker, None)
        if held is None or now - held.since >= WRONG_SECONDS:
            held = _Wrong(0, now)
        held.count += 1
        if held.count == WRONG:
            held.since = now  # from now on it is shut out
        self._held[asker] = held
        if len(self._held) > MOST_ADDRESSES:
            self._held.popitem(last=False)

    def wait(self, asker: str, now: float) -> float:
        """Seconds for which the asker is still shut out; 0: it is not."""
        held = self._held.get(asker)
        if held is None or held.count < WRONG:
            return 0.0
        return max(0.0, held.since + WRONG_SECONDS - now)
