"""Write the site into a folder so that a reader never sees half of it: each file whole, what is named before what names
it, and what is no longer needed removed last, a round later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from terracast.flows.site.content import SiteError

MANIFEST = "files.json"  # which files of the folder are the site's, now and a round before


def write_site(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write ``files`` (path in the folder, content) in their order; a file that is so already is left alone. Returns
    the folder.

    A page that a reader has open still finds its data: files of the round before stay for one more. Killed half-way,
    the old pages stand, each with all it names. Raises ``SiteError`` for a folder that holds other things.
    """
    held = _held(folder)
    for path, body in files.items():
        _write(folder / path, body)
    before = [one for one in held["now"] if one not in files]
    _write(folder / MANIFEST, json.dumps({"now": sorted(files), "before": sorted(before)}).encode())
    for path in held["before"]:
        if path not in files and path not in before:
            with suppress(OSError):
                (folder / path).unlink(missing_ok=True)
    return folder


def _held(folder: Path) -> dict[str, list[str]]:
    """Which files of the folder an earlier site wrote; none where the folder is new or empty."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {name: [str(one) for one in told[name] if _inside(str(one))] for name in ("now", "before")}
    except FileNotFoundError:
        if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
            raise SiteError("the folder holds other files", where=str(folder), expected="a new or empty folder, or one "
                            "that this command wrote", remedy="name another with --site") from None
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / MANIFEST, json.dumps({"now": [], "before": []}).encode())
        return {"now": [], "before": []}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SiteError(f"its list of files cannot be read ({error})", where=str(folder / MANIFEST),
                        expected="what this command wrote", remedy="remove the folder or name another with --site"
                        ) from error
    return found


def _inside(path: str) -> bool:
    """Whether a path of the list stays in the folder: nobody may have the site remove what is not its own."""
    parts = path.split("/")
    return bool(path) and not path.startswith("/") and all(part not in ("", ".", "..") for part in parts)


def _write(path: Path, body: bytes) -> None:
    """By rename, and only what is not so already."""
    with suppress(OSError):
        if path.stat().st_size == len(body) and path.read_bytes() == body:
            return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_bytes(body)
        unfinished.replace(path)
    except OSError as error:
        raise SiteError(f"a file cannot be written ({error.strerror or error})", where=str(path),
                        expected="a folder that can be written to", remedy="name another with --site") from error
