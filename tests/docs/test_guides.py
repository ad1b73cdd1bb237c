"""What README and docs/ promise: no dead link, every command with every option and the fields it prints."""

import json
import re
from pathlib import Path

import pytest

from core.attacks import METHODS
from core.cli import main
from core.cli.schema import SCHEMAS
from core.purification.catalogue import PURIFIERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "weights").glob("*/CARD.md"))]
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
EVERYWHERE = {"--bundle", "--classifier", "--policy", "--seed", "--json"}
OF_A_HOSPITAL = {"federate run": {"--policy"}}


def section(command: str) -> str:
    """Return what the page says of a command."""
    return COMMAND_LINE.split(f"\n## {command}\n")[1].split("\n## ")[0]


def options(command: str, capsys) -> set[str]:
    """Return the long options that a command's help names."""
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    return set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("command", [command for command in SCHEMAS if "--" not in command])
def test_every_option_of_a_command_is_described(command, capsys):
    described = set(re.findall(r"^\| `(--[a-z-]+)", section(command), re.MULTILINE))
    assert described == options(command, capsys) - (EVERYWHERE - OF_A_HOSPITAL.get(command, set()))


@pytest.mark.parametrize("command", SCHEMAS)
def test_an_example_has_every_field_that_a_command_prints(command):
    example = json.loads(re.search(r"```json\n(.*?)```", section(command), re.DOTALL)[1])
    assert set(example) == set(SCHEMAS[command]["required"])


def test_every_attack_and_purifier_is_named():
    for name in (*METHODS, *PURIFIERS):
        assert f"`{name}`" in COMMAND_LINE


def test_modules_that_the_pages_name_exist():
    for page in PAGES:
        for name in re.findall(r"\b(?:core|training|pages)(?:\.[a-z_]+)+\b", page.read_text(encoding="utf-8")):
            assert is_module(name) or is_module(name.rpartition(".")[0]), f"{page.name}: {name}"


def test_modules_that_the_pages_run_can_be_run():
    for page in PAGES:
        for name in re.findall(r"python -m ((?:core|training)(?:\.[a-z_]+)*)", page.read_text(encoding="utf-8")):
            path = ROOT.joinpath(*name.split("."))
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{page.name}: {name}"


def is_module(name: str) -> bool:
    """Return whether there is a file or a folder for a module."""
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()
