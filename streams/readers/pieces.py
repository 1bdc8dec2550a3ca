"""A large table of text so many lines at a time, so that memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PIECE = 64 << 20  # bytes of a table of text that are read at once


def line_end(path: Path) -> bytes:
    """How a line ends: in UTF-16 with two bytes."""
    with path.open("rb") as file:
        mark = file.read(2)
    return {b"\xff\xfe": b"\n\0", b"\xfe\xff": b"\0\n"}.get(mark, b"\n")


def pieces(path: Path, first: int, whole_lines: bool) -> Iterator[tuple[bytes, int]]:
    """The lines above the first row with some of the rows below, again and again, and the line these begin at."""
    end = line_end(path)
    with path.open("rb") as file:
        head = b"".join(file.readline() + file.read(len(end) - 1) for _ in range(first - 1)) if end != b"\0\n" else \
            b"".join(file.readline() for _ in range(first - 1))
        rest, line = b"", first
        while block := file.read(PIECE):
            at = (rest + block).rfind(end) + len(end)
            rows, rest = (rest + block)[:at], (rest + block)[at:]
            yield head + rows, line
            line += rows.count(end)
        if rest and not whole_lines:
            yield head + rest, line
