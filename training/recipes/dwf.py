"""Train Divided We Fall's mixture: experts apart, one clean and the others attacked, then everything with a gate.

    python -m training.recipes.dwf --data br35h.npz tcga-lgg.npz cheng.npz --out build/dwf                 one GPU
    python -m training.recipes.dwf --data br35h.npz tcga-lgg.npz cheng.npz --out build/dwf \\
        --steps 400 --joint-steps 200 --expert-iterations 2 4 7 10 --iterations 4 6 8 10                   two cores
    python -m training.recipes.dwf … --in-turn --clean-steps 1200 --strength 0.5          two cores, several collections

After arXiv 2512.20821, section 4: experts trained on FGSM of several ε and on PGD of several iterations; then every
batch mixes clean scans, FGSM with ε drawn from .01 … .09 and PGD with its iterations drawn. Beside the mixture one
network of the same family is trained on that mix for as many steps as an expert sees: what a mixture has to beat.

The paper's experts begin with random weights. In the few steps that two cores allow, none of those who are attacked
learned anything of three collections (a loss of ln 2). With --in-turn each goes on from the one before it, who met a
weaker attack of its kind, and the first from the clean one. PGD at 8/255 then still teaches little, and the one network
on the mix nothing; --strength takes a part of every ε.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core import compute
from core.evaluation.datasets import Dataset
from core.models.experts import Gate, MixtureOfExperts
from core.models.resnet import NarrowResNet18
from training.options import recipe_options
from training.recipes.augmentation import augmented_scans
from training.recipes.cards import write_form, write_result
from training.recipes.data import batches, by_collection, load_splits
from training.recipes.dwf_lessons import (
    PGD_EPS,
    Attacker,
    Lesson,
    attacked_parts,
    chosen_lessons,
    fgsm_attacker,
    pgd_attacker,
)
from training.recipes.mixture_figures import mean_weights, measured
from training.recipes.run import Run
from training.recipes.weights import seeded
from training.tasks import BRAIN_MRI

DRAWN_EPS = tuple(round(0.01 * n, 2) for n in range(1, 10))
Drawn = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def main() -> None:
    options = parsed(options_parser())
    train, val = load_splits(options)
    lessons = lessons_of(options)
    deadline = time.perf_counter() + 60 * options.minutes
    runs = train_experts(lessons, train, options, deadline)
    if not all(run.finished for run in runs):
        return print("The experts are not finished; run the same command again to go on.")
    rival = train_rival(train, options, deadline, runs[-1].averaged() if options.in_turn else None)
    if not rival.finished:
        return print("The one network is not finished; run the same command again to go on.")
    together = train_together([run.averaged() for run in runs], train, options, deadline)
    if not together.finished:
        return print("The mixture is not finished; run the same command again to go on.")
    networks = {"mixture": together.averaged(), "one_network": rival.averaged()}
    val = Dataset.joined(list(by_collection(val, options.measured).values()))
    metrics = {name: measured(network, val, options.seed) for name, network in networks.items()}
    metrics["gate"] = dict(zip([lesson.name for lesson in lessons], mean_weights(together.averaged(), val.pixels)))
    steps, minutes = (sum(getattr(run, name) for run in [*runs, rival, together]) for name in ("step", "minutes"))
    write_result(together.averaged(), "dwf", together.options, metrics, steps=steps, minutes=minutes)
    write_form(together.options.out / "dwf.safetensors", mixture_form(lessons, options))


def options_parser() -> argparse.ArgumentParser:
    """Return the options of all recipes, and this one's own."""
    parser = recipe_options(__doc__, steps=3000, batch=128, lr=2e-3, decay=0.98)
    parser.add_argument("--joint-steps", type=int, default=1600, help="optimiser steps of everything together")
    parser.add_argument("--joint-lr", type=float, default=5e-4)
    parser.add_argument("--in-turn", action="store_true", help="an expert goes on from the one before it of its kind")
    parser.add_argument("--strength", type=float, default=1.0, help="every ε of the paper times this")
    parser.add_argument("--clean-steps", type=int, help="optimiser steps of the clean expert; by default --steps")
    parser.add_argument("--experts", default="1-4-4", help="how many clean, FGSM and PGD experts")
    parser.add_argument("--expert-iterations", type=int, nargs="+", default=[10, 20, 30, 40], help="of the PGD experts")
    parser.add_argument("--iterations", type=int, nargs="+", default=[10, 20, 30, 40, 50], help="of PGD, together")
    parser.add_argument("--entropy", type=float, default=0.1, help="weight of the gate's entropy: against a collapse")
    parser.add_argument("--frozen", action="store_true", help="train the gate alone")
    parser.add_argument("--hard", action="store_true", help="ask only the expert whom the gate prefers")
    parser.add_argument("--measured", type=int, default=300, help="val scans of a collection, at most, for the card")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--shrink", type=int, default=2)
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options, less one that this recipe has no use for."""
    options = parser.parse_args()
    if options.init:
        parser.error("The experts must differ, so they begin with random weights of their own; leave --init out.")
    return options


def batches_of(train: Dataset, options: argparse.Namespace) -> Drawn:
    """Return what draws a step's augmented batch: (step, generator of the step) → pixels and labels."""
    drawn, place = batches(train, options), compute.device()

    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = drawn(step, generator)
        pixels = augmented_scans(train.pixels[chosen].to(place), generator)
        return pixels.contiguous(memory_format=torch.channels_last), train.labels[chosen].to(place)

    return batch


def lessons_of(options: argparse.Namespace) -> list[Lesson]:
    """Return what the experts of the options learn."""
    return chosen_lessons(options.experts, options.expert_iterations, options.strength)


def train_experts(lessons: Sequence[Lesson], train: Dataset, options: argparse.Namespace, deadline: float) -> list[Run]:
    """Return the runs of the experts, trained as long as time allows; with --in-turn none before the one before it."""
    runs: list[Run] = []
    for place, lesson in enumerate(lessons):
        if options.in_turn and runs and not runs[-1].finished:
            break
        before = place_before(place, lessons) if options.in_turn else None
        runs.append(train_expert(lesson, train, options, deadline, None if before is None else runs[before].averaged()))
    return runs


def place_before(place: int, lessons: Sequence[Lesson]) -> int | None:
    """Return from whom an expert goes on: the one before it of its kind, else the first of all; None for that one."""
    if place == 0:
        return None
    return place - 1 if lessons[place - 1].kind == lessons[place].kind else 0


def train_expert(
    lesson: Lesson, train: Dataset, options: argparse.Namespace, deadline: float, start: nn.Module | None = None
) -> Run:
    """Return the run of one expert, trained as long as time allows."""
    attackers = [None, lesson.attacker] if lesson.attacker else [None]
    steps = options.steps if lesson.attacker else options.clean_steps or options.steps
    return train_alone(lesson.name, attackers, steps, train, options, deadline, start)


def train_rival(train: Dataset, options: argparse.Namespace, deadline: float, start: nn.Module | None = None) -> Run:
    """Return the run of the one network that learns what the mixture learns, for as many steps as an expert sees."""
    steps = options.joint_steps + (0 if start else options.steps)
    return train_alone("One network", mixed_attackers(options), steps, train, options, deadline, start)


def mixed_attackers(options: argparse.Namespace) -> list[Attacker | None]:
    """Return who attacks a batch: a third of it is clean, a third FGSM, a third PGD (algorithms 1 and 2)."""
    sizes = [options.strength * eps for eps in DRAWN_EPS]
    return [None, fgsm_attacker(sizes), pgd_attacker(options.iterations, options.strength * PGD_EPS)]


def train_alone(
    name: str,
    attackers: Sequence[Attacker | None],
    steps: int,
    train: Dataset,
    options: argparse.Namespace,
    deadline: float,
    start: nn.Module | None,
) -> Run:
    """Return the run of one network on batches in equal parts clean and attacked; it goes on from `start`, if any."""
    shape = BRAIN_MRI["input"]["channels"], len(BRAIN_MRI["classes"]), options.width, options.shrink
    network = seeded(lambda: NarrowResNet18(*shape), f"{options.seed} {name}")
    if start is not None:
        network.load_state_dict(start.state_dict())
    lr = options.lr if start is None else options.joint_lr
    run = Run(f"brain-dwf {name}", network, stage(options, name, steps, lr, deadline))
    batch = batches_of(train, options)

    def loss(network: nn.Module, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        pixels, labels = batch(step, generator)
        with compute.fast_autocast():
            logits = network(attacked_parts(network, pixels, labels, attackers, generator))
        yield 1.0, cross_entropy(logits.float(), labels, label_smoothing=0.05)

    run.train(loss)
    return run


def train_together(
    experts: list[nn.Module], train: Dataset, options: argparse.Namespace, deadline: float
) -> Run[MixtureOfExperts]:
    """Return the run of gate and experts on mixed batches; with --frozen of the gate alone."""
    for expert in experts:
        expert.requires_grad_(not options.frozen)
    gate = seeded(lambda: Gate(BRAIN_MRI["input"]["channels"], len(experts)), f"{options.seed} gate")
    mixture = MixtureOfExperts(experts, gate, options.hard)
    name, steps = together_name(options), options.joint_steps
    run = Run(f"brain-dwf {name}", mixture, stage(options, name, steps, options.joint_lr, deadline))
    batch, attackers = batches_of(train, options), mixed_attackers(options)

    def loss(network: MixtureOfExperts, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        pixels, labels = batch(step, generator)
        with compute.fast_autocast():
            given = attacked_parts(network, pixels, labels, attackers, generator)
            if options.frozen:
                network.experts.eval()
            combined, scores = network.opinions(given).combined, network.gate(given)
        wrong = cross_entropy(combined.float(), labels, label_smoothing=0.05)
        yield 1.0, wrong + options.entropy * collapse(scores.float().softmax(1))

    run.train(loss)
    return run


def together_name(options: argparse.Namespace) -> str:
    """Return what tells mixtures of the same experts apart: ``together``, or ``together 1-2-2 frozen hard``."""
    facts = [options.experts] * (options.experts != "1-4-4") + ["frozen"] * options.frozen + ["hard"] * options.hard
    return " ".join(["together", *facts])


def collapse(weights: Tensor) -> Tensor:
    """Return how far the mean of (B, K) soft gate weights is from asking all experts equally; nats, 0 at best."""
    share = weights.mean(0)
    return math.log(len(share)) + torch.xlogy(share, share).sum()


def stage(options: argparse.Namespace, name: str, steps: int, lr: float, deadline: float) -> argparse.Namespace:
    """Return the options of one stage of the run, in a folder of its own and within the time that is left."""
    changed = {
        "out": options.out / name.lower().replace(" ", "-"),
        "steps": steps,
        "lr": lr,
        "minutes": max(0.0, (deadline - time.perf_counter()) / 60),
    }
    return argparse.Namespace(**vars(options) | changed)


def mixture_form(lessons: Sequence[Lesson], options: argparse.Namespace) -> dict[str, Any]:
    """Return how the mixture is built and who sits in it."""
    return {
        "architecture": "resnet18-mixture",
        "config": {"count": len(lessons), "width": options.width, "shrink": options.shrink, "hard": options.hard},
        "experts": [{"name": lesson.name, "training": lesson.training} for lesson in lessons],
    }


if __name__ == "__main__":
    main()
