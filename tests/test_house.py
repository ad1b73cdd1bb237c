"""The rules of the house that a machine can see."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_FILES, MOST_LINES, MOST_PAGE_LINES, MOST_README_LINES = 20, 300, 180, 150
WEIGHTS_LIMIT = 190 * 2**20
APP = ("app.py", "core", "pages", "training")
PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def python_files(*places: str) -> list[Path]:
    """Every Python file in these folders, and these files themselves."""
    found = [path for place in places for path in [ROOT / place, *sorted((ROOT / place).rglob("*.py"))]]
    return [path for path in found if path.suffix == ".py"]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def module_name(path: Path) -> str:
    """core/scans/__init__.py → core.scans"""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every name that a file imports, in whatever place: in functions and for the type checker, too."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return tuple(names)


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def import_graph() -> dict[str, set[str]]:
    """Module → the modules that it imports; a name that is no module belongs to the one that it comes from."""
    files = {module_name(path): path for path in python_files(*APP, "tests")}
    graph = {}
    for module, path in files.items():
        homes = (name if name in files else name.rpartition(".")[0] for name in imports(path))
        graph[module] = {home for home in homes if home in files}
    return graph


def pins(*files: str) -> dict[str, str]:
    """Library → version in requirements or lock files; a library's name in one spelling."""
    text = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    return {canonical(name): version for name, version in PIN.findall(text)}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def undeclared(paths: list[Path], declared: set[str], own: set[str]) -> Iterator[str]:
    """Imports of `paths` that come from a library that isn't among `declared`; one not installed goes by its name."""
    known = packages_distributions()
    for path in paths:
        for library in libraries(path) - own - sys.stdlib_module_names:
            if not declared & {canonical(name) for name in known.get(library, (library,))}:
                yield f"{shown(path)} imports {library}"


def test_no_folder_holds_too_many_files():
    counts = Counter(shown(path.parent) for path in python_files(*APP, "tests"))
    assert not {folder: count for folder, count in counts.items() if count > MOST_FILES}


def test_no_file_is_too_long():
    pages = set(python_files("pages"))
    limits = {path: MOST_PAGE_LINES if path in pages else MOST_LINES for path in python_files(*APP, "tests")}
    assert not {shown(path): line_count(path) for path, limit in limits.items() if line_count(path) > limit}


def test_the_readme_is_short():
    assert line_count(ROOT / "README.md") <= MOST_README_LINES


def test_modules_import_one_another_in_no_circle():
    try:
        TopologicalSorter(import_graph()).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def test_core_imports_nothing_that_draws_pages():
    drawn = {shown(path): libraries(path) & {"streamlit", "plotly"} for path in python_files("core")}
    assert not {path: names for path, names in drawn.items() if names}


def test_pages_hold_no_tensor_arithmetic():
    assert not [shown(path) for path in python_files("app.py", "pages") if "torch" in libraries(path)]


def test_who_draws_charts_has_loaded_what_plotly_needs_whole():
    drawing = [path for path in python_files("pages") if "plotly" in libraries(path)]
    charts = ROOT / "pages" / "shared" / "charts.py"
    assert "pandas" in libraries(charts) and len(drawing) > 1
    for path in drawing:
        assert path == charts or any(name.startswith("pages.shared.charts") for name in imports(path)), shown(path)


def test_pictures_reach_the_browser_as_they_are():
    # Left to choose, Streamlit makes a JPEG of every picture without transparency.
    calls = [
        (shown(path), node.lineno, {word.arg for word in node.keywords})
        for path in python_files("pages")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "image"
    ]
    assert len(calls) > 20
    assert not [(path, line) for path, line, words in calls if "output_format" not in words]


def test_what_is_imported_is_declared():
    app = set(pins("requirements.txt", "requirements-federation.txt"))
    tests = set(pins("tests/requirements.txt"))
    own = {path.removesuffix(".py") for path in APP} | {"tests"}
    helpers = {path.stem for path in python_files("tests")}
    assert not list(undeclared(python_files(*APP), app, own))
    assert not list(undeclared(python_files("tests"), app | tests, own | helpers))


@pytest.mark.parametrize("name", ["requirements", "requirements-federation", "tests/requirements"])
def test_the_lock_pins_what_is_declared_and_names_no_host(name):
    lock, declared = f"{name}.lock", pins(f"{name}.txt")
    locked, text = pins(lock), (ROOT / lock).read_text(encoding="utf-8")
    assert {name: locked.get(name) for name in declared} == declared
    assert not re.findall(r"://|^-.*| @ .*|^\S*/.*|\s/\S*", text, re.MULTILINE)
    assert text.count("--hash=sha256:") >= len(locked)


def test_the_extra_changes_no_version_that_the_app_runs_with():
    app, extra = pins("requirements.lock"), pins("requirements-federation.lock")
    assert {name: extra.get(name) for name in app} == app


def test_weights_are_safetensors_within_the_budget():
    files = [path for path in (ROOT / "weights").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md"}
    assert sum(path.stat().st_size for path in files) < WEIGHTS_LIMIT
