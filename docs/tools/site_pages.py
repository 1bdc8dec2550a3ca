"""Pages of the site that nobody writes by hand: the home page, the project's root files, and the API reference.

A hook of MkDocs. README, CONTRIBUTING and CHANGELOG stand at the root of the repository, where people look for them;
here they become pages, with their links bent. The API reference has one page a package, one entry a module, read from
``pyproject.toml``: a module that is added, moved or deleted needs no edit here.
"""

from __future__ import annotations

import ast
import posixpath
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
AFTER_GUIDES = "---\nsearch:\n  boost: 0.2\n---\n\n"  # a search shows what was written for readers first
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


@event_priority(100)  # before mkdocstrings makes its handlers
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the sections whose pages are many: the reference, the decisions, the experiments."""
    filled = {"API reference": sorted(api_pages(), key=lambda page: (page != "api/index.md", page.removesuffix(".md")))}
    for section in ("Decisions", "Experiments"):
        folder = Path(config.docs_dir) / section.lower()
        pages = sorted(folder.glob("*.md"), key=lambda path: (path.stem != "index", path.stem))
        filled[section] = [f"{folder.name}/{path.name}" for path in pages]
    config.nav = with_lists(config.nav or [], filled)
    handlers = config.plugins["mkdocstrings"].config.handlers
    handlers["python"]["paths"] = [str(package_tree(ROOT / "build" / "reference"))]
    return config


def package_tree(place: Path) -> Path:
    """A tree in which each package lies where its name says, by links: the folders bear other names where
    ``package-dir`` says so, and the reference is read without installing anything."""
    shutil.rmtree(place, ignore_errors=True)
    for package, folder in packages():
        own = place.joinpath(*package.split("."))
        own.mkdir(parents=True, exist_ok=True)
        for module in folder.glob("*.py"):
            (own / module.name).symlink_to(module)
    return place


def with_lists(nav: list[Any], filled: dict[str, list[str]]) -> list[Any]:
    """The navigation with each empty section filled, wherever it stands.

    >>> with_lists(["a.md", {"B": [{"C": []}]}], {"C": ["c.md"]})
    ['a.md', {'B': [{'C': ['c.md']}]}]
    """
    return [one if isinstance(one, str) else {
        name: filled[name] if below == [] and name in filled else with_lists(below, filled)
        if isinstance(below, list) else below for name, below in one.items()} for one in nav]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that MkDocs found."""
    for source, page in ROOT_PAGES.items():
        text = bent((ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    pages = api_pages()
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def bent(text: str) -> str:
    """Links of a root file as links of a page at the top of the site.

    >>> bent("[a](docs/guide/index.md), [b](CHANGELOG.md), [c](https://d.e)")
    '[a](guide/index.md), [b](changelog.md), [c](https://d.e)'
    """
    def one(link: re.Match[str]) -> str:
        target, mark, part = link[2].partition("#")
        if target.startswith("docs/"):
            target = target.removeprefix("docs/")
        return f"{link[1]}{ROOT_PAGES.get(target, target)}{mark}{part}{link[3]}"

    return LINK.sub(one, text)


def api_pages() -> dict[str, str]:
    """The pages of the reference by their path: an overview, then a page for each installed package."""
    rows, pages = [], dict[str, str]()
    for package, folder in packages():
        page = f"api/{package}.md"
        modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__" and documented(path)]
        whole = "true" if package == "terracast" else "[]"  # elsewhere each name is shown with its module
        entries = [f"::: {package}\n    options:\n      show_root_heading: false\n      members: {whole}\n"]
        entries += [f"::: {package}.{path.stem}\n" for path in modules]
        pages[page] = f"{AFTER_GUIDES}# {package}\n\n" + "\n".join(entries)
        rows.append(f"| [{package}]({posixpath.basename(page)}) | {summary_of(folder / '__init__.py')} |")
    head = "# API reference\n\nEach package has a page, made from its docstrings.\n\n| package | holds |\n|---|---|\n"
    return {"api/index.md": head + "\n".join(rows) + "\n", **pages}


def packages() -> Iterator[tuple[str, Path]]:
    """The packages that are installed, benches left out, and the folder of each."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    mapped = settings.get("package-dir", {})
    for package in settings["packages"]:
        if "benchmarks" in package.split("."):
            continue
        known = [name for name in mapped if package == name or package.startswith(f"{name}.")]
        name = max(known, key=len, default="")
        rest = package.removeprefix(name).strip(".").split(".")
        yield package, ROOT.joinpath(mapped.get(name, ""), *(part for part in rest if part))


def documented(path: Path) -> bool:
    """Whether a module has public names to show."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(one, ast.ClassDef | ast.FunctionDef) and not one.name.startswith("_") for one in tree.body)


def summary_of(path: Path) -> str:
    """The first sentence of a module's docstring."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split()).replace("|", "\\|").replace("``", "`")
