"""The bench of the store in small: its form, and that its figures are what they say."""

from __future__ import annotations

import numpy as np

from terracast.benchmarks.streams.store import PlainZarr, StoreBench, run


def test_a_small_run():
    told: list[str] = []
    answer = run(StoreBench(nodes=60, rounds=2, short=16, long=40), "terracast bench store", told.append)
    assert set(answer) == {"bench", "data", "protocol", "rows", "summary", "command"}
    assert answer["protocol"]["nodes"] == 60 and "a history of 40 days" in told
    assert [(row["method"], row["part"]) for row in answer["rows"]] == [
        ("terracast", "ingest"), ("zarr", "ingest"), ("zarr-with-known-times", "ingest"), ("terracast", "memory"),
        ("terracast", "step"), ("terracast", "step")]
    assert all(value > 0 for value in answer["summary"].values())


def test_plain_zarr_holds_the_batches(tmp_path):
    bench, plain = StoreBench(nodes=70), PlainZarr(tmp_path, known=True)
    batches = [bench.batch(first, 24, 2) for first in (0, 24)]
    for batch in batches:
        plain.append(batch)
    assert np.array_equal(plain.group["v1"][24:], batches[1]["v1"].values)
    assert plain.group["known_time"].shape == (48, 70)
