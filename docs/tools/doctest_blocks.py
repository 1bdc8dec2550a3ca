"""An extension of griffe: examples in a docstring become code blocks, wherever they stand in it.

numpydoc shows examples only under the heading ``Examples``; many docstrings end with theirs without one.
"""

from __future__ import annotations

from typing import Any

import griffe


class DoctestBlocks(griffe.Extension):
    """Fences the examples of every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """A docstring with fences around its examples; those under ``Examples`` are left to numpydoc.

    >>> fenced("Adds.\\n>>> 1 + 1\\n2").splitlines()
    ['Adds.', '', '```pycon', '>>> 1 + 1', '2', '```']
    """
    made: list[str] = []
    inside = named = False
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.strip() == "Examples" and lines[at + 1:at + 2] and set(lines[at + 1].strip()) == {"-"}:
            named = True
        if not named and not inside and line.lstrip().startswith(">>> "):
            inside = True
            made += [""] if made and made[-1].strip() else []
            made.append("```pycon")
        elif inside and not line.strip():
            inside = False
            made.append("```")
        made.append(line)
    return "\n".join([*made, "```"] if inside else made)
