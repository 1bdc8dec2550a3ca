"""Verbs with which a stream begins: ``demo``, ``look``, ``init``, ``add``, ``config show``, and the base's training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from terracast.flows.cli.options import CONFIG, Config, Json
from terracast.flows.cli.reading_options import with_reading_options
from terracast.flows.terminal.output import print_json, say

config_app = typer.Typer(no_args_is_help=True, help="Settings in force.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (demo, pretrain, look, init, add):
        app.command()(verb)
    app.add_typer(config_app, name="config")


def demo(folder: Annotated[Path, typer.Option(help="Where store and report go.")] = Path("terracast-demo"),
         json: Json = False) -> None:
    """The whole loop on the simulated city: known drifts, known causes; ends with the report's path."""
    from terracast.flows.demo import run_demo

    answer = run_demo(folder)
    if json:
        print_json(answer)
        return
    say("")
    say(f"champion: version {answer['champion']}")
    for alarm in answer["alarms"]:
        say(f"alarm: {alarm}")
    say(f"report: {answer['report']}")


def pretrain(steps: Annotated[int, typer.Option(help="Optimisation steps; 0.7 s each on one core.")] = 2400,
             folder: Annotated[Path, typer.Option(help="Checkpoints and weights.")] = Path("pretraining"),
             seed: Annotated[int, typer.Option(help="Of worlds and weights.")] = 0,
             workers: Annotated[int, typer.Option(help="Processes that make worlds.")] = 1,
             device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
             tracking: Annotated[str | None, typer.Option(help="MLflow; default: a file in the folder.")] = None,
             adapters: Annotated[int, typer.Option(help="Instead: how the base is adapted, over so many tasks.")] = 0,
             json: Json = False) -> None:
    """Train the base model on simulated worlds; killed, it goes on from its last checkpoint."""
    from terracast.flows.pretrain import run_pretraining
    from terracast.stfm.base.pretraining import Plan

    if adapters:
        from terracast.adapt.rungs.meta_context import ContextPlan
        from terracast.flows.learn_directions import learn_directions

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


Files = Annotated[list[Path], typer.Option("--from", help="A data file; may be repeated, the target's first.")]
Target = Annotated[str | None, typer.Option(help="The variable to forecast; default: the first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what was understood and write nothing.")]


@with_reading_options
def look(path: Annotated[Path, typer.Argument(metavar="FILE", help="A data file.")],
         reading: Mapping[str, Any],
         out: Annotated[Path | None, typer.Option(help="Write what was read, stamps in UTC, as NetCDF.")] = None,
         json: Json = False) -> None:
    """What a file holds, as understood: variables, units, clock, places, and what is doubtful, with its option."""
    from terracast.flows.cli.shown_schema import say_schema
    from terracast.flows.look import look as act

    schema = act(path, reading, out)
    if json:
        print_json(schema.answer())
    else:
        say_schema(schema)


@with_reading_options
def init(name: str, source: Files, reading: Mapping[str, Any], target: Target = None,
         folder: Annotated[Path, typer.Option(help="Where to write terracast.toml.")] = Path("."),
         model: Annotated[str | None, typer.Option(
             help="shipped, counts, native, or a base of your own; default: counts of counts, else shipped.")] = None,
         dry_run: DryRun = False, json: Json = False) -> None:
    """Look into data files, show what was understood, and write a commented terracast.toml for them."""
    from terracast.flows.cli.shown_schema import say_schema
    from terracast.flows.init import config_of, understand_all, write_for
    from terracast.flows.look import refuse_undecided

    config = folder / "terracast.toml" if dry_run else config_of(folder, model)
    schemas = understand_all(name, source, target, reading)
    answers = [one.answer() for one in schemas]
    found = {"sources": [one for answer in answers for one in answer["sources"]],
             "doubts": [one for answer in answers for one in answer["doubts"]]}
    if not json:
        for schema in schemas:
            if not schema.undecided:
                say_schema(schema)
    for schema in schemas:
        refuse_undecided(schema)
    if dry_run:
        if json:
            print_json({"config": None, **found})
        return
    config = write_for(name, schemas, folder, config, target, model, reading)
    if json:
        print_json({"config": str(config), **found})
    else:
        say(f"{config} written; look it over, then run `terracast replay` or `terracast watch --once`")


@with_reading_options
def add(path: Annotated[Path, typer.Argument(metavar="FILE", help="A data file.")], reading: Mapping[str, Any],
        config: Config = CONFIG, dry_run: DryRun = False, json: Json = False) -> None:
    """Add a file to the sources of a stream, with its own domain, clock and delay."""
    from terracast.flows.add import add_source, as_further
    from terracast.flows.cli.shown_schema import say_schema

    schema = as_further(path, reading)
    if not json:
        say_schema(schema)
    domains = [] if dry_run else add_source(config, schema, reading)
    if json:
        print_json({"config": None if dry_run else str(config), **schema.answer()})
    elif domains:
        say(f"{config}: {' and '.join(domains)} added; `terracast ingest` reads it")


@config_app.command("show")
def config_show(config: Config = CONFIG, json: Json = False) -> None:
    """Every setting in force."""
    from terracast.flows.settings import read_settings, shown

    settings = shown(read_settings(config))
    if json:
        print_json(settings)
        return
    for section, values in settings.items():
        rows = values.items() if isinstance(values, dict) else [("", values)]
        for key, value in rows:
            say(f"{section}{'.' if key else ''}{key} = {value}")
