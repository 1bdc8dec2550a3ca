"""The option tables of the guide, made from the command itself: ``python docs/tools/option_tables.py`` writes them.

Each page of ``docs/guide`` is named after a verb and holds two marks; what stands between them is made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from terracast.flows.command import app

ROOT = Path(__file__).parents[2]
GUIDE = Path(__file__).parents[1] / "guide"
BEGIN, END = "<!-- options: made by `make docs-tables` -->", "<!-- end of options -->"


def verbs() -> dict[str, Any]:
    """The verbs of ``terracast --help``, in its order."""
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def table_of(name: str, verb: Any) -> str:
    """What a page says of its verb: usage, what it does, a table of arguments and options; of a group, of each verb."""
    below = getattr(verb, "commands", None)
    if below is not None:
        return "\n\n".join(f"### {name} {one}\n\n{_one(f'{name} {one}', each)}" for one, each in below.items())
    return _one(name, verb)


def _one(name: str, verb: Any) -> str:
    parts = [part for part in verb.params if part.name not in ("help",) and not part.hidden]
    arguments = " ".join(part.name.upper() for part in parts if part.param_type_name == "argument")
    usage = " ".join(word for word in (f"terracast {name}", arguments, "[OPTIONS]") if word)
    lines = [f"`{usage}`", "", " ".join(str(verb.help).replace("``", "`").split()), ""]
    if not parts:
        return "\n".join(lines).rstrip()
    lines += ["| option | says | default |", "|---|---|---|"]
    return "\n".join([*lines, *(_row(part) for part in parts)])


def _row(part: Any) -> str:
    argument = part.param_type_name == "argument"
    called = part.name.upper() if argument else ", ".join((*part.opts, *part.secondary_opts))
    if part.required:
        default = "needed"
    elif part.default in (None, False, ()):
        default = ""
    else:
        default = f"`{part.default}`"
    said = " ".join(str(part.help or "").replace("|", "\\|").split())
    return f"| `{called}` | {said} | {default} |"


def filled(text: str, name: str, verb: Any) -> str:
    """A page with the table of its verb between the marks."""
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"guide/{name}.md: expected the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table_of(name, verb)}\n\n{END}{after}"


def stale() -> Iterator[tuple[Path, str]]:
    """The pages whose table is not what the command says, with the text they should have."""
    for name, verb in verbs().items():
        page = GUIDE / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        made = filled(text, name, verb)
        if made != text:
            yield page, made


if __name__ == "__main__":
    for page, made in list(stale()):
        page.write_text(made, encoding="utf-8")
        print(page.relative_to(ROOT))
