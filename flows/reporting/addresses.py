"""Where things stand on the site: an episode has a page of its own, whose name follows from its id alone."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 80  # letters of a file's name that are an id's own


def episode_page(episode: str) -> str:
    """The page of an episode, from the folder of the site; the same for ever.

    >>> episode_page("E-2023-03-01T06"), episode_page("air/../x")
    ('episodes/E-2023-03-01T06.html', 'episodes/air-..-x-db733cec.html')
    """
    return f"episodes/{file_name(episode)}.html"


def file_name(text: str) -> str:
    """A text as the name of a file: what could mean a path, or be too long, is left out and told apart by a digest."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-")[:LONGEST]
    return plain if plain == text else f"{plain}-{sha256(text.encode()).hexdigest()[:8]}"


def episode_address(page: str, episode: str) -> str:
    """The episode's page as people reach it; ``page``: the address of the site. An address of one file stays as it is.

    >>> episode_address("http://watch.example.org:8478/", "E-1")
    'http://watch.example.org:8478/episodes/E-1.html'
    """
    if page.endswith((".html", ".htm")) and not page.endswith("/index.html"):
        return page
    return f"{page.removesuffix('index.html').rstrip('/')}/{episode_page(episode)}"
