"""What a terminal sees, which only a process of its own shows: libraries write to its standard error, too."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_bad_file_is_one_line_and_status_2(tmp_path):
    (tmp_path / "bad.dcm").write_text("no scan")
    words = [sys.executable, "-m", "core", "examine", str(tmp_path / "bad.dcm"), "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
