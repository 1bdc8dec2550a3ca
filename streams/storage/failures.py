"""What goes wrong beneath the store, in one line: no room, no right to write, damage, no connection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import icechunk

from terracast.streams.errors import StoreError, TerracastError

SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
STANDS = "nothing was changed, the last step stands"
# what the system says, in small letters: what we say, what is expected, the way out
CAUSES = {
    ("no space left", "quota exceeded", "disk quota"): (
        "the disk is full", "room for one more step", "free some space, then run it again: " + STANDS),
    ("file too large",): (
        "the system allows no file of that size", "room for one more step",
        "raise the limit on file sizes (ulimit -f), then run it again: " + STANDS),
    ("read-only file system", "permission denied", "operation not permitted"): (
        "the store may not be written", "a folder that this user may write",
        "check the folder's owner and rights, or mount it for writing: " + STANDS),
    ("input/output error",): (
        "the disk does not answer", "a disk that can be read and written", "check the disk: " + STANDS),
}


@contextmanager
def writing(where: str) -> Iterator[None]:
    """What icechunk cannot do within the block is a ``StoreError``; all else passes."""
    try:
        yield
    except icechunk.IcechunkError as failed:
        raise in_words(failed, where) from without_secrets(failed)


@contextmanager
def reading(where: str, part: str) -> Iterator[None]:
    """Whatever keeps ``part`` of the store from being read is a ``StoreError``."""
    try:
        yield
    except (TerracastError, MemoryError):
        raise
    except Exception as failed:  # damage shows as any error of icechunk, zarr, numpy or a codec
        raise StoreError(f"{part} cannot be read ({first_line(failed)})", where=where,
                         expected="a store that can be reached and is sound",
                         remedy="look: terracast store check; then restore a backup"
                         ) from without_secrets(failed)


def in_words(failed: Exception, where: str) -> StoreError:
    """An error of the system or of icechunk as one of ours.

    >>> print(in_words(OSError(28, "No space left on device"), "store"))  # doctest: +ELLIPSIS
    the disk is full (store): expected room for one more step; free some space, then run it again: ...
    """
    text = str(failed).lower()
    for words, (what, expected, remedy) in CAUSES.items():
        if any(word in text for word in words):
            return StoreError(what, where=where, expected=expected, remedy=remedy)
    return StoreError(f"the store cannot be written ({first_line(failed)})", where=where,
                      expected="a store that can be reached and is sound",
                      remedy="say what is damaged: terracast store check; " + STANDS)


def first_line(failed: Exception) -> str:
    """What an icechunk error says, in one line and without the secrets of the environment."""
    lines = [line.strip(" |x") for line in str(failed).splitlines()]
    text = next((line for line in lines if line), type(failed).__name__)
    for name in SECRETS:
        secret = os.environ.get(name)
        text = text.replace(secret, "***") if secret else text
    return text


def without_secrets(failed: Exception) -> Exception | None:
    """The error as a cause to chain, None where its text holds a secret of the environment."""
    return None if any(secret in str(failed) for name in SECRETS if (secret := os.environ.get(name))) else failed
