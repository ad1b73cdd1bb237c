"""What the command line answers at once, without the libraries that take seconds to load."""

import subprocess
import sys

import pytest

from core.cli import COMMANDS

SCRIPT = """
import sys
from core.cli import main
try:
    main({words})
finally:
    print(sorted({{"torch", "numpy"}} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], [], ["exmaine"]])
def test_help_and_a_wrong_command_load_nothing_heavy(words):
    ran = subprocess.run([sys.executable, "-c", SCRIPT.format(words=words)], capture_output=True, text=True, timeout=60)
    assert ran.stderr.splitlines()[-1] == "[]"
    assert ran.returncode == (0 if words == ["--help"] else 2)
    assert all(name in ran.stdout + ran.stderr for name in COMMANDS) or not words


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_still_has_its_own_help(name, capsys):
    from core.cli import main

    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0 and f"python -m core {name}" in capsys.readouterr().out
