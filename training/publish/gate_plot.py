"""A plot of how much each expert of a mixture counts on average."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from core.bundles import WEIGHTS, Bundle
from core.explanation.gates import GateRecord

LEAST = 0.02  # a mean weight below it would mean an expert who is not asked


def gate_plot(bundle: Bundle) -> Path:
    """Return where the plot of a bundle's gates belongs."""
    return WEIGHTS.parent / "assets" / "plots" / f"{bundle.name}-gates.svg"


def draw_gates(bundle: Bundle, records: Mapping[str, GateRecord], path: Path) -> None:
    """Draw bars of the mean weights, clean and under the strongest recorded attack; the line is at `LEAST`."""
    figure, axes = plt.subplots(1, len(records), figsize=(5 * len(records), 3.6), squeeze=False)
    for place, (name, record) in zip(axes[0], records.items()):
        experts = [expert.name for expert in bundle.experts(name)]
        for offset, condition in ((-0.2, "clean"), (0.2, "pgd 8/255")):
            if condition in record.conditions:
                place.barh(np.arange(len(experts)) + offset, record.mean(condition), 0.38, label=condition)
        place.axvline(LEAST, color="black", linestyle=":", linewidth=1)
        place.set(title=name, xlabel="mean gate weight", yticks=range(len(experts)), yticklabels=experts)
        place.invert_yaxis()
        place.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "gates"  # the same figures give the same file
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
