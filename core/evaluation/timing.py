"""How long an examination takes on this machine.

python -m core.evaluation.timing
"""

import statistics
import time

import torch

from core import compute
from core.attacks import attack_scan
from core.bundles import Bundle, load_bundle, policy_classifiers
from core.bundles.policies import HARDENED
from core.defence.pipeline import examine
from core.scans import Scan, load_scan, sample_scans

REPEATS = 15
WARM_UP = 3


def measure_timings(bundle: Bundle) -> dict[str, str]:
    """Stage → median over `REPEATS` warm runs on one of its samples, as text with its unit."""
    sample = next(sample for sample in sample_scans(bundle.name) if sample.origin == "synthetic")
    scan = load_scan(sample.path)
    seconds = []
    for _ in range(WARM_UP):
        start = time.perf_counter()
        attacked = attack_scan(scan, bundle)
        seconds.append(time.perf_counter() - start)
    assert examine(attacked, bundle).purification and not examine(scan, bundle).purification
    timings = {
        f"`examine`, nothing flagged ({_precision()})": _milliseconds(scan, bundle),
        f"`examine`, flagged and purified ({_precision()})": _milliseconds(attacked, bundle),
    }
    if hardened := policy_classifiers(bundle).get(HARDENED):
        timings[f"`examine` of the same under the hardened policy ({_precision()})"] = _milliseconds(
            attacked, bundle, hardened
        )
    return timings | {"PGD-40 on one scan": f"{1000 * statistics.median(seconds):.0f} ms"}


def machine() -> str:
    """What the timings were taken on, in words."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    return f"on {device}"


def _precision() -> str:
    return str(compute.fast_dtype()).removeprefix("torch.")


def _milliseconds(scan: Scan, bundle: Bundle, classifier: str | None = None) -> str:
    totals = [examine(scan, bundle, classifier=classifier).seconds["total"] for _ in range(WARM_UP + REPEATS)][WARM_UP:]
    return f"{1000 * statistics.median(totals):.0f} ms"


def main() -> None:
    """Print the timings, one a line."""
    for name, value in measure_timings(load_bundle()).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
