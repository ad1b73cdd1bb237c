"""What the bundle card says of the mixtures of experts, as Markdown; from recipe cards, gates.json and results.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from core.bundles import WEIGHTS, Bundle
from core.explanation.gates import GateRecord, read_gates
from core.explanation.mixture import mixtures

CONDITIONS = ("clean", "fgsm 8/255", "pgd 8/255")
PLOTS = "assets/plots"


def mixture_tables(bundle: Bundle, report: Mapping[str, Any]) -> list[str]:
    """Everything that was measured of a bundle's mixtures; empty where it holds none."""
    cards = {name: card for name, card in bundle.facts["provenance"].items() if card}
    lines = []
    if "medfedpure" in cards:
        lines += federated_table(cards["medfedpure"])
    if "dwf" in cards:
        lines += robust_table(cards["dwf"])
    records = {name: read_gates(bundle, name) for name in mixtures(bundle)}
    lines += gate_tables(bundle, {name: record for name, record in records.items() if record})
    return lines + ablation_tables(report.get("ablations", {})) + look_table(report.get("looks", {}))


def federated_table(card: Mapping[str, Any]) -> list[str]:
    """MedFedPure's mixture, its experts, and plain FedAvg."""
    metrics = card["metrics"]
    gains = metrics["mixture_gain"]
    views = [view for view in metrics["accuracy"]["mixture"] if view != "pooled"]
    head = ["network", *views, "all hospitals pooled", "what the mixture gains, pooled"]
    rows = [
        [name, *(share(figures[view]) for view in views), share(figures["pooled"])]
        + [points(gains[name]["pooled"]) if name in gains else "–"]
        for name, figures in metrics["accuracy"].items()
    ]
    about = (
        f"**MedFedPure's mixture**, n = {metrics['n']}: accuracy plain, as each hospital would show the scans, and "
        f"purified. `{card['command']}` ({card['minutes']} min). " + " ".join(metrics["remarks"])
    )
    return [about, "", *table(head, rows), ""]


def robust_table(card: Mapping[str, Any]) -> list[str]:
    """Divided We Fall's mixture beside one network."""
    metrics = card["metrics"]
    rows = [
        [title, *(share(metrics[name][condition]) for condition in CONDITIONS)]
        for title, name in (
            ("the mixture", "mixture"),
            ("one network, trained on the joint stage's mix for as many steps as an expert", "one_network"),
        )
    ]
    about = (
        f"**Divided We Fall's mixture**, n = {metrics['mixture']['clean']['n']}, the attacker differentiating what is "
        f"attacked. `{card['command']}` ({card['minutes']} min in all)"
    )
    head = ["network", "clean", "FGSM, 8/255", "PGD-40, 8/255"]
    return [about, "", *table(head, rows), "", beaten(metrics["mixture"], metrics["one_network"]), ""]


def beaten(mixture: Mapping[str, Any], rival: Mapping[str, Any]) -> str:
    """Whether the mixture is better than the one network on both, as its paper claims, in a sentence."""
    gains = {name: mixture[name]["accuracy"] - rival[name]["accuracy"] for name in ("clean", "pgd 8/255")}
    figures = f"{100 * gains['clean']:+.1f} points clean, {100 * gains['pgd 8/255']:+.1f} under PGD-40 (not paired)"
    claim = "better on both, as" if min(gains.values()) > 0 else "not better on both, which"
    return f"Against the one network the mixture is {claim} the paper claims: {figures}."


def gate_tables(bundle: Bundle, records: Mapping[str, GateRecord]) -> list[str]:
    """How much each expert counts on average, as a plot and in numbers."""
    if not records:
        return ["**Mean gate weight of each expert**: not recorded for these weights yet (`training.gates`).", ""]
    plot = f"{PLOTS}/{bundle.name}-gates.svg"
    draw_gates(bundle, records, WEIGHTS.parent / plot)
    lines = ["**Mean gate weight of each expert** over the validation scans", ""]
    lines += [f"![Mean gate weights](../../{plot})", ""]
    for name, record in records.items():
        means = [record.mean(condition) for condition in record.conditions]
        rows = [
            [expert.name, expert.training, *(f"{100 * mean[index]:.1f} %" for mean in means)]
            for index, expert in enumerate(bundle.experts(name))
        ]
        lines += [f"{name}: `{record.command}`", "", *table(["expert", "trained on", *record.conditions], rows), ""]
    return lines


def draw_gates(bundle: Bundle, records: Mapping[str, GateRecord], path: Path) -> None:
    """Bars of the mean weights, clean and under the strongest recorded attack; the line is 2 %."""
    figure, axes = plt.subplots(1, len(records), figsize=(5 * len(records), 3.6), squeeze=False)
    for place, (name, record) in zip(axes[0], records.items()):
        experts = [expert.name for expert in bundle.experts(name)]
        for offset, condition in ((-0.2, "clean"), (0.2, "pgd 8/255")):
            if condition in record.conditions:
                place.barh(np.arange(len(experts)) + offset, record.mean(condition), 0.38, label=condition)
        place.axvline(0.02, color="black", linestyle=":", linewidth=1)
        place.set(title=name, xlabel="mean gate weight", yticks=range(len(experts)), yticklabels=experts)
        place.invert_yaxis()
        place.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "gates"  # the same figures give the same file
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def ablation_tables(ablations: Mapping[str, Any]) -> list[str]:
    """What the paper leaves open: variants of the mixture, and attacks that it never saw."""
    lines = []
    if variants := ablations.get("variants"):
        rows = [
            [name, *(share(row[condition]) for condition in CONDITIONS), f"{100 * min(row['gate'].values()):.1f} %"]
            for name, row in variants.items()
        ]
        head = ["variant", "clean", "FGSM, 8/255", "PGD-40, 8/255", "least mean gate weight"]
        first = next(iter(variants.values()))
        about = f"**What the paper leaves open**, on smaller mixtures, n = {first['clean']['n']}. {ran(first)}"
        lines += [about, "", *table(head, rows), ""]
    if unseen := ablations.get("unseen"):
        rows = [[name, str(row["n"]), share(row)] for name, row in unseen.items()]
        about = f"**Attacks that it never saw**. {ran(next(iter(unseen.values())))}"
        lines += [about, "", *table(["network and attack", "n", "accuracy"], rows), ""]
    return lines


def look_table(looks: Mapping[str, Any]) -> list[str]:
    """Whether the classifiers look at the tumour."""
    if not looks:
        return []
    first = next(iter(looks.values()))
    rows = [
        [name, *(f"{within(row[condition], 'energy')}; hit {100 * row[condition]['hit']:.0f} %" for condition in CASES)]
        for name, row in looks.items()
    ]
    about = (
        f"**Where they look**, n = {first['n']} outlined tumours: share of the positive attribution (Integrated "
        f"Gradients) within the outline, which takes {100 * first['expected']:.1f} % of the area, and how often the "
        "strongest pixel lies there. A high share with few hits means that one small place outside is the strongest, "
        f"while most of the rest lies within. {ran(first['made_with'])}"
    )
    return [about, "", *table(["network", "clean", "PGD-40, 8/255", "and purified"], rows), ""]


CASES = ("clean", "attacked", "purified")


def ran(record: Mapping[str, Any]) -> str:
    """The command that made a record."""
    return f"`{record['command'].removeprefix('python -m ')}`"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def within(figures: Mapping[str, Any], name: str) -> str:
    """A share in percent with its interval, from a record of several."""
    return share({"accuracy": figures[name], "interval": figures["intervals"][name]})


def share(figure: Mapping[str, Any]) -> str:
    """A share in percent with its interval."""
    low, high = figure["interval"]
    value = figure["accuracy"] if "accuracy" in figure else figure["value"]
    return f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def points(figure: Mapping[str, Any]) -> str:
    """A difference in percentage points with its interval."""
    low, high = figure["interval"]
    return f"{100 * figure['value']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
