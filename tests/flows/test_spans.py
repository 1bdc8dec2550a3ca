"""How long a stream waits and looks: always within what the file holds, where that is enough."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.flows.service.spans import MOST_WAITED, SHORT_WAIT, Spans, spans_for
from terracast.flows.settings import in_words
from terracast.streams.clock import span as span_of

STEPS = ["1min", "5min", "10min", "15min", "30min", "1h", "3h", "6h", "1D", "7D", "30D"]


@given(st.sampled_from(STEPS), st.integers(1, 60_000))
def test_service_begins_within_a_file_that_holds_enough(step: str, count: int) -> None:
    step_ = pd.Timedelta(step)
    length = min(count * step_, pd.Timedelta("36500D"))
    spans = spans_for(step_, length)
    assert spans.needed(step_) <= spans.first_fit, "what service waits for is enough to begin with"
    assert step_ <= spans.horizon and step_ <= spans.cadence <= max(spans.horizon, step_)
    assert all(span % step_ == pd.Timedelta(0) for span in (spans.horizon, spans.cadence, spans.history))
    if spans.first_fit <= length:
        assert spans.first_fit <= max(MOST_WAITED, SHORT_WAIT) * length, "replay has something to score"


@pytest.mark.parametrize(("step", "length", "begins"), [
    ("1h", "8759h", True), ("1h", "744h", True), ("1D", "61D", True), ("7D", "3654D", True), ("7D", "2436D", True),
    ("5min", "7D", True), ("1h", "10D", True), ("1D", "30D", True), ("1D", "20D", False), ("1h", "2D", False)])
def test_real_files(step: str, length: str, begins: bool) -> None:
    spans = spans_for(pd.Timedelta(step), pd.Timedelta(length))
    assert (spans.first_fit < pd.Timedelta(length)) == begins


@pytest.mark.parametrize(("text", "usual"), [
    ("1h", Spans(*map(pd.Timedelta, ("1D", "6h", "7D", "365D")))),
    ("1D", Spans(*map(pd.Timedelta, ("7D", "1D", "60D", "730D")))),
    ("5min", Spans(*map(pd.Timedelta, ("1h", "15min", "1D", "5D"))))])
def test_long_files_get_what_is_usual(text: str, usual: Spans) -> None:
    assert spans_for(pd.Timedelta(text), pd.Timedelta("3650D")) == usual


@given(st.integers(1, 10**7))
def test_settings_read_back_what_is_written(seconds: int) -> None:
    span = pd.Timedelta(seconds, "s")
    assert span_of(in_words(span)) == span
