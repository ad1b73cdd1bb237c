"""A shortcut works wherever the focus is."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

PAGES = Path(__file__).resolve().parents[2] / "pages"


def shortcuts() -> Iterator[str]:
    """Every shortcut that is written out where a button is made."""
    for path in PAGES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "shortcut" and isinstance(node.value, ast.Constant):
                yield node.value.value
            if isinstance(node, ast.Dict):
                named = {ast.literal_eval(key): value for key, value in zip(node.keys, node.values) if is_constant(key)}
                if is_constant(value := named.get("shortcut")):
                    yield value.value


def is_constant(node: ast.AST | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant)


def test_no_letter_is_a_shortcut_by_itself() -> None:
    # Where a box has the focus, as after a choice in a list, the letter would be typed into it.
    known = list(shortcuts())
    assert "Alt+A" in known
    assert not [shortcut for shortcut in known if len(shortcut) == 1]
