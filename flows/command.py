"""The ``terracast`` command: every verb calls one plain function and prints its answer.

Exit code 0: calm; 1: error, told in one line; 3: drift or a silent source. ``--json`` prints one JSON object on
standard output. ``--debug`` shows the traceback of an error.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from terracast.flows.benches import verbs as bench_verbs
from terracast.flows.cli import alerts, archive, begin, data, forecast, loop, models, reading, serving
from terracast.flows.cli import store as store_verbs
from terracast.flows.cli.leaving import leave
from terracast.flows.running.memory import keep_little
from terracast.flows.scorecards.scorecard import scorecard
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.terminal.output import ERROR, note
from terracast.streams.errors import TerracastError

# A quiet terminal, no telemetry, and threads that sleep while they wait for each other (else two on a busy machine take
# eight times as long as one), before Prefect, MLflow or torch is imported; whoever sets them otherwise is obeyed.
for _name, _value in {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "ERROR",
                      "PREFECT_CLI_PROMPT": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1",
                      "PREFECT_LOGGING_TO_API_ENABLED": "false", "OMP_WAIT_POLICY": "passive"}.items():
    os.environ.setdefault(_name, _value)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for _group in (begin, data, loop, forecast, serving, models, reading, alerts, archive):
    _group.register(app)
app.add_typer(bench_verbs.app, name="bench")
app.add_typer(store_verbs.app, name="store")
app.command()(scorecard)


@app.callback()
def terracast(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Keeps spatio-temporal forecasts true while the world changes."""


def run_verb() -> None:
    """Run the verb typed; what goes wrong is one line and exit code 1, with ``--debug`` (anywhere) the traceback."""
    arguments = [one for one in sys.argv[1:] if one != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except Exception as error:
        if debug:
            raise
        known = isinstance(error, TerracastError)
        note(f"error: {error if known else in_one_line(error, ' '.join(arguments[:1]))}")
        sys.exit(ERROR)


def main() -> NoReturn:
    """The command as a process: runs the verb typed, then ends with its exit code."""
    keep_little()
    try:
        run_verb()
    except SystemExit as ended:
        leave(ended.code if isinstance(ended.code, int) else ERROR if ended.code else 0)
    except BaseException:
        traceback.print_exc()
        leave(ERROR)
    leave(0)
