"""What Divided We Fall leaves open: frozen or joint, soft or hard gate, how many experts, and attacks it never saw.

    python -m training.ablations --data br35h.npz --out build/ablations --mixture build/dwf

The mixtures that are compared are smaller than the bundle's and trained for fewer steps, the same for every row, on the
same pre-trained experts. Unseen attacks are tried on the bundle's own mixture and on the one network that was trained
beside it (in --mixture). The rows go into results.json, from which `training.tables` draws the table.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from core.attacks import AttackSettings
from core.bundles import WEIGHTS, load_bundle
from core.models.resnet import NarrowResNet18
from training import dwf
from training.answers import condition_name
from training.common import load_splits, named_as

VARIANTS = {
    "1-4-4, joint, soft gate": {},
    "1-4-4, frozen experts": {"frozen": True},
    "1-4-4, hard gate": {"hard": True},
    "1-2-2, joint, soft gate": {"experts": "1-2-2"},
    "1-1-1, joint, soft gate": {"experts": "1-1-1"},
}
UNSEEN = (
    *(AttackSettings(name) for name in ("autoattack", "cw")),
    AttackSettings("square", steps=1000),
    *(AttackSettings("fgsm", eps=eps) for eps in (25.5, 38.25, 51)),
    *(AttackSettings("pgd", eps=eps) for eps in (25.5, 38.25, 51)),
)
FEW = 100


def main() -> None:
    parser = dwf.options_parser()
    parser.description = __doc__
    parser.add_argument("--mixture", type=Path, required=True, help="where training.dwf wrote the bundle's mixture")
    parser.add_argument("--bundle", default="brain-mri")
    parser.set_defaults(
        width=12, shrink=4, steps=200, joint_steps=100, expert_iterations=[2, 4, 7, 10], iterations=[4, 6, 8, 10]
    )
    options = parser.parse_args()
    train, val = load_splits(options.data)
    results = WEIGHTS / options.bundle / "results.json"
    for name, changes in VARIANTS.items():
        keep(results, "variants", name, variant(argparse.Namespace(**vars(options) | changes), train, val))
    seen = val.limited(FEW, options.seed)
    networks = {"mixture": load_bundle(options.bundle).classifiers["dwf"], "one network": one_network(options.mixture)}
    for name, network in networks.items():
        for settings in UNSEEN:
            keep(results, "unseen", f"{name}, {condition_name(settings)}", dwf.figure(network, seen, settings))


def variant(options: argparse.Namespace, train: dwf.Dataset, val: dwf.Dataset) -> dict[str, Any]:
    """One smaller mixture: its accuracy with intervals, and its gate."""
    lessons = dwf.chosen_lessons(options.experts, options.expert_iterations)
    deadline = float("inf")
    experts = [dwf.train_expert(lesson, train, options, deadline).averaged() for lesson in lessons]
    mixture = dwf.train_together(experts, train, options, deadline).averaged()
    shares = dwf.gate_shares(mixture, val)
    return dwf.measured(mixture, val) | {"gate": dict(zip([lesson.name for lesson in lessons], shares))}


def one_network(folder: Path) -> nn.Module:
    """The network that was trained beside the mixture, from its checkpoint."""
    form = json.loads((folder / "together" / "dwf.form.json").read_text(encoding="utf-8"))["config"]
    network = NarrowResNet18(1, 2, form["width"], form["shrink"])
    state = load_file(folder / "one-network" / "checkpoint.safetensors")
    prefix = "average.module."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    network.load_state_dict(named_as(network, weights))
    return network.eval().requires_grad_(False)


def keep(results: Path, table: str, name: str, row: dict[str, Any]) -> None:
    """Write one row into results.json, and leave the rest of it as it is."""
    report = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    report.setdefault("ablations", {}).setdefault(table, {})[name] = row
    results.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(name, json.dumps(row))


if __name__ == "__main__":
    main()
