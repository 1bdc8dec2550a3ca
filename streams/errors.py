"""The one error a user meets: what went wrong, where, what was expected, and the way out, in one line."""

from __future__ import annotations

from terracast.streams.printable import printable


class TerracastError(Exception):
    """An error in words: one line that names what, where, what was expected and the remedy.

    Parameters
    ----------
    what, where : str
        What is wrong; in which file, row, setting or option.
    expected : str
        What would have been right.
    remedy : str
        The way out, which can be typed where there is such a way.

    Examples
    --------
    >>> print(TerracastError("time goes backwards", where="air.csv row 7", expected="increasing stamps",
    ...                      remedy="sort the file by time"))
    time goes backwards (air.csv row 7): expected increasing stamps; sort the file by time
    """

    def __init__(self, what: str, *, where: str, expected: str, remedy: str) -> None:
        self.what, self.where, self.expected, self.remedy = what, where, expected, remedy
        line = f"{what} ({where}): expected {expected}; {remedy}".replace("\n", " ")
        super().__init__(printable(line))


class PanelError(TerracastError):
    """Data that cannot be a panel."""


class StoreError(TerracastError):
    """The store is locked, damaged, or was asked for what it does not hold."""


class ReadError(TerracastError):
    """A file that cannot be read as a panel."""
