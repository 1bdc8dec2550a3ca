"""The command ends with the code that it earned, after all that was begun."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDS = """
import atexit, sys, threading, time
from terracast.flows.cli.leaving import leave
class Broken:  # what a native library's thread does to an interpreter that is torn down
    def __del__(self):
        import os
        os.abort()
kept = Broken()
def slow():
    time.sleep(0.3)
    print("thread")
atexit.register(lambda: print("registered"))
threading.Thread(target=slow).start()
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)  # idle for ever, as dask's after a raster was read
pool.submit(int).result()
print("said", end=" ")
leave(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 3])
def test_threads_and_what_was_registered_end_first_and_the_code_stands(code: int) -> None:
    done = subprocess.run([sys.executable, "-c", ENDS, str(code)], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout.split(), done.stderr) == (code, ["said", "thread", "registered"], "")
