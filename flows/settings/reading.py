"""Reading a settings file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from terracast.flows.settings.errors import SettingsError, first_mistake
from terracast.flows.settings.secrets import refuse_secrets
from terracast.flows.settings.settings import Settings


def read_settings(path: str | Path) -> Settings:
    """Parse ``terracast.toml``; every mistake is one line that names the key.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "terracast.toml"
    ...     _ = file.write_text('[stream]\\nname="air"\\ndomain="air"\\ntarget="no2"\\nhorizont="1h"\\n[[sources]]\\n'
    ...                         'domain="air"\\npath="x.nc"')
    ...     try:
    ...         read_settings(file)
    ...     except SettingsError as error:
    ...         print(error.what)
    stream.horizont: Extra inputs are not permitted
    """
    path = Path(path)
    if not path.exists():
        raise SettingsError("no settings file", where=str(path), expected="a terracast.toml",
                            remedy="run `terracast init NAME --from FILE` or name one with --config")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        refuse_secrets(raw)
        _refuse_old_keys(raw, path)
        return Settings.model_validate({**raw, "folder": path.resolve().parent})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"not TOML: {error}", where=str(path), expected="a TOML file in UTF-8",
                            remedy="mend the line named") from None
    except ValidationError as error:
        raise first_mistake(error, path) from None
    except ValueError as error:
        raise SettingsError(str(error), where=str(path), expected="no secret in the file",
                            remedy="then run it again") from None


def _refuse_old_keys(raw: dict[str, Any], path: Path) -> None:
    """Keys that were renamed are told with their new name, before anything else about their section."""
    stream, sources = raw.get("stream"), raw.get("sources")
    held = [("stream", stream, "patience", "label_timeout"), ("adapt", raw.get("adapt"), "company", "covariates")]
    held += [(f"sources.{place}", one, "sort", "type") for place, one in
             enumerate(sources if isinstance(sources, list) else [])]
    for place, section, old, new in held:
        if isinstance(section, dict) and old in section and new not in section:
            raise SettingsError(f"{place}.{old}: the key has another name", where=str(path), expected=new,
                                remedy=f"write {new} = {json.dumps(section[old], default=str, ensure_ascii=False)}")
