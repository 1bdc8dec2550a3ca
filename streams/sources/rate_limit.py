"""How often one address may do something; time is an argument, and memory is bounded however many addresses."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

import numpy as np

SECOND = np.timedelta64(1, "s")


class RateLimit:
    """Counts what each address does, and makes one wait that did it too often.

    A count begins with the first time and ends after ``window`` seconds. Who reached ``most`` within it waits for
    ``window`` seconds from then on. The ``most_addresses`` seen last are kept; the others are forgotten.

    Parameters
    ----------
    most : int
        How often within the window.
    window : int
        Length in seconds of the count and of the wait.
    most_addresses : int
        How many addresses are kept; about 200 bytes each.

    Examples
    --------
    >>> limit, noon = RateLimit(2, 60), np.datetime64("2024-01-01T12:00:00")
    >>> for second in (0, 10):
    ...     limit.count("192.0.2.1", noon + second)
    >>> limit.wait("192.0.2.1", noon + 11), limit.wait("192.0.2.2", noon + 11), limit.wait("192.0.2.1", noon + 70)
    (59, 0, 0)
    """

    def __init__(self, most: int, window: int = 60, most_addresses: int = 10_000) -> None:
        self.most, self.window, self.most_addresses = most, window, most_addresses
        self._held: OrderedDict[str, tuple[np.datetime64, int]] = OrderedDict()

    def wait(self, address: str, now: np.datetime64) -> int:
        """Seconds (rounded up) that the address has to wait, 0: it may go on."""
        since, count = self._held.get(address, (now, 0))
        left = self.window - (now - since) / SECOND
        return math.ceil(left) if count >= self.most and 0 < left <= self.window else 0

    def count(self, address: str, now: np.datetime64) -> None:
        """Count one time; once it is enough, the wait begins at ``now``. O(1)."""
        since, count = self._held.pop(address, (now, 0))
        if not 0 <= (now - since) / SECOND < self.window:  # over, or the clock was set back
            since, count = now, 0
        self._held[address] = (now if count + 1 >= self.most else since, count + 1)
        if len(self._held) > self.most_addresses:
            self._held.popitem(last=False)

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
