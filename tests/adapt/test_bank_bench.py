"""The bench of the banks, small: its form, and that its flags agree."""

import json
from itertools import count

from terracast.benchmarks.drift.detector_bank import BankBench


def test_form_and_flags():
    ticks = count()
    bench = BankBench(nodes=30, steps=32, filled=100, million=False)
    done = []
    rows = bench.rows(lambda: float(next(ticks)), done.append)
    answer = json.loads(json.dumps(bench.answer(rows, "command")))
    assert list(answer) == ["bench", "data", "protocol", "rows", "summary", "command"] and len(done) == 2
    assert answer["summary"]["differing_flags"] == 0 and answer["summary"]["page_hinkley_times_faster"] == 1.0
    ours = [row for row in answer["rows"] if row["method"] == "terracast"]
    assert {row["detector"] for row in ours} == {"page_hinkley", "adwin"}
    assert sum(row["alarms"] for row in ours) > 0
    assert {"river-adwin", "river-page-hinkley"} <= {row["method"] for row in answer["rows"]}
