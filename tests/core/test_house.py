"""The rules of the house that a machine can see."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS_LIMIT = 150 * 2**20


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_core_imports_nothing_that_draws_pages():
    for path in (ROOT / "core").rglob("*.py"):
        drawn = {name.split(".")[0] for name in imports(path)} & {"streamlit", "plotly"}
        assert not drawn, f"{path} imports {drawn}"


def test_pages_hold_no_tensor_arithmetic():
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        assert "torch" not in {name.split(".")[0] for name in imports(path)}, path


def test_weights_are_safetensors_within_the_budget():
    files = [path for path in (ROOT / "weights").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md"}
    assert sum(path.stat().st_size for path in files) < WEIGHTS_LIMIT
