"""Types of single values: durations, stamps, calendars, kinds, and names that are checked where they stand."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, PlainValidator

from terracast.flows.settings.names import domain_name, stream_name, variable_name
from terracast.streams.clock import span, span_text
from terracast.streams.panel import KINDS


class Frozen(BaseModel):
    """A small frozen value; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def in_words(length: pd.Timedelta) -> str:
    """A duration as it stands in the settings.

    >>> in_words(pd.Timedelta("36h"))
    '36h'
    """
    return span_text(length).lower()


def nanoseconds(span: pd.Timedelta) -> np.timedelta64:
    """A duration as numpy counts it."""
    return span.to_timedelta64().astype("timedelta64[ns]")


def _duration(value: Any) -> pd.Timedelta:
    try:
        length = span(value)
    except (ValueError, TypeError):
        raise ValueError(f"{value!r} is not a duration such as '6h', '7d' or '1mo'") from None
    if length <= pd.Timedelta(0):
        raise ValueError(f"{value!r} is not a positive duration")
    return length


def _stamp(value: Any) -> str:
    try:
        return str(pd.Timestamp(value).isoformat())
    except (ValueError, TypeError):
        raise ValueError(f"{value!r} is not a stamp such as 2019-01-07T00:00") from None


def _calendar(value: str) -> str:
    try:
        if value != "month":
            pd.DatetimeIndex([]).tz_localize(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is neither month nor a time zone such as Europe/Berlin") from None
    return value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"{value!r} is not one of {', '.join(KINDS)}")
    return value


Duration = Annotated[pd.Timedelta, PlainValidator(_duration), PlainSerializer(in_words, return_type=str)]
Stamp = Annotated[str, PlainValidator(_stamp)]
Calendar = Annotated[str, AfterValidator(_calendar)]
Kind = Annotated[str, AfterValidator(_kind)]
StreamName = Annotated[str, AfterValidator(stream_name)]
DomainName = Annotated[str, AfterValidator(domain_name)]
VariableName = Annotated[str, AfterValidator(variable_name)]
