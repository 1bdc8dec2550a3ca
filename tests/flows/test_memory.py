"""A process that keeps little of what it frees."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from terracast.flows.running.memory import CHOSEN, give_back, keep_little

A_PROCESS = """
import ctypes, sys
import numpy as np
from terracast.flows.running.memory import keep_little
print(keep_little())

def resident():
    status = open("/proc/self/status").read().split()
    return int(status[status.index("VmRSS:") + 1])

big, between = [], []
for _ in range(40):  # each goes once: the C library would take the next ones from memory of its own, and keep it
    big.append(np.ones(3 << 17)), between.append(np.ones(100))
    big.pop()
before = resident()
for _ in range(40):
    big.append(np.ones(3 << 17)), between.append(np.ones(100))
big.clear()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU C library is not here")
@pytest.mark.parametrize("chosen", [False, True])
def test_what_is_freed_goes_back_unless_the_user_chose_otherwise(chosen: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    environment |= {"MALLOC_ARENA_MAX": "3"} if chosen else {}
    done = subprocess.run([sys.executable, "-c", A_PROCESS], env=environment, check=True, text=True,
                          stdout=subprocess.PIPE)
    kept, grown = done.stdout.split()
    assert kept == str(not chosen)
    if not chosen:
        assert int(grown) < 3 << 10, "3 MiB for each of 40 arrays must not stay"


def test_asking_again_harms_nothing() -> None:
    assert keep_little() == keep_little()
    give_back()
