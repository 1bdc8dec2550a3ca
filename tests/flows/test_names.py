"""Names and secrets are checked where they are given: one line, nothing written, a way out that can be typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.flows.init import write_settings
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.settings.names import as_domain, as_model, domain_name, stream_name
from terracast.flows.workspace import Workspace

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
PLAIN = '[stream]\nname="{name}"\ndomain="{domain}"\ntarget="{target}"\n[[sources]]\ndomain="{domain}"\npath="x.csv"\n'


def table(folder: Path, variable: str = "level") -> Path:
    path = folder / "x.csv"
    rows = [f"2021-{month:02d}-{day:02d},a,{day}" for month in range(1, 5) for day in range(1, 29)]
    path.write_text("\n".join([f'date,station,"{variable}"', *rows]) + "\n", encoding="utf-8")
    return path


def test_a_name_that_is_a_path_is_refused_as_typed(tmp_path: Path) -> None:
    table(tmp_path)
    done = subprocess.run([*COMMAND, "init", "x/../../evil", "--from", "x.csv"], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "'x/../../evil' cannot name a stream" in done.stderr and "write x_evil" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv"]
    again = subprocess.run([*COMMAND, "init", "x_evil", "--from", "x.csv"], cwd=tmp_path, capture_output=True,
                           text=True)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\\b", "a\nb", 'a"b', "-x", "a:b", "$x", "a" * 200, "a "])
def test_other_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot name a stream"):
        write_settings(name, table(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "domain"), [("Zürich", "Zürich"), ("My river 2.5", "My_river_2_5"),
                                              ("air", "air"), ("a-b_c", "a-b_c"), ("東京", "東京")])
def test_ordinary_names_are_taken(tmp_path: Path, name: str, domain: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_settings(name, table(tmp_path), tmp_path)
    settings = read_settings(config)
    assert (settings.stream.name, settings.stream.domain) == (name, domain)
    assert (f"the domain is {domain}" in capsys.readouterr().err) == (domain != name)
    workspace = Workspace.open(config)
    assert workspace.registry.name.isascii() and "/" not in workspace.registry.name


@pytest.mark.parametrize("variable", ["NO2 (µg/m³)", "flow m3/s", "Zürich.level", "a'b", "50%", "[x]", "{x}"])
def test_variables_bear_the_names_that_the_data_give(tmp_path: Path, variable: str) -> None:
    from terracast.flows.ingest import ingest_new

    workspace = Workspace.open(write_settings("air", table(tmp_path, variable), tmp_path))
    (file,) = ingest_new(workspace)
    assert file.refused is None and file.new == 112
    held = workspace.store.read().history().recorded("air").panel
    assert workspace.settings.stream.target in held.data_vars


@pytest.mark.parametrize(("name", "domain", "target", "words"), [
    ("x/y", "air", "no2", "stream.name: 'x/y' cannot name a stream; write x_y"),
    ("air", "my.air", "no2", "stream.domain: 'my.air' cannot name a domain; write my_air"),
    ("air", "../air", "no2", "stream.domain: '../air' cannot name a domain; write air"),
    ("air", "air", "..", "stream.target: '..' cannot name a variable"),
])
def test_settings_are_checked_too(tmp_path: Path, name: str, domain: str, target: str, words: str) -> None:
    path = tmp_path / "terracast.toml"
    path.write_text(PLAIN.format(name=name, domain=domain, target=target))
    with pytest.raises(SettingsError) as refused:
        read_settings(path)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_target_that_no_source_of_its_domain_holds_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "terracast.toml"
    path.write_text(PLAIN.format(name="can", domain="can", target="tas") + 'variables=["evspsblpot"]\n')
    with pytest.raises(SettingsError, match=r"target is 'tas', and the sources of domain 'can' hold evspsblpot"):
        read_settings(path)
    path.write_text(PLAIN.format(name="can", domain="can", target="tas").replace(
        '[[sources]]\ndomain="can"', '[[sources]]\ndomain="weather"'))
    with pytest.raises(SettingsError, match=r"stream\.domain is 'can', and no \[\[sources\]\] has it"):
        read_settings(path)


SECRET = "hunter2"


@pytest.mark.parametrize(("section", "key", "text"), [
    ("registry", "tracking", f"postgresql://ann:{SECRET}@db/mlflow"),
    ("registry", "tracking", f"postgresql://ann:{SECRET}/x@db/mlflow"),
    ("registry", "tracking", f"https://:{SECRET}@mlflow.example/"),
    ("registry", "artifacts", f"s3://key:{SECRET}@bucket/x"),
    ("store", "location", f"s3://key:{SECRET}@bucket/x"),
    ("store", "location", f"https://bucket.example/x?X-Amz-Signature={SECRET}"),
])
def test_a_secret_in_the_settings_is_refused_and_not_shown(tmp_path: Path, section: str, key: str, text: str) -> None:
    path = tmp_path / "terracast.toml"
    path.write_text(PLAIN.format(name="a", domain="a", target="x") + f'[{section}]\n{key} = "{text}"\n')
    with pytest.raises(SettingsError, match=f"stands in {section}.{key}; ") as refused:
        read_settings(path)
    assert SECRET not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["http://127.0.0.1:5000", "http://host:5000/a@b", "sqlite:///mlflow.db", "$MLFLOW",
                                  "postgresql://ann@db/mlflow"])
def test_addresses_without_a_secret_are_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "terracast.toml"
    path.write_text(PLAIN.format(name="a", domain="a", target="x") + f'[registry]\ntracking = "{text}"\n')
    assert read_settings(path).registry.tracking == text


def test_an_address_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "terracast.toml"
    path.write_text(PLAIN.format(name="a", domain="a", target="x") + '[registry]\ntracking = "$OUR_MLFLOW"\n')
    with pytest.raises(SettingsError, match="the environment has no OUR_MLFLOW"):
        Workspace.open(path)
    monkeypatch.setenv("OUR_MLFLOW", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    assert Workspace.open(path).registry.tracking.uri.endswith("elsewhere.db")


@given(st.text(max_size=120))
def test_made_names_can_be_used_whatever_they_were_made_from(text: str) -> None:
    assert domain_name(as_domain(text)) == as_domain(text)
    assert stream_name(as_domain(text)) == as_domain(text)
    made = as_model(text)
    assert made.isascii() and as_model(made) == made and ".." not in made and not set(made) & set("/\\:%&<> ")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_models_of_different_names_are_different(one: str, other: str) -> None:
    assert (as_model(one) == as_model(other)) == (one == other)
