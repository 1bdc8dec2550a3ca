"""A step of ``terracast watch --once`` that something happens to, and the comparison with undisturbed ones.

What is run is the command itself, in a process of its own: killed at an instant, or with files that may not grow.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from terracast.flows.workspace import Workspace

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()", "watch", "--once"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def watched(folder: Path, now: np.datetime64, preexec: Callable[[], object] | None = None
            ) -> subprocess.CompletedProcess[str]:
    """One step as a user takes it; ``preexec`` is done in its process before it begins."""
    return subprocess.run([*COMMAND, "--now", np.datetime_as_string(now, "s")], cwd=folder, env=ENVIRONMENT,
                          capture_output=True, text=True, preexec_fn=preexec)


def no_room(size: int = 16) -> None:
    """No file of this process may become longer than ``size`` bytes: what a disk that is full does to a step."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def killed_run(folder: Path, now: np.datetime64, after: float) -> float | None:
    """None where the kill hit, or the seconds that the run took before it could."""
    began = time.monotonic()
    process = subprocess.Popen([*COMMAND, "--now", np.datetime_as_string(now, "s")], cwd=folder, env=ENVIRONMENT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return None
    return time.monotonic() - began


def assert_equal_stores(one: Workspace, two: Workspace, files: Mapping[str, int],
                        same_trees: Callable[[object, object], None]) -> None:
    """Observations, forecasts, scores, cursors and the state of the loop, all to the bit; ``files``: how many files of
    each domain both took in (of ``two`` more may be known: copies of the same)."""
    left, right = one.store.read(), two.store.read()
    for domain in files:
        xr.testing.assert_identical(left.history().recorded(domain).panel, right.history().recorded(domain).panel)
    target = one.settings.stream.domain
    for name in (f"forecasts/{target}", f"scores/{target}"):
        xr.testing.assert_identical(left.ledger(name), right.ledger(name))
    for source in one.settings.sources:
        name = f"{source.domain}:{source.path}"
        theirs, ours = ({os.path.basename(path): digest for path, (digest, _, _) in view.cursor(name).items()}
                        for view in (left, right))
        assert theirs.items() <= ours.items() and len(theirs) == files[source.domain]
    same_trees(left.state("loop"), right.state("loop"))


def assert_equal_versions(one: Workspace, two: Workspace, count: int) -> None:
    """The same versions by lineage, each once, and the same aliases."""
    ours, theirs = ([version.lineage.key for version in each.registry.versions()] for each in (one, two))
    assert ours == theirs and len(set(ours)) == len(ours) == count, (ours, theirs)
    assert one.registry.aliases() == two.registry.aliases()
