"""Two cores must feel instant. The limits are those of a CPU without bfloat16; the best of several runs counts, as a
busy machine says nothing about the code."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import examine, load_scan
from core.attacks import attack_scan

ROOT = Path(__file__).resolve().parents[2]
RUNS = 6


def best(scan, bundle):
    return min(examine(scan, bundle).seconds["total"] for _ in range(RUNS))


@pytest.fixture(scope="module")
def scan(sample_files):
    return load_scan(sample_files[0])


def test_examination_of_a_clean_scan(scan, bundle):
    assert best(scan, bundle) < 0.36


def test_examination_of_an_attacked_scan(scan, bundle):
    attacked = attack_scan(scan, bundle)
    assert examine(attacked, bundle).purification
    assert best(attacked, bundle) < 0.7


def test_cold_command(sample_files):
    start = time.perf_counter()
    words = [sys.executable, "-m", "core", "examine", str(sample_files[0]), "--json"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    assert time.perf_counter() - start < 10
