"""Known changes: read in order, kept to the period, refused in one line."""

import json

import numpy as np
import pytest

from terracast.benchmarks.drift.known_changes import known_changes
from terracast.streams.errors import ReadError


def test_read_in_order_and_kept_to_the_period(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({
        "events": [{"start": "2015-08-20", "end": "2015-09-03", "what": "parade"},
                   {"start": "2009-01-01", "end": "2009-01-02", "what": "too early"}],
        "duplicated_weather_series": [{"until": "2015-02-28"}, {"from": "2015-03-01"}],
        "regimes": "central heating 15 November to 15 March"}))
    found = known_changes(path, np.datetime64("2015-01-01"), np.datetime64("2015-12-31"))
    assert [one.what for one in found] == ["stations' weather re-wired", "heating ends 2015", "parade",
                                           "heating begins 2015"]
    assert [one.rewired for one in found] == [True, False, False, False]
    assert found[2].end == np.datetime64("2015-09-03") and found[0].start.dtype == "datetime64[ns]"


@pytest.mark.parametrize("text", ["{", '{"events": [{"start": "2015"}]}', "[]"])
def test_a_file_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ReadError, match="known changes"):
        known_changes(path, np.datetime64("2015-01-01"), np.datetime64("2016-01-01"))
