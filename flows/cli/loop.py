"""Verbs of the loop: ``watch``, ``up``, ``status``, ``metrics``, ``replay``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.cli.data import refuse, say_files
from terracast.flows.cli.forecast import say_short
from terracast.flows.cli.options import CONFIG, Config, Json, Now
from terracast.flows.reporting.step_words import first_line, news
from terracast.flows.running.recorded import recorded
from terracast.flows.terminal.output import CALM, DRIFT, ERROR, note, print_json, say
from terracast.flows.terminal.share_shown import progress
from terracast.streams.printable import printable


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (watch, up, status, metrics, replay):
        app.command()(verb)


def watch(config: Config = CONFIG, once: Annotated[bool, typer.Option("--once", help="One step, then stop.")] = False,
          now: Now = None, json: Json = False) -> None:
    """One step of the loop (--once), or a step at every cadence until interrupted."""
    from terracast.flows.watch import watch as act
    from terracast.flows.watch import watch_forever

    if not once:
        watch_forever(str(config.resolve()))
        return
    answer = recorded("watch", lambda: act(str(config.resolve()), now))
    if json:
        print_json(answer)
    else:
        say_files(answer["files"])
        say(first_line(answer))
        for text in news(answer):
            say(f"- {text}")
        say_short(config, now)
    refuse(answer["refused"] or answer["behind"])
    raise typer.Exit(DRIFT if answer["alarms"] or answer["silent"] else CALM)


def up(config: Config = CONFIG, prefect_port: Annotated[int, typer.Option(help="Of Prefect's server.")] = 4200,
       mlflow_port: Annotated[int, typer.Option(help="Of MLflow's pages.")] = 5000,
       page_port: Annotated[int, typer.Option(help="Of the site.")] = 8478) -> None:
    """Prefect's server, MLflow, the schedules and the site, on loopback, until interrupted."""
    from terracast.flows.up import Ports
    from terracast.flows.up import up as serve

    serve(config.resolve(), Ports(prefect_port, mlflow_port, page_port))


def status(config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """What runs, the last step, how old each source's newest value is, open episodes, the version in service, disk."""
    from terracast.flows.status import status as act

    found = act(config.resolve(), now)
    if json:
        print_json({"streams": [found.to_json()]})
    else:
        for line in found.lines:
            say(line)
    raise typer.Exit(CALM if found.calm else DRIFT)


def metrics(config: Config = CONFIG,
            out: Annotated[Path | None, typer.Option(
                help="The file to write, such as one in a textfile collector's folder; default: print.")] = None,
            nodes: Annotated[bool, typer.Option("--nodes", help="Also error and coverage of each node.")] = False,
            frozen: Annotated[bool, typer.Option(
                "--frozen", help="Have the frozen base forecast the last 28 days anew, for its error.")] = False,
            now: Now = None, json: Json = False) -> None:
    """The numbers of a stream for Prometheus, once; where `terracast up` runs, its page serves them at /metrics."""
    from terracast.flows.metrics import metrics as act
    from terracast.flows.metrics import write_whole
    from terracast.flows.running.exposition import as_json, exposition

    found = act(config.resolve(), now, frozen=frozen)
    text = exposition(found, by_node=nodes)[1]
    if out is not None:
        write_whole(text, out.resolve())
    if json:
        print_json({"stream": found.stream, "out": None if out is None else str(out.resolve()),
                    "unread": list(found.stored["unread"]), "metrics": as_json(found, by_node=nodes)})
    elif out is None:
        plain = text.decode()
        if sys.stdout.isatty():  # labels are names from data; a program gets them as they are
            plain = "\n".join(map(printable, plain.split("\n")))
        sys.stdout.write(plain)
    for line in found.stored["unread"]:
        note(f"error: {line}")
    raise typer.Exit(ERROR if found.stored["unread"] else CALM)


def replay(config: Config = CONFIG,
           policies: Annotated[str, typer.Option(
               help="Comma-separated; also loop, ladder, oracle.")] = "frozen,weekly,drift-only,mixture",
           start: Annotated[str | None, typer.Option(help="First issue time; default: when service can begin.")] = None,
           stop: Annotated[str | None, typer.Option(help="Last issue time; default: the end of the data.")] = None,
           json: Json = False) -> None:
    """The policies over history as if live: errors, coverage, alarms, adaptations, compute, beside seasonal naive."""
    from terracast.flows.replay import run_replay
    from terracast.flows.reporting.replay_words import lines

    answer = run_replay(config, policies.split(","), start, stop, progress)
    refused = answer.pop("refused", None)
    if json:
        print_json(answer)
    else:
        for line in lines(answer):
            say(line)
    refuse(refused)
