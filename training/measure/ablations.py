"""What Divided We Fall leaves open: frozen or joint, soft or hard gate, how many experts, and attacks it never saw.

    python -m training.measure.ablations --data br35h.npz --out build/ablations --mixture build/dwf

The mixtures that are compared are smaller than the bundle's and trained for fewer steps, the same for every row, on the
same pre-trained experts. Unseen attacks are tried on --limit scans, on the bundle's own mixture and on the one network
that was trained beside it (in --mixture). The rows go into results.json; one that stands there, made with the same
weights and scans, is not measured again, so the same command goes on where it was cut off.
"""

import argparse
import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from core.attacks import AttackSettings
from core.bundles import load_bundle
from core.evaluation.datasets import Dataset
from core.models.experts import MixtureOfExperts
from core.models.resnet import NarrowResNet18
from training.conditions import condition_name
from training.files import read_results, write_results
from training.recipes import dwf
from training.recipes.cards import command_line
from training.recipes.data import load_splits
from training.recipes.mixture_figures import MEASURED, figure, mean_weights, measured
from training.recipes.weights import named_as

PLAIN = {"experts": "1-4-4", "frozen": False, "hard": False}
VARIANTS = {
    "1-4-4, joint, soft gate": PLAIN,
    "1-4-4, frozen experts": PLAIN | {"frozen": True},
    "1-4-4, hard gate": PLAIN | {"hard": True},
    "1-2-2, joint, soft gate": PLAIN | {"experts": "1-2-2"},
    "1-1-1, joint, soft gate": PLAIN | {"experts": "1-1-1"},
}
UNSEEN = (  # those that take longest come last
    *(AttackSettings(name, eps=eps) for name in ("fgsm", "pgd") for eps in (25.5, 38.25, 51)),
    AttackSettings("cw"),
    AttackSettings("square", steps=1000),
    AttackSettings("autoattack"),
)
UNFINISHED = "The ablations are not finished; run the same command again to go on."


def main() -> None:
    options = parsed()
    deadline = time.perf_counter() + 60 * options.minutes
    bundle, rival = load_bundle(options.bundle), one_network(options.mixture)
    folder, mixture = bundle.folder, bundle.classifiers["dwf"]
    train, val = load_splits(options)
    for name, changes in VARIANTS.items():
        chosen = argparse.Namespace(**vars(options) | changes)
        network = variant(chosen, train, deadline)
        if network is None:
            return print(UNFINISHED)
        record_variant(folder, name, network, val, chosen)
    seen = val.limited(options.limit, options.seed)
    for title, attacked in {"mixture": mixture, "one network": rival}.items():
        for settings in UNSEEN:
            if time.perf_counter() > deadline:
                return print(UNFINISHED)
            record_unseen(folder, title, attacked, settings, seen, options)


def parsed() -> argparse.Namespace:
    """Return the options of `training.recipes.dwf` with smaller defaults, and this recipe's own."""
    parser = dwf.options_parser()
    parser.description = __doc__
    parser.add_argument("--mixture", type=Path, required=True, help="where recipes.dwf wrote the bundle's mixture")
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--limit", type=int, default=100, help="scans on which unseen attacks are tried")
    parser.set_defaults(
        width=12, shrink=4, steps=200, joint_steps=100, expert_iterations=[2, 4, 7, 10], iterations=[4, 6, 8, 10]
    )
    return dwf.parsed(parser)


def variant(options: argparse.Namespace, train: Dataset, deadline: float) -> MixtureOfExperts | None:
    """Return one smaller mixture; the variants share their experts' checkpoints. None where the time is up."""
    lessons = dwf.lessons_of(options)
    runs = dwf.train_experts(lessons, train, options, deadline)
    if not all(run.finished for run in runs):
        return None
    together = dwf.train_together([run.averaged() for run in runs], train, options, deadline)
    return together.averaged() if together.finished else None


def record_variant(
    folder: Path, name: str, network: MixtureOfExperts, val: Dataset, options: argparse.Namespace
) -> None:
    """Write a variant's accuracy with intervals, and its gate, unless they are known."""
    made_with = basis(network, val, options, MEASURED)
    if not known(folder, "variants", name, made_with):
        names = [lesson.name for lesson in dwf.lessons_of(options)]
        figures = measured(network, val, options.seed)
        keep(
            folder, "variants", name, made_with, figures | {"gate": dict(zip(names, mean_weights(network, val.pixels)))}
        )


def record_unseen(
    folder: Path, title: str, network: nn.Module, settings: AttackSettings, val: Dataset, options: argparse.Namespace
) -> None:
    """Write a network's accuracy under one attack, unless it is known."""
    name, made_with = f"{title}, {condition_name(settings)}", basis(network, val, options, [settings])
    if not known(folder, "unseen", name, made_with):
        keep(folder, "unseen", name, made_with, figure(network, val, settings, options.seed))


def basis(network: nn.Module, val: Dataset, options: argparse.Namespace, attacks: Any) -> dict[str, Any]:
    """Return what a row's figures depend on."""
    return {
        "data": val.sha256,
        "n": len(val),
        "seed": options.seed,
        "attacks": [asdict(settings) for settings in attacks],
        "weights_sha256": weights_sha256(network),
    }


def weights_sha256(network: nn.Module) -> str:
    """Return the SHA-256 over the names and values of a network's tensors: not all of these networks have a file."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def one_network(folder: Path) -> nn.Module:
    """Return the network that was trained beside the mixture, from its checkpoint."""
    form = json.loads((folder / "together" / "dwf.form.json").read_text(encoding="utf-8"))["config"]
    network = NarrowResNet18(1, 2, form["width"], form["shrink"])
    state = load_file(folder / "one-network" / "checkpoint.safetensors")
    prefix = "average."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    network.load_state_dict(named_as(network, weights))
    return network.eval().requires_grad_(False)


def known(folder: Path, table: str, name: str, made_with: dict[str, Any]) -> bool:
    """Return whether the row stands there, made with the same."""
    return read_results(folder).get("ablations", {}).get(table, {}).get(name, {}).get("made_with") == made_with


def keep(folder: Path, table: str, name: str, made_with: dict[str, Any], figures: dict[str, Any]) -> None:
    """Write one row, and leave the others as they are."""
    row = {"command": command_line(), "made_with": made_with} | figures
    ablations = read_results(folder).get("ablations", {})
    write_results(folder, {"ablations": ablations | {table: ablations.get(table, {}) | {name: row}}})
    print(name, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
