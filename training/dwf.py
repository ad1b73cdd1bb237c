"""Train Divided We Fall's mixture: experts apart, one clean and the others attacked, then everything with a gate.

    python -m training.dwf --data br35h.npz --out build/dwf                                        one GPU
    python -m training.dwf --data br35h.npz --out build/dwf --steps 400 --joint-steps 200 \\
        --expert-iterations 2 4 7 10 --iterations 4 6 8 10                                         two cores, an hour

After arXiv 2512.20821, section 4: experts trained on FGSM of several ε and on PGD of several iterations; then every
batch mixes clean scans, FGSM with ε drawn from .01 … .09 and PGD with its iterations drawn. Beside the mixture one
network of the same family is trained on that mix for as many steps as an expert sees: what a mixture has to beat.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core import compute
from core.attacks import AttackSettings, attack_steps
from core.evaluation.datasets import Dataset
from core.models.experts import Gate, MixtureOfExperts
from core.models.resnet import NarrowResNet18
from core.statistics import bootstrap_interval
from training.answers import condition_name
from training.assemble import BUNDLE
from training.common import Run, arguments, augmented, load_splits, random_batches, seeded, write_result

FGSM_EPS = (0.02, 0.04, 0.06, 0.08)
DRAWN_EPS = tuple(round(0.01 * n, 2) for n in range(1, 10))
PGD_EPS = 8  # in 1/255
EMA_DECAY = 0.98
TOGETHER = "Then with all experts together, on clean, FGSM and PGD scans."
MEASURED = (AttackSettings(), AttackSettings("fgsm"), AttackSettings("pgd"))

Attacker = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Lesson:
    """What one expert learns: its name, that in a sentence, and who attacks its batches (None: nobody)."""

    name: str
    training: str
    attacker: Attacker | None


def main() -> None:
    options = parsed(options_parser())
    train, val = load_splits(options.data)
    lessons = chosen_lessons(options.experts, options.expert_iterations)
    deadline = time.perf_counter() + 60 * options.minutes
    runs = [train_expert(lesson, train, options, deadline) for lesson in lessons]
    rival = train_rival(train, options, deadline)
    if not all(run.finished for run in [*runs, rival]):
        return print("The experts are not finished; run the same command again to go on.")
    together = train_together([run.averaged() for run in runs], train, options, deadline)
    if not together.finished:
        return print("The mixture is not finished; run the same command again to go on.")
    networks = {"mixture": together.averaged(), "one_network": rival.averaged()}
    metrics = {name: measured(network, val, options.seed) for name, network in networks.items()}
    metrics["gate"] = dict(zip([lesson.name for lesson in lessons], gate_shares(together.averaged(), val)))
    steps, minutes = (sum(getattr(run, name) for run in [*runs, rival, together]) for name in ("step", "minutes"))
    write_result(together.averaged(), "dwf", together.options, metrics, steps=steps, minutes=minutes)
    write_form(lessons, options)


def options_parser() -> argparse.ArgumentParser:
    """The options of all recipes, and this one's own."""
    parser = arguments(__doc__, steps=3000, batch=128, lr=2e-3)
    parser.add_argument("--joint-steps", type=int, default=1600, help="optimiser steps of everything together")
    parser.add_argument("--joint-lr", type=float, default=5e-4)
    parser.add_argument("--experts", default="1-4-4", help="how many clean, FGSM and PGD experts")
    parser.add_argument("--expert-iterations", type=int, nargs="+", default=[10, 20, 30, 40], help="of the PGD experts")
    parser.add_argument("--iterations", type=int, nargs="+", default=[10, 20, 30, 40, 50], help="of PGD, together")
    parser.add_argument("--entropy", type=float, default=0.1, help="weight of the gate's entropy: against a collapse")
    parser.add_argument("--frozen", action="store_true", help="train the gate alone")
    parser.add_argument("--hard", action="store_true", help="ask only the expert whom the gate prefers")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--shrink", type=int, default=2)
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, less one that this recipe has no use for."""
    options = parser.parse_args()
    if options.init:
        parser.error("The experts must differ, so they begin with random weights of their own; leave --init out.")
    return options


def chosen_lessons(composition: str, iterations: Sequence[int]) -> list[Lesson]:
    """``1-4-4`` → what nine experts learn; of a smaller number the strongest attacks are kept."""
    clean, fgsm, pgd = map(int, composition.split("-"))
    if clean > 1 or fgsm > len(FGSM_EPS) or pgd > len(iterations):
        most = f"1-{len(FGSM_EPS)}-{len(iterations)}"
        raise ValueError(f"There are no experts {composition} with these iterations; ask for at most {most}.")
    lessons = [Lesson("Clean", f"First on clean scans only. {TOGETHER}", None)] * clean
    for eps in FGSM_EPS[len(FGSM_EPS) - fgsm :]:
        about = f"First with half of each batch attacked by FGSM, ε = {eps:g} ({255 * eps:.0f}/255). {TOGETHER}"
        lessons.append(Lesson(f"FGSM {eps:g}", about, fgsm_attacker((eps,))))
    for count in iterations[len(iterations) - pgd :]:
        about = f"First with half of each batch attacked by PGD, ε = {PGD_EPS}/255, {count} steps. {TOGETHER}"
        lessons.append(Lesson(f"PGD-{count}", about, pgd_attacker((count,))))
    return lessons


def fgsm_attacker(sizes: Sequence[float]) -> Attacker:
    """FGSM with ε, in pixel units, drawn for each batch."""

    def attack(network: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        eps = 255 * drawn(sizes, generator)
        return attacked(network, pixels, labels, AttackSettings("fgsm", eps=eps), generator)

    return attack


def pgd_attacker(counts: Sequence[int]) -> Attacker:
    """PGD at 8/255 with its number of iterations drawn for each batch."""

    def attack(network: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        settings = AttackSettings("pgd", eps=PGD_EPS, steps=drawn(counts, generator))
        return attacked(network, pixels, labels, settings, generator)

    return attack


def drawn(values: Sequence[Any], generator: torch.Generator) -> Any:
    """One of the values."""
    return values[int(torch.randint(len(values), (), generator=generator))]


def attacked(
    network: nn.Module, pixels: Tensor, labels: Tensor, settings: AttackSettings, generator: torch.Generator
) -> Tensor:
    """The batch attacked on the network as it would answer now; its statistics are not learned from the attempts."""
    if not len(pixels):
        return pixels
    network.eval()
    after = under(settings, network, pixels, labels, int(torch.randint(2**31, (), generator=generator)))
    network.train()
    return after.contiguous(memory_format=torch.channels_last)


def under(settings: AttackSettings, network: nn.Module, pixels: Tensor, labels: Tensor, seed: int) -> Tensor:
    """The batch as the attack leaves it."""
    if settings.method is None:
        return pixels
    for step in attack_steps(network, pixels, labels, settings, seed):
        after = step.attacked
    return after


def attacked_parts(
    network: nn.Module, pixels: Tensor, labels: Tensor, attackers: Sequence[Attacker | None], generator: torch.Generator
) -> Tensor:
    """The batch in equal parts, each changed by its attacker, or left alone."""
    parts = zip(pixels.tensor_split(len(attackers)), labels.tensor_split(len(attackers)), attackers)
    return torch.cat([who(network, x, y, generator) if who else x for x, y, who in parts])


def batches_of(
    train: Dataset, options: argparse.Namespace, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches: pixels and labels."""
    place = compute.device()
    pixels, labels = train.pixels.to(place), train.labels.to(place)
    for chosen in random_batches(len(pixels), options.batch, generator):
        yield augmented(pixels[chosen], generator).contiguous(memory_format=torch.channels_last), labels[chosen]


def train_expert(lesson: Lesson, train: Dataset, options: argparse.Namespace, deadline: float) -> Run:
    """One expert."""
    attackers = [None, lesson.attacker] if lesson.attacker else [None]
    return train_alone(lesson.name, attackers, options.steps, train, options, deadline)


def train_rival(train: Dataset, options: argparse.Namespace, deadline: float) -> Run:
    """The one network that learns what the mixture learns."""
    steps = options.steps + options.joint_steps
    return train_alone("One network", mixed_attackers(options), steps, train, options, deadline)


def mixed_attackers(options: argparse.Namespace) -> list[Attacker | None]:
    """A third of a batch clean, a third FGSM, a third PGD (algorithms 1 and 2)."""
    return [None, fgsm_attacker(DRAWN_EPS), pgd_attacker(options.iterations)]


def train_alone(
    name: str,
    attackers: Sequence[Attacker | None],
    steps: int,
    train: Dataset,
    options: argparse.Namespace,
    deadline: float,
) -> Run:
    """One network on batches in equal parts clean and attacked."""
    shape = BUNDLE["input"]["channels"], len(BUNDLE["classes"]), options.width, options.shrink
    network = seeded(lambda: NarrowResNet18(*shape), f"{options.seed} {name}")
    run = Run(network, stage(options, name, steps, options.lr, deadline), EMA_DECAY)
    batches = batches_of(train, options, run.generator)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        pixels, labels = next(batches)
        given = attacked_parts(network, pixels, labels, attackers, generator)
        return cross_entropy(network(given).float(), labels, label_smoothing=0.05)

    run.train(loss)
    return run


def train_together(experts: list[nn.Module], train: Dataset, options: argparse.Namespace, deadline: float) -> Run:
    """Gate and experts on mixed batches; with --frozen the gate alone."""
    for expert in experts:
        expert.requires_grad_(not options.frozen)
    gate = seeded(lambda: Gate(BUNDLE["input"]["channels"], len(experts)), f"{options.seed} gate")
    mixture = MixtureOfExperts(experts, gate, options.hard)
    run = Run(
        mixture, stage(options, together_name(options), options.joint_steps, options.joint_lr, deadline), EMA_DECAY
    )
    batches, attackers = batches_of(train, options, run.generator), mixed_attackers(options)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        pixels, labels = next(batches)
        given = attacked_parts(network, pixels, labels, attackers, generator)
        if options.frozen:
            network.experts.eval()
        opinions = network.opinions(given)
        wrong = cross_entropy(opinions.combined.float(), labels, label_smoothing=0.05)
        return wrong + options.entropy * collapse(network.gate(given).float().softmax(1))

    run.train(loss)
    return run


def together_name(options: argparse.Namespace) -> str:
    """What tells one mixture of the same experts from another: ``together``, or ``together 1-2-2 frozen hard``."""
    facts = [options.experts] * (options.experts != "1-4-4") + ["frozen"] * options.frozen + ["hard"] * options.hard
    return " ".join(["together", *facts])


def collapse(weights: Tensor) -> Tensor:
    """How far the mean gate of a batch, (B, K) soft weights, is from asking all experts equally; nats, 0 at best."""
    share = weights.mean(0)
    return math.log(len(share)) + torch.xlogy(share, share).sum()


def stage(options: argparse.Namespace, name: str, steps: int, lr: float, deadline: float) -> argparse.Namespace:
    """The options of one stage of the run, in a folder of its own and within the time that is left."""
    changed = {
        "out": options.out / name.lower().replace(" ", "-"),
        "steps": steps,
        "lr": lr,
        "minutes": max(0.0, (deadline - time.perf_counter()) / 60),
    }
    return argparse.Namespace(**vars(options) | changed)


def measured(network: nn.Module, val: Dataset, seed: int) -> dict[str, Any]:
    """Accuracy with its interval, clean and under white-box attacks, on the validation scans."""
    return {condition_name(settings): figure(network, val, settings, seed) for settings in MEASURED}


def figure(network: nn.Module, val: Dataset, settings: AttackSettings, seed: int) -> dict[str, Any]:
    """One accuracy, n and its 95 % interval over near-duplicate groups."""
    hits: list[bool] = []
    for start in range(0, len(val), 64):
        pixels = val.pixels[start : start + 64].to(compute.device())
        labels = val.labels[start : start + 64].to(compute.device())
        after = under(settings, network, pixels, labels, seed + start)
        with torch.no_grad():
            hits += (network(after).argmax(1) == labels).tolist()
    interval = bootstrap_interval(hits, val.groups)
    return {"accuracy": float(np.mean(hits)), "interval": interval, "n": len(hits)}


@torch.no_grad()
def gate_shares(network: MixtureOfExperts, val: Dataset) -> list[float]:
    """Mean gate weight of each expert over the clean validation scans."""
    weights = [network.weights(pixels.to(compute.device())) for pixels in val.pixels.split(64)]
    return torch.cat(weights).mean(0).tolist()


def write_form(lessons: Sequence[Lesson], options: argparse.Namespace) -> None:
    """How the mixture is built and who sits in it, beside its weights."""
    entry = {
        "architecture": "resnet18-mixture",
        "config": {"count": len(lessons), "width": options.width, "shrink": options.shrink, "hard": options.hard},
        "experts": [{"name": lesson.name, "training": lesson.training} for lesson in lessons],
    }
    out = stage(options, together_name(options), 0, 0, 0).out
    (out / "dwf.form.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
