"""A disk that is too small: a command with a file system of its own, in memory, that few bytes fill."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def run_alone(*command: str) -> subprocess.CompletedProcess[str]:
    """A command, and what it said."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def mounted(folder: Path, options: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command with a small disk of its own at ``folder``; skips where this user may not mount one."""
    if run_alone("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)).returncode:
        pytest.skip("no small disk can be mounted here")
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return run_alone("unshare", "-rm", "bash", "-c", script, str(folder), *command)
