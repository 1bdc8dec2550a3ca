"""Prose that a newcomer can read: short README, short sentences, short decisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.prose import ROOT, pages, sentences, visible, words

README_WORDS, SENTENCE_WORDS, DECISION_WORDS = 900, 25, 250
MEASURED = ("README.md", "CONTRIBUTING.md", "docs/guide", "docs/tutorials", "docs/methods", "docs/extend",
            "docs/results", "docs/decisions", "docs/how-to", "docs/glossary.md")


def test_the_readme_is_short() -> None:
    """All that stands between spaces counts, code and tables too: ``wc -w`` says the same."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= README_WORDS


@pytest.mark.parametrize("page", pages(*MEASURED), ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    long = [(len(words(one)), one) for one in sentences(page.read_text(encoding="utf-8"))
            if len(words(one)) > SENTENCE_WORDS]
    assert not long


@pytest.mark.parametrize("page", pages("docs/decisions"), ids=lambda page: page.stem)
def test_a_decision_is_short(page: Path) -> None:
    text = visible(page.read_text(encoding="utf-8"))
    assert len(words(text)) <= DECISION_WORDS
    if page.stem != "index":
        assert all(f"**{part}" in text for part in ("Decided.", "Why.", "Cost."))


def test_a_long_sentence_is_found() -> None:
    text = "Short one. Long " + "word " * 30 + "end.\n\n```\n" + "x " * 40 + "\n```"
    assert [len(words(one)) for one in sentences(text)] == [2, 32]
