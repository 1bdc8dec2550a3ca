"""Verbs about versions: ``retrain``, ``adapt``, ``promote``, ``rollback``, ``approve``, ``decline``, ``history``,
``versions``, ``why``, ``rebuild``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config, Json, Now
from terracast.flows.running.recorded import recorded
from terracast.flows.terminal.output import print_json, print_rows, say

WAITS = "The number of the version that waits, or the key of the adaptation."


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (retrain, adapt, promote, rollback, approve, decline, history, versions, why, rebuild):
        app.command()(verb)


By = Annotated[str | None, typer.Option("--by", help="Who acts; default: the user of this shell.")]
Note = Annotated[str | None, typer.Option("--note", help="Why, kept in the history and with the version.")]


def retrain(by: By = None, config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Fit the base anew on all that is known, and begin service with it."""
    from terracast.flows.retrain import retrain as act

    answer = recorded("retrain", lambda: act(str(config.resolve()), now, by))
    if json:
        print_json(answer)
    else:
        say(str(answer["waiting"] or f"champion: version {answer['champion']}"))


def adapt(config: Config = CONFIG, json: Json = False) -> None:
    """Carry out the act that the loop wishes for, if it does."""
    from terracast.flows.adapt import adapt as act

    answer = recorded("adapt", lambda: act(str(config.resolve())))
    if json:
        print_json(answer)
    else:
        made = "nothing to do" if not answer["receipts"] else "no version made"
        say(made if answer["version"] is None else f"version {answer['version']} made")
        for receipt in answer["receipts"]:
            say(f"- {receipt}")


def promote(version: str, reason: Annotated[str, typer.Option(help="Why, kept with the version.")] = "by hand",
            by: By = None, config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Make a version the champion by hand; the old champion stays as ``previous``."""
    from terracast.flows.manual import promote_by_hand

    number = promote_by_hand(config, version, reason, by, now)
    _say_champion(number, f"version {number} is champion", json)


def rollback(reason: Annotated[str, typer.Option(help="Why, kept with the version.")] = "by hand",
             by: By = None, config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Put the previous champion back into service."""
    from terracast.flows.manual import rollback_by_hand

    number = rollback_by_hand(config, reason, by, now)
    _say_champion(number, f"version {number} is champion again", json)


def approve(version: Annotated[str, typer.Argument(help=WAITS)], note: Note = None, by: By = None,
            config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Agree to what waits for a person; the next step carries it out."""
    _answer(version, True, note, by, config, now, json)


def decline(version: Annotated[str, typer.Argument(help=WAITS)], note: Note = None, by: By = None,
            config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Refuse what waits for a person; the next step drops it, and the champion goes on serving."""
    _answer(version, False, note, by, config, now, json)


def _answer(version: str, approved: bool, note: str | None, by: str | None, config: Path, now: str | None,
            json: bool) -> None:
    from terracast.flows.manual import answer_by_hand

    found = answer_by_hand(config, version, approved=approved, note=note or "", by=by, now=now)
    if json:
        print_json(found)
    else:
        what = f"version {found['version']}" if found["version"] else f"adaptation {found['key']}"
        say(f"{what} {found['answer']} by {found['by']}; the next step carries it out")


def history(config: Config = CONFIG, json: Json = False) -> None:
    """What served when and why: every promotion, rollback, refusal and answer, and who decided it."""
    from terracast.flows.manual import history_rows
    from terracast.flows.terminal.history_table import history_lines

    rows = history_rows(config)
    if json:
        print_json({"history": rows})
    else:
        for line in history_lines(rows):
            say(line)


def versions(config: Config = CONFIG, json: Json = False) -> None:
    """All versions with their aliases and what made them."""
    from terracast.flows.manual import version_rows

    rows = version_rows(config)
    if json:
        print_json({"versions": rows})
    else:
        print_rows("versions", rows, {"version": "version", "aliases": "aliases", "key": "made by", "parent": "from",
                                      "known_at": "data as known at"})


def why(version: str, config: Config = CONFIG, json: Json = False) -> None:
    """The thread of evidence that made a version."""
    from terracast.flows.manual import story

    told = story(config, version)
    if json:
        print_json(told)
    else:
        for sentence in told["sentences"]:
            say(sentence)


def rebuild(version: str, out: Annotated[Path | None, typer.Option(
        help="A folder for the rebuilt model's files.")] = None, config: Config = CONFIG, json: Json = False) -> None:
    """Make an adapted version again from its lineage, and compare it with the one registered, to the bit."""
    from terracast.flows.rebuild import rebuild as act

    answer = act(config, version, out)
    if json:
        print_json(answer)
    else:
        say(f"version {answer['version']} made again by rung {answer['rung']} from version {answer['parent']}: "
            f"the same to the bit (digest {answer['model_digest']})")


def _say_champion(number: str, words: str, json: bool) -> None:
    if json:
        print_json({"champion": number})
    else:
        say(words)
