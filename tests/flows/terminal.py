"""Verbs typed one after the other in one process that stays: what costs seconds to import is imported once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

VERBS_ONE_AFTER_THE_OTHER = """
import contextlib, io, json, os, sys
from terracast.flows.command import run_verb
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["terracast", *json.loads(line)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_verb()
        except SystemExit as ended:
            code = ended.code or 0
    answers.write(json.dumps([code, out.getvalue(), err.getvalue()]) + chr(10))
    answers.flush()
"""


def without_server() -> dict[str, str]:
    """The environment without a Prefect server: verbs work without one."""
    return {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | {"OMP_NUM_THREADS": "1"}


@contextmanager
def terminal_in(folder: Path, log: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs the verbs that it is given in a folder; ``log``: for what the process says when it ends."""
    with log.open("w+") as said, subprocess.Popen(
            [sys.executable, "-c", VERBS_ONE_AFTER_THE_OTHER], cwd=folder, text=True, env=without_server(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as process:
        assert process.stdin is not None and process.stdout is not None
        to, of = process.stdin, process.stdout

        def tell(*arguments: str) -> subprocess.CompletedProcess[str]:
            to.write(json.dumps(arguments) + "\n")
            to.flush()
            answer = of.readline()
            assert answer, f"{arguments} ended the process: " + log.read_text()[-2000:]
            code, out, err = json.loads(answer)
            return subprocess.CompletedProcess(list(arguments), code, out, err)

        yield tell
        to.close()
