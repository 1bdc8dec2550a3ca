"""Which types of source there are: the built-in ones, and those of other packages."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from terracast.flows.settings.files_source import FilesSourceSettings
from terracast.flows.settings.mqtt_source import MqttSourceSettings
from terracast.flows.settings.push_source import PushSourceSettings
from terracast.flows.settings.source import SourceSettings
from terracast.flows.settings.sql_source import SqlSourceSettings
from terracast.streams.plugins import PluginError, find_plugin

GROUP = "terracast.sources"
BUILT_IN: Mapping[str, type[SourceSettings]] = {
    "files": FilesSourceSettings, "mqtt": MqttSourceSettings, "push": PushSourceSettings, "sql": SqlSourceSettings}


def source_type(name: str) -> type[SourceSettings]:
    """The settings class of a type of source.

    Parameters
    ----------
    name : str
        A built-in type, an entry point of group ``terracast.sources``, or ``module:Class``.

    Raises
    ------
    ValueError
        There is no such class, or it is no type of source.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    try:
        found = find_plugin(GROUP, name, built_in=tuple(BUILT_IN))
    except PluginError as error:
        raise ValueError(str(error)) from None
    if not issubclass(found, SourceSettings) or inspect.isabstract(found):
        raise ValueError(f"{name!r} is no type of source: {found.__name__} is no SourceSettings with a build method")
    return found


def _settings_of(raw: Any) -> SourceSettings:
    """One of [[sources]] as the class that its ``type`` names; mistakes keep the place of their key."""
    if isinstance(raw, SourceSettings):
        return raw
    if not isinstance(raw, Mapping):
        raise ValueError("Input should be a table of keys")
    raw = {"type": "files", **raw}
    try:
        chosen = source_type(str(raw["type"]))
    except ValueError as error:
        told = PydanticCustomError("source_type", "{words}", {"words": str(error)})
        raise ValidationError.from_exception_data(
            "source", [InitErrorDetails(type=told, loc=("type",), input=raw["type"])]) from None
    return chosen.model_validate(raw)


AnySource = Annotated[SerializeAsAny[SourceSettings], PlainValidator(_settings_of)]
