"""`make` takes the Python that is named, or finds one that fits, and refuses any other in one sentence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "make-venv.sh"
NEEDS = "Purescan needs Python 3.11, 3.12 or 3.13"


def put_python(folder: Path, name: str, version: tuple[int, int]) -> Path:
    """Put a Python there that says it has this version; it writes its name instead of making an environment."""
    code = f"import sys; sys.version_info = {(*version, 0)}; $2"
    path = folder / name
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "{code}"\nmkdir .venv && echo {name} > .venv/made\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A folder for the Pythons that are found by their names, beside what the script itself needs."""
    folder = tmp_path / "names"
    folder.mkdir()
    for tool in ("sh", "rm", "mkdir"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def make_venv(names: Path, python: str | Path = "") -> tuple[str, str]:
    """Return which Python made the environment, and what was said."""
    ended = subprocess.run(
        ["sh", SCRIPT, str(python)],
        cwd=names.parent,
        env={"PATH": str(names)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    made = names.parent / ".venv" / "made"
    assert made.exists() == (ended.returncode == 0)
    return (made.read_text().strip() if made.exists() else ""), ended.stderr


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_what_is_supported_is_taken(names: Path, version: tuple[int, int]):
    assert make_venv(names, put_python(names.parent, "mine", version)) == ("mine", "")


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (4, 0)])
def test_any_other_is_refused_in_one_sentence(names: Path, version: tuple[int, int]):
    python = put_python(names.parent, "mine", version)
    assert make_venv(names, python) == ("", f"{NEEDS}, and {python} is none of these\n")


def test_what_is_not_there_is_refused_in_one_sentence(names: Path):
    assert make_venv(names, "python3.13") == ("", f"{NEEDS}, and python3.13 is none of these\n")


def test_where_python3_alone_is_there_it_is_found(names: Path):
    put_python(names, "python3", (3, 13))
    assert make_venv(names) == ("python3", "")


def test_a_name_that_does_not_run_is_passed_over(names: Path):
    (names / "python3.11").write_text("#!/bin/sh\nexit 127\n")
    (names / "python3.11").chmod(0o755)
    put_python(names, "python3.12", (3, 12))
    put_python(names, "python3", (3, 14))
    assert make_venv(names) == ("python3.12", "")


def test_where_none_is_found_it_says_how_to_name_one(names: Path):
    put_python(names, "python3", (3, 14))
    made, said = make_venv(names)
    assert not made and said.startswith(f"{NEEDS}, and none is found here") and said.count("\n") == 1
