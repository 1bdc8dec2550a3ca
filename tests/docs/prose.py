"""What the tests of the documents measure: the text a person reads, and its sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
MADE = re.compile(r"<!-- options: .*?<!-- end of options -->", re.DOTALL)  # words of the command, not of a page
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
BULLET = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
ENDS = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_`]*[A-Z0-9`])")
WORD = re.compile(r"\w")


def visible(text: str) -> str:
    """The text without code blocks, comments and the targets of links."""
    return LINK.sub(r"\1", COMMENT.sub("", FENCE.sub("", MADE.sub("", text))))


def words(text: str) -> list[str]:
    """The words of a text: what has a letter or a digit.

    >>> words("| a | 3.5 % of it |")
    ['a', '3.5', 'of', 'it']
    """
    return [one for one in text.split() if WORD.search(one)]


def sentences(text: str) -> Iterator[str]:
    """The sentences of paragraphs and lists; headings, tables, code and formulas are left out.

    >>> list(sentences("# Head\\n\\nOne two. Three\\nfour.\\n\\n- five\\n- six\\n\\n| a | b |\\n"))
    ['One two.', 'Three four.', 'five', 'six']
    """
    paragraph: list[str] = []
    for line in [*visible(text).splitlines(), ""]:
        plain = line.strip()
        left_out = not plain or plain.startswith(("#", "|", "===", "!!!", ":::", "--8<--")) or set(plain) <= set("-|: ")
        if paragraph and (left_out or BULLET.match(line)):
            yield from _split(" ".join(paragraph))
            paragraph = []
        if not left_out:
            paragraph.append(BULLET.sub("", plain))


def _split(paragraph: str) -> Iterator[str]:
    # Code in a sentence is one word, whatever stands in it.
    yield from (one for one in ENDS.split(re.sub(r"`[^`]+`", "`code`", paragraph)) if words(one))


def pages(*folders: str) -> list[Path]:
    """The Markdown pages of folders, and files named themselves."""
    found: list[Path] = []
    for folder in folders:
        path = ROOT / folder
        found += [path] if path.is_file() else sorted(path.rglob("*.md"))
    return found
