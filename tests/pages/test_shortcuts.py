"""A shortcut works wherever the focus is."""

import ast
from collections.abc import Iterator
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "pages"


def shortcuts() -> Iterator[str]:
    """Every shortcut that is written out where a button is made."""
    for path in PAGES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in shortcut_values(node):
                found = (part.value for part in ast.walk(value) if isinstance(part, ast.Constant))
                yield from (text for text in found if isinstance(text, str))


def shortcut_values(node: ast.AST) -> list[ast.expr]:
    """What a call, or a dictionary of arguments, gives for `shortcut`."""
    if isinstance(node, ast.keyword):
        return [node.value] if node.arg == "shortcut" else []
    if isinstance(node, ast.Dict):
        named = zip(node.keys, node.values)
        return [value for key, value in named if isinstance(key, ast.Constant) and key.value == "shortcut"]
    return []


def test_no_letter_is_a_shortcut_by_itself() -> None:
    # Where a box has the focus, as after a choice in a list, the letter would be typed into it.
    known = list(shortcuts())
    assert "Alt+A" in known
    assert not [shortcut for shortcut in known if len(shortcut) == 1]
