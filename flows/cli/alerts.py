"""Verbs about alerts: ``alerts``, ``ack``."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config, Json
from terracast.flows.terminal.output import ERROR, print_json, say


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (alerts, ack):
        app.command()(verb)


def alerts(test: Annotated[bool, typer.Option("--test", help="Send a test to every address.")] = False,
           config: Config = CONFIG, json: Json = False) -> None:
    """Who is told of what (section [alerts]), what waits, and who does not answer; --test sends a test."""
    from terracast.flows.acknowledge import outbox_status, test_addresses

    if test:
        reached = test_addresses(config)
        if json:
            print_json({"addresses": [one.to_json() for one in reached]})
        else:
            for one in reached:
                say(f"{one.address}: {'arrived' if one.why is None else f'did not arrive: {one.why}'}")
        raise typer.Exit(0 if all(one.why is None for one in reached) else ERROR)
    told = outbox_status(config)
    if json:
        print_json(told)
        return
    for each in told["addresses"]:
        say(f"{each['address']}: {', '.join(each['kinds'])}; last message {each['last'] or 'none yet'}, "
            f"{each['waiting']} waiting")
    for line in told["trouble"]:
        say(line)
    for kind, until in told["muted"].items():
        say(f"{kind} is muted until {until}")
    for episode, known in told["acknowledged"].items():
        reason = f": {known['note']}" if known["note"] else ""
        say(f"{episode}: {known['by']} looks after it since {known['at']}{reason}")
    if not told["addresses"]:
        say("nobody is told; add to terracast.toml: [alerts] with to = [\"ntfys://my-topic\"] or another address")


def ack(episode: Annotated[str, typer.Argument(help="Of an open episode, as `terracast status --json` names it.")] = "",
        by: Annotated[str, typer.Option(help="Who; default: the user of this machine.")] = "",
        note: Annotated[str, typer.Option(help="What is done about it.")] = "",
        mute: Annotated[str | None, typer.Option(help="Instead: no alerts of --kind for so long, e.g. 8h.")] = None,
        kind: Annotated[str, typer.Option(help="drift, data, graph or system.")] = "drift",
        config: Config = CONFIG, json: Json = False) -> None:
    """Say that you look after an episode: it is not told again until it closes. Or mute a kind of alert."""
    from terracast.flows import acknowledge
    from terracast.streams.clock import span

    if (mute is None) == (not episode):
        raise acknowledge.AcknowledgeError("both an episode and --mute" if episode else "neither episode nor --mute",
                                           where="ack", expected="one of them", remedy="see `terracast ack --help`")
    if mute is not None:
        answer = acknowledge.mute(config, kind, span(mute).to_pytimedelta())
        words = f"{kind} is muted until {answer['until']}"
    else:
        answer = acknowledge.acknowledge(config, episode, by or getpass.getuser(), note)
        words = f"{answer['by']} looks after {episode}"
    if json:
        print_json(answer)
    else:
        say(words)
