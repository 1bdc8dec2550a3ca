"""The guard of one child of ``terracast up``: nothing of the child outlives ``up``, however that ended.

Run as ``python -m flows.running.guard SECONDS COMMAND …`` with a pipe as standard input, of which ``up`` holds the
other end. When that end closes, by a word or because ``up`` was killed, the child and all that it started are told to
end, and after ``SECONDS`` killed. A child that ends with the status ``AGAIN`` is started again. It imports nothing
heavy: one stands beside each child for as long as it lives.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

BECOME_PARENT_OF_ORPHANS, END_WITH_PARENT = 36, 1  # Linux: PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG
POLL = 0.2  # seconds
AGAIN = 75  # the exit status by which a child asks to be started again (EX_TEMPFAIL of sysexits.h)


def guard(command: list[str], label_timeout: float) -> int:
    """Run ``command`` in a session of its own until it ends for good or standard input does; answers its exit
    status."""
    _ask_linux(BECOME_PARENT_OF_ORPHANS, 1)
    for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, signal.SIG_IGN)  # the pipe alone speaks for ``up``
    status: int | None = AGAIN
    while status == AGAIN:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_listen_again)
        while (status := child.poll()) is None:
            if select.select([0], [], [], POLL)[0] and not os.read(0, 1):
                break
        _end(child, label_timeout)
    return child.returncode or 0


def _listen_again() -> None:
    """Signals as a program expects them: what was ignored here would be ignored by the child, too."""
    for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, signal.SIG_DFL)
    _ask_linux(END_WITH_PARENT, signal.SIGTERM)  # should the guard itself be killed


def _ask_linux(what: int, value: int) -> None:
    """Set an attribute of this process; elsewhere there is no such call, and the pipe does nearly as well."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _end(child: subprocess.Popen[bytes], label_timeout: float) -> None:
    """Tell the whole session to end, wait for it, kill what is left."""
    deadline = time.monotonic() + label_timeout
    for told in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, told)
        while time.monotonic() < deadline and _lives(child):
            time.sleep(0.05)
        deadline = time.monotonic() + 2.0
        if not _lives(child):
            return


def _lives(child: subprocess.Popen[bytes]) -> bool:
    child.poll()
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(guard(sys.argv[2:], float(sys.argv[1])))
