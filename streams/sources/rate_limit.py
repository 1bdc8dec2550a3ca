"""How often one address may do something; time is an argument, and memory is bounded however many addresses."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict


class RateLimit:
    """Counts what each address does, and makes one wait that did it too often.

    Either what was done is forgotten bit by bit (``refills``, a token bucket: who waits is let in as soon as there is
    room for one), or all at once, ``window`` seconds after the first time; who reached ``most`` by then waits for
    ``window`` seconds from then on. The first suits requests, of which many are well meant, the second guesses.

    Parameters
    ----------
    most : float
        How often within the window; with ``refills`` also how often at once. 1 at least.
    window : float
        Seconds in which ``most`` are forgotten.
    refills : bool
        Whether bit by bit.
    most_addresses : int
        How many addresses are kept, those seen last; about 200 bytes each.

    Examples
    --------
    >>> guesses = RateLimit(2, 60)
    >>> for second in (0.0, 10.0):
    ...     guesses.count("192.0.2.1", second)
    >>> guesses.wait("192.0.2.1", 11.0), guesses.wait("192.0.2.2", 11.0), guesses.wait("192.0.2.1", 70.0)
    (59, 0, 0)
    >>> requests = RateLimit(5, 10, refills=True)
    >>> for _ in range(5):
    ...     requests.count("192.0.2.1", 0.0)
    >>> [requests.wait("192.0.2.1", second) for second in (0.0, 1.5, 2.0)]
    [2, 1, 0]
    """

    def __init__(self, most: float, window: float = 60, *, refills: bool = False, most_addresses: int = 10_000) -> None:
        self.most, self.window, self.refills, self.most_addresses = max(1.0, most), window, refills, most_addresses
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str, now: float) -> int:
        """Seconds (rounded up) that the address has to wait at ``now`` (seconds), 0: it may go on."""
        since, count = self._left(address, now)
        if self.refills:
            return max(0, math.ceil((count + 1 - self.most) * self.window / self.most - 1e-6))
        return math.ceil(self.window - (now - since)) if count >= self.most else 0

    def count(self, address: str, now: float) -> None:
        """Count one time at ``now`` (seconds). O(1)."""
        since, count = self._left(address, now)
        self._held.pop(address, None)
        begins = self.refills or count + 1 >= self.most
        self._held[address] = (now if begins else since, count + 1)
        if len(self._held) > self.most_addresses:
            self._held.popitem(last=False)

    def _left(self, address: str, now: float) -> tuple[float, float]:
        """Since when how much is counted; nothing of what is over, nor after the clock was set back."""
        since, count = self._held.get(address, (now, 0.0))
        if not 0 <= now - since < self.window:
            return now, 0.0
        return since, max(0.0, count - (now - since) * self.most / self.window) if self.refills else count

    def __len__(self) -> int:
        """How many addresses are kept."""
        return len(self._held)


def counted_as(host: str) -> str:
    """What an address is counted as: of IPv6 the network of 64 bits, which one sender has to himself.

    >>> counted_as("192.0.2.1"), counted_as("2001:db8::1:2:3:4"), counted_as("::ffff:192.0.2.1"), counted_as("")
    ('192.0.2.1', '2001:db8::/64', '192.0.2.1', '')
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((int(address), 64), strict=False))
