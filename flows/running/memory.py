"""The memory of a process that lives for years: what it frees goes back to the system.

The GNU C library keeps freed memory for later: in up to eight arenas for each core, one for every thread that asks
(the store's library starts many), and, once a large array was freed, all arrays up to 32 MiB within them. A loop of
steps would grow with every one. Elsewhere than on Linux with that library nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Any

# names and numbers of mallopt(3); a threshold that is set no longer rises by itself
ARENAS, TRIM, MAPPED = (-8, 2), (-1, 1 << 20), (-3, 1 << 20)  # bytes: of free memory at the end, of an array of its own
CHOSEN = ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_little() -> bool:
    """Let the C library keep little of what is freed; call it before threads begin. Whoever set the environment
    variables of malloc otherwise is obeyed. Answers whether it was done."""
    library = _library()
    if library is None or any(name in os.environ for name in CHOSEN):
        return False
    return {library.mallopt(option, value) for option, value in (ARENAS, TRIM, MAPPED)} == {1}


def settle() -> None:
    """Take all that is there by now (the libraries) for what stays: looking for rings of dead objects, which Python
    does once their number has grown by a quarter of all, leaves it out from now on. Call it after the imports."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Free the rings of dead objects, and hand to the system what lies free between what is in use, too."""
    gc.collect()
    library = _library()
    if library is not None:
        library.malloc_trim(0)


def _library() -> Any:
    """The GNU C library, None where there is none."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
