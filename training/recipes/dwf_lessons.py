"""What the experts of Divided We Fall learn, and the attacks that they meet (arXiv 2512.20821, section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.attacks import AttackSettings
from training.conditions import pixels_under

FGSM_EPS = (0.02, 0.04, 0.06, 0.08)
PGD_EPS = 8  # in 1/255
TOGETHER = "Then with all experts together, on clean, FGSM and PGD scans."

Attacker = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Lesson:
    """What one expert learns: its name, that in a sentence, who attacks its batches (None: nobody), and how."""

    name: str
    training: str
    attacker: Attacker | None
    kind: str = ""


def chosen_lessons(composition: str, iterations: Sequence[int], strength: float = 1.0) -> list[Lesson]:
    """Return what the experts of a composition such as ``1-4-4`` learn, each kind of attack from weak to strong.

    Of a smaller composition the strongest attacks stay. Every ε of the paper is multiplied by `strength`.
    """
    clean, fgsm, pgd = map(int, composition.split("-"))
    if clean > 1 or fgsm > len(FGSM_EPS) or pgd > len(iterations):
        most = f"1-{len(FGSM_EPS)}-{len(iterations)}"
        raise ValueError(f"There are no experts {composition} with these iterations; ask for at most {most}.")
    lessons = [Lesson("Clean", f"First on clean scans only. {TOGETHER}", None)] * clean
    for eps in (strength * size for size in FGSM_EPS[len(FGSM_EPS) - fgsm :]):
        about = f"First with half of each batch attacked by FGSM, ε = {eps:g} ({255 * eps:.0f}/255). {TOGETHER}"
        lessons.append(Lesson(f"FGSM {eps:g}", about, fgsm_attacker((eps,)), "FGSM"))
    for count in iterations[len(iterations) - pgd :]:
        eps = strength * PGD_EPS
        about = f"First with half of each batch attacked by PGD, ε = {eps:g}/255, {count} steps. {TOGETHER}"
        lessons.append(Lesson(f"PGD-{count}", about, pgd_attacker((count,), eps), "PGD"))
    return lessons


def fgsm_attacker(sizes: Sequence[float]) -> Attacker:
    """Return FGSM with ε, in pixel units, drawn for each batch."""

    def attack(network: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        eps = 255 * drawn(sizes, generator)
        return attacked(network, pixels, labels, AttackSettings("fgsm", eps=eps), generator)

    return attack


def pgd_attacker(counts: Sequence[int], eps: float = PGD_EPS) -> Attacker:
    """Return PGD at ε, in 1/255, with its number of iterations drawn for each batch."""

    def attack(network: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        settings = AttackSettings("pgd", eps=eps, steps=drawn(counts, generator))
        return attacked(network, pixels, labels, settings, generator)

    return attack


def drawn(values: Sequence[Any], generator: torch.Generator) -> Any:
    """Return one of the values."""
    return values[int(torch.randint(len(values), (), generator=generator))]


def attacked(
    network: nn.Module, pixels: Tensor, labels: Tensor, settings: AttackSettings, generator: torch.Generator
) -> Tensor:
    """Return the batch attacked on the network as it would answer now, which learns no statistics from the attempts."""
    if not len(pixels):
        return pixels
    learning = network.training
    network.eval()
    after = pixels_under(settings, network, pixels, labels, int(torch.randint(2**31, (), generator=generator)))
    network.train(learning)
    return after.contiguous(memory_format=torch.channels_last)


def some_attacked(
    network: nn.Module, pixels: Tensor, labels: Tensor, settings: AttackSettings, generator: torch.Generator
) -> Tensor:
    """Return (B, C, H, W) scans, every second one attacked on the network."""
    pixels = pixels.clone()
    pixels[1::2] = attacked(network, pixels[1::2], labels[1::2], settings, generator)
    return pixels


def attacked_parts(
    network: nn.Module, pixels: Tensor, labels: Tensor, attackers: Sequence[Attacker | None], generator: torch.Generator
) -> Tensor:
    """Return the batch in equal parts, each changed by its attacker, or left alone."""
    parts = zip(pixels.tensor_split(len(attackers)), labels.tensor_split(len(attackers)), attackers)
    return torch.cat([who(network, x, y, generator) if who else x for x, y, who in parts])
