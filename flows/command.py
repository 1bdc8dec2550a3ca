"""The ``terracast`` command: every verb calls one flow or one plain function and prints its answer.

Exit code 0: calm; 1: error, told in one line; 3: drift. ``--json`` prints one JSON object on standard output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import store_verbs
from flows.benches import verbs as bench_verbs
from flows.output import CALM, DRIFT, ERROR, note, print_json, print_rows, progress, say
from flows.scorecards.scorecard import scorecard
from streams.errors import TerracastError

# A quiet terminal and no telemetry, before Prefect or MLflow is imported; whoever sets them otherwise is obeyed.
for _name, _value in {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "ERROR",
                      "PREFECT_CLI_PROMPT": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1",
                      "PREFECT_LOGGING_TO_API_ENABLED": "false",
                      # a busy machine needs longer than the 20 s that Prefect gives its temporary server
                      "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180"}.items():
    os.environ.setdefault(_name, _value)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Keeps spatio-temporal forecasts true while the world changes.")
config_app = typer.Typer(no_args_is_help=True, help="Settings in force.")
app.add_typer(config_app, name="config")
app.add_typer(bench_verbs.app, name="bench")
app.add_typer(store_verbs.app, name="store")
app.command()(scorecard)

Config = Annotated[Path, typer.Option("--config", help="The settings file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Now = Annotated[str | None, typer.Option("--now", help="The instant to act as of, UTC; default: the clock.")]
CONFIG = Path("terracast.toml")


@app.command()
def demo(folder: Annotated[Path, typer.Option(help="Where store and report go.")] = Path("terracast-demo"),
         json: Json = False) -> None:
    """The whole loop on the simulated city: known drifts, known causes; ends with the report's path."""
    from flows.demo import run_demo

    answer = run_demo(folder)
    if json:
        print_json(answer)
        return
    say(f"\nchampion: version {answer['champion']}")
    for alarm in answer["alarms"]:
        say(f"alarm: {alarm}")
    say(f"report: {answer['report']}")


@app.command()
def pretrain(steps: Annotated[int, typer.Option(help="Optimisation steps; 0.7 s each on one core.")] = 2400,
             folder: Annotated[Path, typer.Option(help="Checkpoints and weights.")] = Path("pretraining"),
             seed: Annotated[int, typer.Option(help="Of worlds and weights.")] = 0,
             workers: Annotated[int, typer.Option(help="Processes that make worlds.")] = 1,
             device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
             tracking: Annotated[str | None, typer.Option(help="MLflow; default: a file in the folder.")] = None,
             adapters: Annotated[int, typer.Option(help="Instead: how the base is adapted, over so many tasks.")] = 0,
             json: Json = False) -> None:
    """Train the base model on simulated worlds; killed, it goes on from its last checkpoint."""
    from flows.pretrain import run_pretraining
    from stfm.base.pretraining import Plan

    if adapters:
        from adapt.rungs.meta_context import ContextPlan
        from flows.learn_directions import learn_directions

        answer = learn_directions(ContextPlan(tasks=adapters, seed=seed), folder)
        if json:
            print_json(answer)
        else:
            say(f"{answer['directions']}: {answer['tasks']} tasks, loss to that of the frozen base "
                f"{answer['adapted_over_frozen']}")
        return
    answer = run_pretraining(Plan(steps=steps, seed=seed), folder, tracking, workers, device)
    if json:
        print_json(answer)
    else:
        say(f"{answer['weights']}: {answer['steps']} steps in {answer['hours']:.2f} hours, "
            f"loss on unseen worlds {answer['loss_unseen']:.4f}")


@app.command()
def init(name: str, source: Annotated[Path, typer.Option("--from", help="A data file to look into.")],
         target: Annotated[str | None, typer.Option(help="The variable to forecast; default: the first.")] = None,
         folder: Annotated[Path, typer.Option(help="Where to write terracast.toml.")] = Path("."),
         model: Annotated[str, typer.Option(help="native, fitted to the stream, or shipped, pre-trained.")] = "native",
         json: Json = False) -> None:
    """Look into a data file and write a commented terracast.toml for it."""
    from flows.initial import write_settings

    config = write_settings(name, source, folder, target=target, model=model)
    if json:
        print_json({"config": str(config)})
    else:
        say(f"{config} written; look it over, then run `terracast replay` or `terracast watch --once`")


@config_app.command("show")
def config_show(config: Config = CONFIG, json: Json = False) -> None:
    """Every setting in force."""
    from flows.settings import read_settings

    settings = read_settings(config).model_dump(mode="json")
    if json:
        print_json(settings)
        return
    for section, values in settings.items():
        rows = values.items() if isinstance(values, dict) else [("", values)]
        for key, value in rows:
            say(f"{section}{'.' if key else ''}{key} = {value}")


@app.command()
def ingest(config: Config = CONFIG, json: Json = False) -> None:
    """New files of the sources into the store: rows new, late, duplicate, revised, rejected."""
    from flows.ingest import ingest as flow

    answer = flow(str(config.resolve()))
    if json:
        print_json(answer)
        return
    _say_files(answer["files"])  # type: ignore[arg-type]
    say(f"snapshot {answer['snapshot']}")


@app.command()
def listen(config: Config = CONFIG, host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
           port: Annotated[int, typer.Option(help="Port to listen at.")] = 8477) -> None:
    """Take pushes (POST /v1/DOMAIN, JSON or CSV, bearer token from TERRACAST_PUSH_TOKEN) until interrupted."""
    from flows.ingest import listen as serve

    serve(config, host, port)


@app.command()
def watch(config: Config = CONFIG, once: Annotated[bool, typer.Option("--once", help="One step, then stop.")] = False,
          now: Now = None, json: Json = False) -> None:
    """One step of the loop (--once), or a step at every cadence until interrupted."""
    from flows.watch import watch as flow
    from flows.watch import watch_forever

    if not once:
        watch_forever(str(config.resolve()))
        return
    answer = flow(str(config.resolve()), now)
    if json:
        print_json(answer)
    else:
        _say_files(answer["files"])  # type: ignore[arg-type]
        say(str(answer["waiting"]) if answer["waiting"] else
            f"{answer['ticks']} steps up to {answer['now']}; champion: version {answer['champion']}")
        news = " ".join(answer["alarms"].values())  # type: ignore[attr-defined]
        known = [one["words"] for one in answer["silent"] if one["words"][:-1] not in news]  # type: ignore[attr-defined]
        for text in (*known, *answer["returned"], *answer["alarms"].values(), *answer["decisions"], *answer["dropped"],  # type: ignore[attr-defined]
                     *answer["receipts"]):  # type: ignore[misc]
            say(f"- {text}")
    raise typer.Exit(DRIFT if answer["alarms"] or answer["silent"] else CALM)


@app.command()
def up(config: Config = CONFIG, prefect_port: Annotated[int, typer.Option(help="Of Prefect's server.")] = 4200,
       mlflow_port: Annotated[int, typer.Option(help="Of MLflow's pages.")] = 5000,
       page_port: Annotated[int, typer.Option(help="Of the report's page.")] = 8478) -> None:
    """Prefect's server, MLflow, the schedules and the report's page, on loopback, until interrupted."""
    from flows.up import up as serve

    serve(str(config.resolve()), prefect_port=prefect_port, mlflow_port=mlflow_port, page_port=page_port)


@app.command()
def replay(config: Config = CONFIG,
           policies: Annotated[str, typer.Option(
               help="Comma-separated; also mixture, ladder, oracle.")] = "frozen,weekly,drift-only,loop",
           start: Annotated[str | None, typer.Option(help="First issue time; default: when service can begin.")] = None,
           stop: Annotated[str | None, typer.Option(help="Last issue time; default: the end of the data.")] = None,
           json: Json = False) -> None:
    """The policies over history as if live: errors, coverage, alarms, adaptations, compute, beside seasonal naive."""
    from flows.replay import COLUMNS, run_replay

    answer = run_replay(config, policies.split(","), start, stop, progress)
    if json:
        print_json(answer)
        return
    print_rows(f"{answer['data']}: {answer['protocol']['target']}", answer["rows"], COLUMNS)


@app.command()
def discover(config: Config = CONFIG, now: Now = None,
             knowledge: Annotated[Path | None, typer.Option(
                 help="What is impossible or certain, a text file; kept: what it forbids never returns.")] = None,
             max_lag: Annotated[int | None, typer.Option(help="Longest lag in steps; default: as set.")] = None,
             window: Annotated[str | None, typer.Option(help="How much of the past, such as 365d.")] = None,
             json: Json = False) -> None:
    """The causal graph as known now, the drivers chosen from it, and what changed in it."""
    from flows.discover import discover as flow

    answer = flow(str(config.resolve()), now, None if knowledge is None else str(knowledge), max_lag, window)
    if json:
        print_json(answer)
        return
    for driver in answer["drivers"]:  # type: ignore[attr-defined]
        word = "used" if driver["used"] else "not used"
        series = f"{driver['series']['domain']}.{driver['series']['variable']}"
        say(f"{series} at lag {driver['lag']}: {word}; {driver['reason']}")
    for alarm in answer["alarms"]:  # type: ignore[attr-defined]
        if alarm["new"]:
            say(f"- {' '.join(alarm['sentences'])}")
    links = len(answer["graph"]["links"])  # type: ignore[index]
    say(f"{links} links in graph {answer['digest']}; see them with `terracast report`")


@app.command()
def retrain(config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Fit the base anew on all that is known, and begin service with it."""
    from flows.retrain import retrain as flow

    answer = flow(str(config.resolve()), now)
    if json:
        print_json(answer)
    else:
        say(str(answer["waiting"] or f"champion: version {answer['champion']}"))


@app.command()
def adapt(config: Config = CONFIG, json: Json = False) -> None:
    """Carry out the act that the loop wishes for, if it does."""
    from flows.adapt import adapt as flow

    answer = flow(str(config.resolve()))
    if json:
        print_json(answer)
    else:
        made = "nothing to do" if not answer["receipts"] else "no version made"
        say(made if answer["version"] is None else f"version {answer['version']} made")
        for receipt in answer["receipts"]:
            say(f"- {receipt}")


@app.command()
def promote(version: str, reason: Annotated[str, typer.Option(help="Why, kept with the version.")] = "by hand",
            config: Config = CONFIG) -> None:
    """Make a version the champion by hand; the old champion stays as ``previous``."""
    from flows.by_hand import promote_by_hand

    say(promote_by_hand(config, version, reason))


@app.command()
def rollback(reason: Annotated[str, typer.Option(help="Why, kept with the version.")] = "by hand",
             config: Config = CONFIG) -> None:
    """Put the previous champion back into service."""
    from flows.by_hand import rollback_by_hand

    say(rollback_by_hand(config, reason))


@app.command()
def versions(config: Config = CONFIG, json: Json = False) -> None:
    """All versions with their aliases and what made them."""
    from flows.by_hand import version_rows

    rows = version_rows(config)
    if json:
        print_json({"versions": rows})
    else:
        print_rows("versions", rows, {"version": "version", "aliases": "aliases", "key": "made by", "parent": "from",
                                      "known_at": "data as known at"})


@app.command()
def why(version: str, config: Config = CONFIG, json: Json = False) -> None:
    """The thread of evidence that made a version."""
    from flows.by_hand import story

    told = story(config, version)
    if json:
        print_json(told)
    else:
        for sentence in told["sentences"]:
            say(sentence)


@app.command()
def report(config: Config = CONFIG, out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
           events: Annotated[Path | None, typer.Option(help="JSON of known changes, drawn on the timeline.")] = None,
           now: Now = None, json: Json = False) -> None:
    """One self-contained HTML file: is the forecast still true, what changed, why these inputs."""
    from flows.report import report as flow

    answer = flow(str(config.resolve()), str(out.resolve()), now, None if events is None else str(events.resolve()))
    if json:
        print_json(answer)
    else:
        say(f"report: {answer['report']}")


@app.command()
def quality(config: Config = CONFIG, now: Now = None, json: Json = False,
            most: Annotated[int, typer.Option(help="Tickets to print.")] = 20) -> None:
    """Outage is not drift: flag what is stuck, spiking, out of range, shifted, copied …; tell the events."""
    from flows.quality import quality as flow

    answer = flow(str(config.resolve()), now)
    if json:
        print_json(answer)
        return
    for ticket in answer["tickets"][:most]:
        say(f"{ticket['domain']}: {ticket['words']}")
    for share in answer["shares"]:
        say(f"{share['domain']}: {share['words']}")
    say(f"{len(answer['tickets'])} tickets; entries recorded: {answer['recorded']}")


def _say_files(files: list[dict[str, object]]) -> None:
    for file in files:
        if file["refused"]:
            say(f"refused: {file['refused']}")
        else:
            counts = ", ".join(f"{file[name]} {name}" for name in ("new", "late", "duplicate", "revised"))
            rejected = "".join(f", {count} rejected ({reason})" for reason, count in file["rejected"].items())  # type: ignore[attr-defined]
            notes = "".join(f"; {note}" for note in file["notes"])  # type: ignore[attr-defined]
            say(f"{file['item']}: {counts}{rejected}{notes}")


def main() -> None:
    """Run the command; an error is one line and exit code 1."""
    try:
        app()
    except TerracastError as error:
        note(f"error: {error}")
        sys.exit(ERROR)
