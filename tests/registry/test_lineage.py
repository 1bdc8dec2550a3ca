"""A lineage survives its tags; the story of a version is told from the registry alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.registry.lineage import Lineage, digest
from terracast.registry.promotion import promote
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.redaction import redacted

letters = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="'\"`")
words = st.text(letters, min_size=1, max_size=40)
stamps = st.integers(0, 4 * 10**18).map(lambda ns: np.datetime64(ns, "ns"))


@given(key=words, snapshot=words, parent=st.none() | words, episode_id=st.none() | words,
       known_at=st.none() | stamps, seed=st.none() | st.integers(),
       reference=st.none() | st.tuples(stamps, stamps), command=words | st.just(""))
def test_a_lineage_survives_its_tags(**values: object) -> None:
    lineage = Lineage(**values)  # type: ignore[arg-type]
    assert Lineage.from_tags({**lineage.tags(), "foreign": "tag"}) == lineage
    assert json.loads(lineage.to_json()) == lineage.tags()


@pytest.mark.parametrize("key", ["", "it's", 'a"b', "a`b", "two\nlines", "x" * 201])
def test_a_key_that_cannot_name_a_version_is_refused(key: str) -> None:
    with pytest.raises(RegistryError, match="cannot name a version"):
        Lineage(key, "SNAP")


def test_a_missing_time_is_refused() -> None:
    with pytest.raises(RegistryError, match="NaT"):
        Lineage("base", "SNAP", known_at=np.datetime64("NaT"))


def test_the_story_names_every_thread_and_needs_nothing_but_the_registry(
        registry: Registry, opened: Callable[..., Registry]) -> None:
    base = registry.add(SeasonalNaive(), Lineage("base", "SNAP0", config_digest=digest({"horizon": 24})))
    middle = registry.add(SeasonalNaive(), Lineage("E1/meta", "SNAP1", parent=base, episode_id="E1"))
    lineage = Lineage("E7/fine-tune", "SNAP7", parent=middle, episode_id="E7", alarm_kind="level",
                      policy_rung="fine-tune", graph_digest=digest("graph"), config_digest="c0ffee",
                      known_at=np.datetime64("2024-03-01T06:00"), seed=11, base="base@1",
                      reference=(np.datetime64("2024-02-01"), np.datetime64("2024-03-01")),
                      command="terracast adapt --episode E7 --seed 11")
    last = registry.add(SeasonalNaive(), lineage, metrics={"mae_after": 3.25})
    promote(registry, base, decision={"verdict": "first"})
    promote(registry, last, decision={"verdict": "accept", "e_value": 31.5}, expected_champion=base)
    story = opened().why("champion")
    assert (story.version.lineage, story.ancestors) == (lineage, (middle, base))
    assert story.decision == {"verdict": "accept", "e_value": 31.5}
    text = str(story)
    for part in ("Version 3", "is champion", "episode E7", "rung fine-tune", "kind level", "SNAP7",
                 "2024-03-01 06:00", "2024-02-01 00:00", "continues version 2 which continues 1", "base@1",
                 digest("graph"), "c0ffee", "seed 11", "mae_after 3.25", "e_value 31.5",
                 "terracast adapt --episode E7 --seed 11"):
        assert part in text, part
    assert json.loads(json.dumps(story.to_dict()))["lineage"]["episode_id"] == "E7"
    plain = str(registry.why(middle))
    for part in ("No gate decision", "not recorded", "No causal graph", "in no role"):
        assert part in plain


def test_the_run_carries_tags_inputs_and_the_lineage_file(registry: Registry) -> None:
    registry.add(SeasonalNaive(), Lineage("E7/fine-tune", "SNAP7", episode_id="E7", alarm_kind="level"))
    run = registry.place.client.get_run(registry.version("1").run_id)
    assert run.data.tags["episode_id"] == "E7"
    assert run.inputs.dataset_inputs[0].dataset.digest == "SNAP7"
    assert json.loads(registry.read_text("1", "lineage.json"))["alarm_kind"] == "level"


def test_addresses_are_told_without_secrets() -> None:
    assert redacted("http://ann:p@ss/w@host/x").endswith("host/x")
    assert "p@ss" not in redacted("postgresql+psycopg2://ann:p@ss@host/x")
    assert redacted("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"
