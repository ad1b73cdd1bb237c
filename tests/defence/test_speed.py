"""Two cores must feel instant: 360 ms for a clean scan and 700 ms for an attacked one where there is no bfloat16.

Processor time is measured, both cores added up, as the clock on the wall also counts what else the machine is doing.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import examine, load_scan
from core.attacks import attack_scan

ROOT = Path(__file__).resolve().parents[2]
RUNS, CORES = 6, 2


def best(scan, bundle):
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        examine(scan, bundle)
        seconds.append(time.process_time() - start)
    return min(seconds)


@pytest.fixture(scope="module")
def scan(sample_files):
    return load_scan(sample_files[0])


@pytest.mark.slow
def test_examination_of_a_clean_scan(scan, bundle):
    assert best(scan, bundle) < CORES * 0.36


@pytest.mark.slow
def test_examination_of_an_attacked_scan(scan, bundle):
    attacked = attack_scan(scan, bundle)
    assert examine(attacked, bundle).purification
    assert best(attacked, bundle) < CORES * 0.7


@pytest.mark.slow
def test_cold_command(sample_files):
    start = time.perf_counter()
    words = [sys.executable, "-m", "core", "examine", str(sample_files[0]), "--json"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    assert time.perf_counter() - start < 20  # 10 on a machine that does nothing else
