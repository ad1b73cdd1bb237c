"""What the page on mixtures says of mixtures, from figures that are known."""

import numpy as np
import torch

from core.bundles import Expert, weights_record
from core.evaluation.datasets import Dataset
from core.explanation.gates import GateRecord
from core.explanation.outline_agreement import OutlineAgreement
from training.measure.attributions import outlined, summary
from training.publish.gate_plot import draw_gates
from training.publish.mixtures import (
    ablation_tables,
    attribution_table,
    federated_table,
    looks_of_today,
    robust_table,
)

FIGURE = {"accuracy": 0.75, "interval": (0.7, 0.8), "n": 4}
FIGURES = dict.fromkeys(("clean", "fgsm 8/255", "pgd 8/255"), FIGURE)


def test_the_mixture_stands_beside_one_network():
    better = dict(zip(FIGURES, ({"accuracy": share, "interval": (0, 1), "n": 4} for share in (0.9, 0.8, 0.7))))
    metrics = {"mixture": better, "one_network": FIGURES}
    card = {"command": "python -m training.recipes.dwf", "minutes": 12, "metrics": metrics}
    lines = robust_table(card)
    assert "n = 4" in lines[0] and "12 min" in lines[0]
    assert [cell[:6] for cell in lines[4].split(" | ")[1:]] == ["90.0 %", "80.0 %", "70.0 %"]
    assert lines[5].count("75.0 % (70.0–80.0)") == 3 and "steps" not in lines[5]
    assert "not better on both" in lines[-2] and "+15.0 points clean, -5.0 under PGD-40" in lines[-2]


def test_the_federated_mixture_stands_beside_its_experts_and_plain_fedavg():
    views = ("plain", "mobile unit", "purified", "pooled")
    accuracy = {
        name: {view: {"value": value, "interval": (0, 1)} for view, value in zip(views, values)}
        for name, values in {"mixture": (0.9, 0.8, 0.7, 0.85), "plain FedAvg": (0.5, 0.4, 0.3, 0.45)}.items()
    }
    gain = {"plain FedAvg": {"pooled": {"value": 0.4, "interval": (0.3, 0.5)}}}
    metrics = {"n": 4, "accuracy": accuracy, "mixture_gain": gain, "remarks": ["One remark.", "Another."]}
    metrics["pooled"] = "its own scans of each hospital; groups are resampled with all that was made of their scans"
    card = {"command": "python -m training.recipes.medfedpure", "minutes": 12, "metrics": metrics}
    lines = federated_table(card)
    assert (
        "columns show its own scans of each hospital." in lines[0] and "a hospital's own are a part of them" in lines[0]
    )
    invented = federated_table(card | {"metrics": metrics | {"pooled": "each scan as each hospital would show it; …"}})
    assert (
        "columns show each scan as each hospital would show it." in invented[0] and "shows all of them" in invented[0]
    )
    assert "n = 4" in lines[0] and "It took 12 min. One remark. Another." in lines[0]
    head, _, mixture, fedavg = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:6])
    assert head[1:5] == ["plain", "mobile unit", "purified", "all hospitals pooled"]
    assert [cell[:6] for cell in mixture[1:5]] == ["90.0 %", "80.0 %", "70.0 %", "85.0 %"]
    assert (mixture[0], mixture[5], fedavg[5]) == ("mixture", "–", "+40.0 (+30.0 to +50.0)")


def test_an_ablation_names_the_expert_whom_the_gate_trusts_least():
    made = {"command": "python -m training.measure.ablations --data br35h.npz", "made_with": {"seed": 3}}
    variants = {"1-1-1": FIGURES | made | {"gate": {"Clean": 0.98, "PGD-1": 0.02}}}
    lines = ablation_tables({"variants": variants, "unseen": {"mixture, cw 8/255": FIGURE | made}})
    assert sum("`training.measure.ablations --data br35h.npz`: split val" in line for line in lines) == 2
    assert "n = 4, seed 3." in lines[0]
    assert any(line.startswith("| 1-1-1") and line.endswith("| 2.0 % |") for line in lines)
    assert "| mixture, cw 8/255 | 4 | 75.0 % (70.0–80.0) |" in lines
    assert ablation_tables({}) == []


def test_where_they_look_is_told_of_the_weights_of_today(bundle):
    looks = {
        name: {"made_with": {"weights_sha256": made_with}}
        for name, made_with in (("resnet18", weights_record(bundle, "resnet18")), ("dwf", {}), ("gone", {}))
    }
    assert list(looks_of_today(bundle, looks)) == ["resnet18"]
    assert "not measured with the weights of today" in attribution_table({})[0]


def test_attributions_are_averaged_over_the_outlined_tumours():
    rows = [OutlineAgreement(True, 0.5, 0.1), OutlineAgreement(False, 0.1, 0.1)]
    found = summary(rows, ("a", "b"))
    assert (found["energy"], found["hit"]) == (0.3, 0.5)
    masks, has_mask = torch.ones(3, 2, 2).bool(), torch.tensor([True, False, True])
    data = Dataset(torch.zeros(3, 1, 2, 2), torch.tensor([1, 1, 0]), ("a", "b", "c"), (), "", masks, has_mask)
    assert outlined(data).groups == ("a",)
    made_with = {"command": "python -m training.measure.attributions", "seed": 0}
    found_by_network = {"dwf": {"made_with": made_with, "n": 2, "expected": 0.1, "clean": found, "attacked": found}}
    found_by_network["dwf"]["purified"] = found
    assert "30.0 %" in attribution_table(found_by_network)[-2] and "hit 50 %" in attribution_table(found_by_network)[-2]


class Two:
    """A bundle whose mixture has two experts."""

    def experts(self, name):
        return Expert("one", ""), Expert("other", "")


def test_the_plot_is_the_same_for_the_same_figures(tmp_path):
    record = GateRecord((0, 1), {"clean": np.array([[0.5, 0.5], [0.9, 0.1]])}, "", "val", "")
    for name in ("one.svg", "two.svg"):
        draw_gates(Two(), {"pair": record}, tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert first == second and b"<svg" in first
