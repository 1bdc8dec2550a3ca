"""What keeps a backup from being made or restored."""

from __future__ import annotations

import errno
from pathlib import Path

from terracast.streams.errors import TerracastError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BackupError(TerracastError):
    """A backup that cannot be made, or a file that cannot be restored; nothing half is left."""


def not_written(error: OSError, where: Path) -> BackupError:
    """What the disk said, in one line.

    >>> print(not_written(OSError(errno.ENOSPC, "No space left"), Path("air.tar.gz")))
    cannot write: No space left (air.tar.gz): expected room for all of it; free some space, or name another disk
    """
    full = error.errno in FULL
    return BackupError(f"cannot write: {error.strerror or error}", where=str(where),
                       expected="room for all of it" if full else "a folder that this user may write",
                       remedy="free some space, or name another disk" if full else "check its rights, or name another")
