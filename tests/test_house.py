"""The house: imports run downwards only, and the rooms keep to themselves what is theirs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "stats": set(),
    "streams": {"stats"},
    "stfm": {"stats", "streams"},
    "adapt": {"stats", "stfm", "streams"},
    "causal": {"stats", "stfm", "streams"},
    "drivers": {"stats", "stfm", "streams", "adapt", "causal"},
    "registry": {"stats", "stfm", "streams", "adapt", "causal", "drivers"},
    "benchmarks": {"stats", "stfm", "streams", "adapt", "causal", "drivers"},
    "flows": {"stats", "stfm", "streams", "adapt", "causal", "drivers", "registry", "benchmarks"},
}
ONLY_IN = {"mlflow": {"registry"}, "prefect": {"flows"}, "icechunk": {"streams"},
           "tigramite": {"causal", "benchmarks"}, "river": {"adapt", "benchmarks"}}  # a bench times the peer itself
NEVER = {"pickle", "joblib", "cloudpickle"}
WALL_CLOCK = ("datetime.now", "time.time(", "Timestamp.now", "utcnow", "Timestamp.utcnow", "date.today")


def _files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """What a file imports: rooms by their own name, packages of others by their first."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {_room(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {_room(f"{node.module}.{alias.name}") for alias in node.names}
    return found


def _room(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.split(".")[0] if first == "terracast" and rest else first


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_downwards(room: str) -> None:
    wrong = {f"{path.relative_to(ROOT)} imports {name}" for path in _files(room) for name in _imports(path)
             if name in MAY_IMPORT and name != room and name not in MAY_IMPORT[room]}
    assert not wrong


BOTH_WAYS = {("adapt/monitoring/channels", "adapt/monitoring/statistics")}  # still do; none may be added


def test_folders_of_a_room_do_not_import_each_other() -> None:
    arrows = set()
    for room in MAY_IMPORT:
        for path in _files(room):
            here = path.parent.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"terracast.{room}."):
                    there = "/".join(str(node.module).split(".")[1:])
                    arrows.add((here, there if (ROOT / there).is_dir() else there.rpartition("/")[0]))
    nested = {pair for pair in arrows if pair[0].startswith(pair[1]) or pair[1].startswith(pair[0])}
    assert {pair for pair in arrows - nested if pair < pair[::-1] and pair[::-1] in arrows} == BOTH_WAYS


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_each_engine_is_known_in_one_room(room: str) -> None:
    wrong = {f"{path.relative_to(ROOT)} imports {name}" for path in _files(room) for name in _imports(path)
             if name in NEVER or (name in ONLY_IN and room not in ONLY_IN[name])}
    assert not wrong


def test_prefect_is_imported_where_scheduled_runs_are_made_and_nowhere_else() -> None:
    found = {str(path.relative_to(ROOT)) for path in _files("flows") if "prefect" in _imports(path)}
    assert found == {"flows/scheduled.py", "flows/running/runs.py"}


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if room != "flows"])
def test_nothing_below_flows_reads_the_wall_clock(room: str) -> None:
    wrong = {f"{path.relative_to(ROOT)}: {word}" for path in _files(room) for word in WALL_CLOCK
             if word in path.read_text(encoding="utf-8")}
    assert not wrong


def test_files_hold_one_idea() -> None:
    long = {str(path.relative_to(ROOT)): count for room in MAY_IMPORT for path in _files(room)
            if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long


def test_classes_are_one_page() -> None:
    """150 lines at most, docstring and all: what is longer does two things."""
    sizes = {f"{path.relative_to(ROOT).as_posix()}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
             for room in MAY_IMPORT for path in _files(room)
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)}
    assert not {name: size for name, size in sizes.items() if size > 150}


def test_every_package_is_installed() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {".".join(("terracast", *path.parent.relative_to(ROOT).parts)) for room in MAY_IMPORT
             for path in (ROOT / room).rglob("__init__.py")}
    assert there | {"terracast"} == listed


NO_LONGER_SAID = """
    sort sorts standing witness witnesses surroundings explained views swing roughness sureness clue hear heard
    tells ill loud loudest fell heir wiring earned tape squash recipe blend contender arena mature unwatched
    patience wish climb climbing recalled school taught beneath layers readings shelf thorough thoroughly curved
    curvature paid pays paying idle marks agreement tails caveats rested sight initial beginning
    beside said told company unlikeliness
"""
OLD_WORDS = frozenset(NO_LONGER_SAID.split())
DOORS = ("terracast", "terracast.__main__", "terracast.flows.command", "terracast.flows.scheduled",
         "terracast.flows.running.runs", "terracast.flows.running.guard",  # processes of their own
         "terracast.registry.served")  # MLflow runs it by its path
MODULES = {".".join(("terracast", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
           for room in MAY_IMPORT for path in _files(room)} | {
    "terracast": ROOT / "terracast" / "__init__.py", "terracast.__main__": ROOT / "terracast" / "__main__.py"}


def _words(name: str) -> set[str]:
    return {word.lower() for part in name.split("_") for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", part)}


def _reached_from(path: Path) -> set[str]:
    """The modules that a file names, in imports or as text: processes and plug-ins are started by name."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.add(node.value.partition(":")[0])
    parents = {".".join(one.split(".")[:size]) for one in named for size in range(1, one.count(".") + 2)}
    return parents & MODULES.keys()


def test_every_module_is_reached_by_a_verb_a_flow_a_bench_or_a_public_name() -> None:
    reached: set[str] = set()
    waiting = list(DOORS)
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += _reached_from(MODULES[one])
    assert not MODULES.keys() - reached


def test_no_class_name_stands_for_two_things() -> None:
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_old_words_name_nothing() -> None:
    wrong = set()
    for module, path in MODULES.items():
        names = [path.stem] + [node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                               if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        wrong |= {f"{module}: {name}" for name in names if _words(name) & OLD_WORDS}
    assert not wrong


@pytest.mark.parametrize(("room", "most"), [("causal", 12), ("adapt/monitoring", 8), ("drivers", 16), ("stats", 8)])
def test_a_newcomer_finds_his_way(room: str, most: int) -> None:
    entries = [one for one in (ROOT / room).iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()]
    assert len([one for one in entries if one.stem != "__init__"]) <= most
