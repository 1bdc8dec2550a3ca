"""Verbs with which a stream begins: ``demo``, ``init``, ``config show``, and the training of the shipped base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config, Json
from terracast.flows.cli.output import print_json, say

config_app = typer.Typer(no_args_is_help=True, help="Settings in force.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (demo, pretrain, init):
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
    say(f"\nchampion: version {answer['champion']}")
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


def init(name: str, source: Annotated[Path, typer.Option("--from", help="A data file to look into.")],
         target: Annotated[str | None, typer.Option(help="The variable to forecast; default: the first.")] = None,
         folder: Annotated[Path, typer.Option(help="Where to write terracast.toml.")] = Path("."),
         model: Annotated[str | None, typer.Option(
             help="native, shipped, counts, or a base of your own; default: counts of counts, else native.")] = None,
         kind: Annotated[str | None, typer.Option(
             help="sensor, raster, point, trajectory or event; default: as the file shows.")] = None,
         json: Json = False) -> None:
    """Look into a data file and write a commented terracast.toml for it."""
    from terracast.flows.init import write_settings

    config = write_settings(name, source, folder, target=target, model=model, kind=kind)
    if json:
        print_json({"config": str(config)})
    else:
        say(f"{config} written; look it over, then run `terracast replay` or `terracast watch --once`")


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
