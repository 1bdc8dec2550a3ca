"""The settings file: each type of source has its own keys, and a mistake is one line that names the key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terracast.flows.ingest import sources_of
from terracast.flows.settings import Settings, SettingsError, read_settings, shown

STREAM = '[stream]\nname = "a"\ndomain = "air"\ntarget = "no2"\n'
SOURCE = '[[sources]]\ndomain = "air"\n'
BUILT = [("", 'path = "x.csv"', "FilesSource", "air:x.csv"),
         ('type = "files"', 'path = "x.csv"', "FilesSource", "air:x.csv"),
         ('type = "mqtt"', 'step = "1h"\ntopics = ["a/{node}", "b"]', "MqttSource", "air:mqtt:a/{node},b"),
         ('type = "push"', 'step = "1h"', "InboxSource", "air:push"),
         ('type = "sql"', 'step = "1h"\nurl = "sqlite://"\ncolumn = "id"\ntable = "t"', "SqlSource", "air:sql:t")]


def read(folder: Path, source: str, stream: str = "", more: str = "") -> Settings:
    path = folder / "terracast.toml"
    path.write_text(STREAM + stream + SOURCE + source + "\n" + more, encoding="utf-8")
    return read_settings(path)


@pytest.mark.parametrize(("given", "keys", "kind", "name"), BUILT)
def test_each_type_builds_its_source(tmp_path: Path, given: str, keys: str, kind: str, name: str) -> None:
    settings = read(tmp_path, f"{given}\n{keys}")
    (source,) = sources_of(settings, lambda: np.datetime64("2024-01-01", "ns"))
    assert (type(source).__name__, source.name, source.domain) == (kind, name, "air")
    assert shown(settings)["sources"][0]["type"] == (given.split('"')[1] if given else "files")


def test_the_keys_of_a_source_count_in_the_digest(tmp_path: Path) -> None:
    one, other = (read(tmp_path, f'type = "mqtt"\nstep = "1h"\ntopics = ["{topic}"]') for topic in "ab")
    assert one.digest() != other.digest() == other.model_copy(update={"folder": tmp_path / "x"}).digest()


@pytest.mark.parametrize(("source", "stream", "more", "words"), [
    ("", "", "", "sources.0.path: Field required"),
    ('path = ""', "", "", "sources.0.path: "),
    ('path = "x"\nhost = "h"', "", "", "sources.0.host: Extra inputs are not permitted"),
    ('path = "x"\nstep = "soon"', "", "", "sources.0.step: 'soon' is not a duration"),
    ('path = "x"\nkind = "odd"', "", "", "sources.0.kind: 'odd' is not one of sensor"),
    ('path = "x"\ncalendar = "Mars"', "", "", "sources.0.calendar: 'Mars' is neither month"),
    ('type = "mqtt"\nstep = "1h"', "", "", "sources.0.topics: Field required"),
    ('type = "mqtt"\nstep = "1h"\ntopics = ["x"]\nport = 0', "", "", "sources.0.port: Input should be greater than 0"),
    ('type = "push"', "", "", "sources.0.step: Field required"),
    ('type = "sql"\nstep = "1h"\nurl = "sqlite://"', "", "", "sources.0.column: Field required"),
    ('sort = "mqtt"', "", "", 'sources.0.sort: the key has another name .*write type = "mqtt"'),
    ('path = "x"', 'patience = "2d"\n', "", 'stream.patience: .*write label_timeout = "2d"'),
    ('path = "x"', 'label_timeout = "0h"\n', "", "stream.label_timeout: '0h' is not a positive duration"),
    ('path = "x"', "", '[base]\nmodel = "oracle"', "base.model: 'oracle' is no base model: native, shipped, "),
    ('path = "x"', "", "[base]\nsteps = 0", "base.steps: Input should be greater than 0"),
    ('path = "x"', "", "[nothing]\nx = 1", "nothing: Extra inputs are not permitted"),
])
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, source: str, stream: str, more: str,
                                                  words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        read(tmp_path, source, stream, more)
    assert "\n" not in str(refused.value)


def test_addresses_are_printed_without_user_and_password(tmp_path: Path) -> None:
    settings = read(tmp_path, 'type = "sql"\nstep = "1h"\nurl = "postgresql://ann@db/x"\ncolumn = "id"\ntable = "t"')
    assert shown(settings)["sources"][0]["url"] == "postgresql://***@db/x"
