"""Known changes for the timeline: read in order, kept to the past, refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from terracast.flows.reporting.known_events import known_events
from terracast.streams.errors import ReadError


def test_read_in_order_and_kept_to_the_past(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(json.dumps({"events": [
        {"start": "2015-08-20", "end": "2015-09-03", "what": "parade"},
        {"start": "2015-03-01", "end": "2015-03-01", "what": "strike"},
        {"start": "2016-01-01", "end": "2016-01-02", "what": "to come"}]}))
    found = known_events(path, np.datetime64("2015-12-31", "ns"))
    assert [one.label for one in found] == ["strike", "parade"]
    assert found[1].end == np.datetime64("2015-09-04") and found[0].start.dtype == "datetime64[ns]"


@pytest.mark.parametrize("text", ["{", '{"events": [{"start": "2015"}]}', "[]"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ReadError, match="known changes"):
        known_events(path, np.datetime64("2016-01-01", "ns"))
