"""An unforeseen error in one line: which verb, what kind, where known the way out; ``--debug`` shows the rest."""

from __future__ import annotations

import errno

from terracast.streams.redaction import redacted

# What a machine can do wrong, by its number; the first words say what it means, the second how to get out of it.
MACHINE = {
    errno.ENOSPC: ("the disk is full", "free some space and run it again; what was committed is kept"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run it again; what was committed is kept"),
    errno.EACCES: ("this user may not read or write there", "change the folder's rights, or act as another user"),
    errno.EPERM: ("this user may not read or write there", "change the folder's rights, or act as another user"),
    errno.EROFS: ("the folder is read-only", "make it writable, or name another one in terracast.toml"),
    errno.EADDRINUSE: ("the port is taken", "choose another port, or end what holds it"),
    errno.ENOENT: ("there is no such file", "check the path"),
    errno.EMFILE: ("too many files are open", "raise `ulimit -n` and run it again"),
}


def in_one_line(error: BaseException, verb: str) -> str:
    """The error as one line without secrets; what the system said last in its chain of causes comes first.

    >>> in_one_line(OSError(errno.ENOSPC, "No space left on device", "store/chunks/x"), "watch")
    'watch: the disk is full (store/chunks/x); free some space and run it again; what was committed is kept'
    >>> in_one_line(ValueError("odd"), "watch")
    'watch: unexpected ValueError: odd; see where with `terracast --debug watch`'
    """
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in MACHINE:
            what, remedy = MACHINE[one.errno]
            where = f" ({one.filename})" if one.filename else ""
            return f"{verb}: {what}{where}; {remedy}"
        if "no space left" in str(one).lower() or "database or disk is full" in str(one).lower():
            what, remedy = MACHINE[errno.ENOSPC]
            return f"{verb}: {what}; {remedy}"
    lines = str(error).strip().splitlines() or ["without words"]
    said = redacted(lines[0])[:200]
    return f"{verb}: unexpected {type(error).__name__}: {said}; see where with `terracast --debug {verb}`"


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found
