"""What the Federate page calls things, and its numbers in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.federation.configurations import Measured
    from core.federation.record import FederationRecord

WAY_TITLES = {
    "fedavg": "Global (FedAvg)",
    "mixture": "Personal mixture",
    "personal": "Personal network",
    "local": "Local only",
}
WAY_ABOUT = {
    "fedavg": "one network, the mean of all sites’ networks after every round",
    "mixture": (
        "each site keeps its own BatchNorm and head; its own gate weighs all sites’ networks for each scan (medfedpure)"
    ),
    "personal": "each site’s own network of that federation on its own scans, without the gate",
    "local": "each site trains alone, as many steps",
}
RULE_TITLES = {"mean": "Mean (FedAvg)", "median": "Median", "krum": "Krum"}
POISON_TITLES = {"none": "All honest", "labels": "Labels flipped", "signs": "Signs flipped"}
POOLED_TITLE = "All sites"


def place_title(site: str) -> str:
    """A site, or the scans of all of them."""
    return POOLED_TITLE if site == "pooled" else site


def share_alone(value: float) -> str:
    """A share of scans; of counted ones 100 % is what it says."""
    return f"{100 * value:.1f} %"


def share(measured: Measured) -> str:
    """A share with its interval."""
    return f"{share_alone(measured.value)} ({100 * measured.low:.1f}–{100 * measured.high:.1f})"


def points(value: float) -> str:
    """A difference of shares, in percentage points."""
    rounded = round(100 * value, 1)
    return "0.0" if rounded == 0 else f"{'+' if rounded > 0 else '−'}{abs(rounded):.1f}"


def span(measured: Measured) -> str:
    """A difference in points with its interval."""
    return f"{points(measured.value)} points ({points(measured.low)} to {points(measured.high)})"


def compared(measured: Measured, other: str) -> str:
    """What a difference says of the mixture, as far as its interval allows."""
    if measured.low > 0:
        verdict = "better than"
    elif measured.high < 0:
        verdict = "worse than"
    else:
        verdict = "not told apart from"
    return f"{verdict} {other}: {span(measured)}"


def commonest(record: FederationRecord) -> tuple[str, float]:
    """The class of most validation scans, and the share that whoever always answers it gets right."""
    counts = Counter[str]()
    for site in record.sites:
        counts.update(site.val)
    label, count = counts.most_common(1)[0]
    return label, count / counts.total()


def how_made(record: FederationRecord) -> str:
    """The settings of the recorded federation, in one sentence."""
    done = record.settings
    return (
        f"Recorded with small networks (ResNet-18 of width {done['width']}, at {128 // int(done['shrink'])} × "
        f"{128 // int(done['shrink'])}) from random weights: {len(record.rounds)} rounds of {done['steps']} steps with "
        f"{done['batch']} scans, seed {record.seed}, {record.minutes:.0f} minutes on one core. Not the networks of the "
        f"other pages."
    )
