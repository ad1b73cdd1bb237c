"""docs/results/mixtures.md: mixtures of experts; from recipe cards, gates.json and results.json."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.bundles import Bundle, weights_record
from core.explanation.gates import GateRecord, read_gates
from core.explanation.mixture import mixtures
from training.files import read_results
from training.publish.gate_plot import gate_plot
from training.publish.markdown import NONE, document, figure_share, made_by, percent, section, share, signed_points

CONDITIONS = ("clean", "fgsm 8/255", "pgd 8/255")
CONDITION_HEADS = ("clean", "FGSM, 8/255", "PGD-40, 8/255")
ABOUT = (
    "What mixtures of experts reach, alone and beside one network, how much each expert counts, and where all "
    "classifiers look. Validation scans; accuracy with 95 % intervals by bootstrap over near-duplicate groups."
)


def mixtures_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle that has mixtures."""
    lines = []
    for bundle in bundles:
        found = mixture_tables(bundle, read_results(bundle.folder))
        lines += [f"## {bundle.name}", "", *found] if found else []
    return document("Mixtures of experts", ABOUT, lines)


def mixture_tables(bundle: Bundle, report: Mapping[str, Any]) -> list[str]:
    """Return everything that was measured of a bundle's mixtures; nothing where it holds none."""
    if not mixtures(bundle):
        return []
    cards = bundle.facts["provenance"]
    return [
        *(federated_table(cards["medfedpure"]) if cards.get("medfedpure") else []),
        *(robust_table(cards["dwf"]) if cards.get("dwf") else []),
        *gate_tables(bundle, gate_records(bundle)),
        *ablation_tables(report.get("ablations", {})),
        *attribution_table(looks_of_today(bundle, report.get("looks", {}))),
    ]


def gate_records(bundle: Bundle) -> dict[str, GateRecord]:
    """Return mixture → what is recorded of its gate with the weights of today."""
    known = {name: read_gates(bundle, name) for name in mixtures(bundle)}
    return {name: record for name, record in known.items() if record is not None}


def federated_table(card: Mapping[str, Any]) -> list[str]:
    """Return MedFedPure's mixture, its experts, and plain FedAvg."""
    metrics = card["metrics"]
    gains = metrics["mixture_gain"]
    views = [view for view in metrics["accuracy"]["mixture"] if view != "pooled"]
    head = ["network", *views, "all hospitals pooled", "what the mixture gains, pooled"]
    rows = [
        [name, *(figure_share(figures[view]) for view in (*views, "pooled")), gain(gains.get(name))]
        for name, figures in metrics["accuracy"].items()
    ]
    shown = metrics["pooled"].partition(";")[0]  # the rest is on how groups are resampled
    parts = "a hospital's own are a part of them" if shown.startswith("its own") else "each hospital shows all of them"
    about = (
        f"**MedFedPure's mixture**: accuracy plain and purified; the hospitals' columns show {shown}. "
        f"{made_by(card['command'], metrics['n'])} n counts scans, plain or purified; {parts}. "
        f"It took {card['minutes']} min. " + " ".join(metrics["remarks"])
    )
    return section(about, head, rows)


def gain(figures: Mapping[str, Any] | None) -> str:
    """Return what the mixture gains over a network in points; a dash beside the mixture itself."""
    return NONE if figures is None else signed_points(figures["pooled"]["value"], figures["pooled"]["interval"])


def robust_table(card: Mapping[str, Any]) -> list[str]:
    """Return Divided We Fall's mixture beside one network."""
    metrics = card["metrics"]
    networks = {
        "the mixture": metrics["mixture"],
        "one network, trained on the joint stage's mix": metrics["one_network"],
    }
    rows = [[title, *condition_shares(figures)] for title, figures in networks.items()]
    about = (
        "**Divided We Fall's mixture**, the attacker differentiating what is attacked. "
        f"{made_by(card['command'], metrics['mixture']['clean']['n'])} It took {card['minutes']} min in all."
    )
    return [
        *section(about, ["network", *CONDITION_HEADS], rows),
        comparison(metrics["mixture"], metrics["one_network"]),
        "",
    ]


def condition_shares(figures: Mapping[str, Any]) -> list[str]:
    """Return the accuracy under each of the `CONDITIONS`."""
    return [figure_share(figures[condition]) for condition in CONDITIONS]


def comparison(mixture: Mapping[str, Any], rival: Mapping[str, Any]) -> str:
    """Return whether the mixture is better than the one network on both, as its paper claims, in a sentence."""
    gains = {name: mixture[name]["accuracy"] - rival[name]["accuracy"] for name in ("clean", "pgd 8/255")}
    figures = f"{100 * gains['clean']:+.1f} points clean, {100 * gains['pgd 8/255']:+.1f} under PGD-40 (not paired)"
    claim = "better on both, as" if min(gains.values()) > 0 else "not better on both, which"
    return f"Against the one network the mixture is {claim} the paper claims: {figures}."


def gate_tables(bundle: Bundle, records: Mapping[str, GateRecord]) -> list[str]:
    """Return how much each expert counts on average, as a plot and in numbers."""
    title = "**Mean gate weight of each expert**"
    if not records:
        return [f"{title}: not recorded for these weights yet (`training.measure.gates`).", ""]
    lines = [title, "", f"![Mean gate weights](../../assets/plots/{gate_plot(bundle).name})", ""]
    for name, record in records.items():
        means = [record.mean(condition) for condition in record.conditions]
        rows = [
            [expert.name, expert.training, *(percent(mean[index]) for mean in means)]
            for index, expert in enumerate(bundle.experts(name))
        ]
        about = f"{name}. {made_by(record.command, len(record.labels))}"
        lines += section(about, ["expert", "trained on", *record.conditions], rows)
    return lines


def ablation_tables(ablations: Mapping[str, Any]) -> list[str]:
    """Return what the paper leaves open: variants of the mixture, and attacks that it never saw."""
    lines = []
    if variants := ablations.get("variants"):
        rows = [[name, *condition_shares(row), percent(min(row["gate"].values()))] for name, row in variants.items()]
        first = next(iter(variants.values()))
        about = (
            "**What the paper leaves open**, on smaller mixtures. "
            f"{made_by(first['command'], first['clean']['n'], first['made_with']['seed'])}"
        )
        lines += section(about, ["variant", *CONDITION_HEADS, "least mean gate weight"], rows)
    if unseen := ablations.get("unseen"):
        rows = [[name, str(row["n"]), figure_share(row)] for name, row in unseen.items()]
        first = next(iter(unseen.values()))
        about = f"**Attacks that it never saw**. {made_by(first['command'], None, first['made_with']['seed'])}"
        lines += section(about, ["network and attack", "n", "accuracy"], rows)
    return lines


def looks_of_today(bundle: Bundle, looks: Mapping[str, Any]) -> dict[str, Any]:
    """Return classifier → where it looks, of those that were measured with the weights of today."""
    return {
        name: found
        for name, found in looks.items()
        if name in bundle.classifiers and found["made_with"]["weights_sha256"] == weights_record(bundle, name)
    }


def attribution_table(found: Mapping[str, Any]) -> list[str]:
    """Return whether the classifiers look at the tumour."""
    if not found:
        return ["**Where they look**: not measured with the weights of today (`training.measure.attributions`).", ""]
    first = next(iter(found.values()))
    rows = [
        [name, *(attribution_cell(row[condition]) for condition in ("clean", "attacked", "purified"))]
        for name, row in found.items()
    ]
    about = (
        "**Where they look**: share of the positive attribution (Integrated Gradients) within the outlines of tumours, "
        f"which take {percent(first['expected'])} of the area, and how often the strongest pixel lies there. A high "
        "share with few hits means that one small place outside is the strongest, while most of the rest lies within. "
        f"{made_by(first['made_with']['command'], first['n'], first['made_with']['seed'])}"
    )
    return section(about, ["network", "clean", "PGD-40, 8/255", "and purified"], rows)


def attribution_cell(figures: Mapping[str, Any]) -> str:
    """Return the share within the outlines with its interval, and the share of hits."""
    return f"{share(figures['energy'], figures['intervals']['energy'])}; hit {100 * figures['hit']:.0f} %"
