"""Two cores must feel instant: 360 ms for a clean scan and 700 ms for an attacked one where there is no bfloat16.

Processor time is measured, both cores added up, as the clock on the wall also counts what else the machine is doing.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import examine, load_scan
from core.attacks import attack_scan
from core.defence.series import answer_slices, judge_slices

ROOT = Path(__file__).resolve().parents[2]
RUNS, CORES, SLICES = 6, 2, 160


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
    before = os.times()
    words = [sys.executable, "-m", "core", "examine", str(sample_files[0]), "--json"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < CORES * 10


@pytest.mark.slow
def test_a_hundred_and_sixty_slices(sample_files, bundle):
    """The strip of first answers ≤ 2.5 s and everything ≤ 30 s on two idle cores.

    `pytest -s tests/defence/test_speed.py -k hundred` prints what it takes on the wall as well.
    """
    scans = [load_scan(file) for file in sample_files]
    slices = [np.kron(scans[place % len(scans)].values[0], np.ones((2, 2), np.uint16)) for place in range(SLICES)]
    series = replace(scans[0], values=np.stack(slices), exact=False, derived=None)
    assert series.values.shape == (SLICES, 256, 256)
    processor = []
    for name, judge in (("strip", answer_slices), ("detection and scope", judge_slices)):
        wall, start = time.perf_counter(), time.process_time()
        assert sum(len(batch) for batch in judge(series, bundle)) == SLICES
        processor.append(time.process_time() - start)
        wall = time.perf_counter() - wall
        print(f"\n{SLICES} slices, {name}: {wall:.1f} s on the wall, {processor[-1]:.1f} s of the processor")
    assert processor[0] < CORES * 2.5 and sum(processor) < CORES * 30
