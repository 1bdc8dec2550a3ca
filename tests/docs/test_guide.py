"""The guide has a page for each verb, and its option tables are those of the command."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tests.docs.prose import ROOT


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("option_tables", ROOT / "docs/tools/option_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_verb_has_a_page_and_each_page_a_verb() -> None:
    written = {path.stem for path in (ROOT / "docs/guide").glob("*.md")} - {"index", "kinds"}
    assert written == set(_tables().verbs())


def test_option_tables_are_those_of_the_command() -> None:
    assert [path.name for path, _ in _tables().stale()] == [], "run `make docs-tables`"


def test_a_changed_option_is_found(tmp_path: Path) -> None:
    tables = _tables()
    page = ROOT / "docs/guide/init.md"
    text = page.read_text(encoding="utf-8").replace("`--target`", "`--goal`")
    assert tables.filled(text, "init", tables.verbs()["init"]) == page.read_text(encoding="utf-8") != text


def test_the_table_of_what_is_understood_is_that_of_the_tests() -> None:
    spec = importlib.util.spec_from_file_location("understood_table", ROOT / "docs/tools/understood_table.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text(encoding="utf-8")
    assert tool.filled(text) == text, "run `make docs-tables`"
