"""The site builds without a warning, its links lead somewhere, and a page asks nothing of another machine."""

from __future__ import annotations

import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.prose import FENCE, ROOT, pages

LINK = re.compile(r"\]\(([^)\s]+)\)")
FETCHED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


@pytest.mark.parametrize("page", pages(*ROOT_PAGES, "docs"), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [one.partition("#")[0] for one in LINK.findall(text) if "://" not in one and not one.startswith("#")]
    assert not [one for one in targets if not (page.parent / one).exists() and not _made(page, one)]


def _made(page: Path, target: str) -> bool:
    """Whether the target is a page that the build makes: the reference, and files of the repository's root."""
    path = (page.parent / target).resolve().relative_to(ROOT)
    return path.parts[:2] == ("docs", "api") or path in (Path("docs/contributing.md"), Path("docs/changelog.md"))


@pytest.mark.parametrize("tool", ["docs/tools/site_pages.py", "docs/tools/doctest_blocks.py", "tests/docs/prose.py"])
def test_examples_of_the_tools(tool: str) -> None:
    spec = importlib.util.spec_from_file_location(Path(tool).stem, ROOT / tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None,
                    reason="the extra 'docs' is not installed")
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    made = sorted(tmp_path.rglob("*.html"))
    assert len(made) > 50
    assert not {str(path): FETCHED.findall(text) for path in made
                if FETCHED.search(text := path.read_text(encoding="utf-8"))}
