"""How the command ends: with the exit code that it earned, whatever threads of native libraries still do.

The store's library answers from threads of its own. One that is about to when the interpreter is torn down aborts the
whole process (one in 80 on a busy machine): a step that was committed would end as a failure, code 134.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """Wait for this program's own threads, run what was registered for the end, write out what was printed, and end
    without tearing the interpreter down.

    Pools of threads are told to end first, as the interpreter does: dask keeps one, whose idle threads never end alone.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
