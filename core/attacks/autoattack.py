"""AutoAttack: strong attacks of different kinds in turn, on what nothing has fooled yet (Croce & Hein 2020)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from core.attacks.apgd import apgd
from core.attacks.attempts import (
    Generators,
    check_counts,
    checked_radius,
    look,
    per_image_generators,
    refuse_target,
    run_restarts,
)
from core.attacks.fab import fab
from core.attacks.gradient import AttackStep, Model
from core.attacks.square import square

Stage = Callable[..., Iterator[AttackStep]]
SQUARES_A_STEP = 50


def autoattack_yields(steps: int, norm: str, classes: int) -> int:
    """Return how many steps AutoAttack yields at most."""
    stages = 3 if classes > 2 else 2
    return (stages + SQUARES_A_STEP) * steps


def autoattack(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    apgd_steps: int | None = None,
    fab_steps: int | None = None,
    square_steps: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """APGD on the cross-entropy, APGD on DLR, FAB and Square; parameters as for `pgd`.

    DLR needs three classes, so that for two classes it is left out.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Source of everything random.
    norm : str
        "linf" or "l2".
    steps : int, optional
        Steps of APGD and FAB; Square gets 50 times as many queries. By default 100, 100 and 5000, as in section 5.
    restarts : int
        Attempts of each stage.
    apgd_steps, fab_steps, square_steps : int, optional
        Of one stage, in place of what `steps` says.

    Yields
    ------
    AttackStep
        Those of each stage under one running index; it ends early where every image is fooled. The loss is the one
        that the stage raises, hence not to be compared between stages.

    Raises
    ------
    ValueError
        A parameter is out of range, or there is a target; one sentence.
    """
    usual = 100 if steps is None else steps
    apgd_steps, fab_steps, square_steps = (
        default if given is None else given
        for given, default in ((apgd_steps, usual), (fab_steps, usual), (square_steps, SQUARES_A_STEP * usual))
    )
    check_counts(usual, apgd_steps, fab_steps, square_steps, restarts, eot)
    checked_radius(eps, norm, ("linf", "l2"), "AutoAttack")
    refuse_target(target, "AutoAttack")
    clean = look(model, pixels, eot)
    stages: list[Stage] = [
        *_ascents(clean, apgd_steps),
        partial(fab, steps=fab_steps),
        partial(square, steps=square_steps),
    ]
    settings = {"eps": eps, "norm": norm, "restarts": restarts, "eot": eot}
    yield from _in_turn(stages, model, pixels, labels, generator, clean, settings)


def autoattack_rand_yields(steps: int, norm: str, classes: int) -> int:
    """Return how many steps the version for random defences yields at most."""
    return (2 if classes > 2 else 1) * steps


def autoattack_rand(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    eot: int = 20,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """The version for defences that draw random numbers: APGD alone, each gradient averaged over `eot` calls.

    FAB and Square are left out: a border that moves at every call misleads them. Parameters, steps and errors as for
    `autoattack`.
    """
    check_counts(steps, restarts, eot)
    checked_radius(eps, norm, ("linf", "l2"), "AutoAttack")
    refuse_target(target, "AutoAttack")
    clean = look(model, pixels, eot)
    settings = {"eps": eps, "norm": norm, "restarts": restarts, "eot": eot}
    yield from _in_turn(_ascents(clean, steps), model, pixels, labels, generator, clean, settings)


def _ascents(clean: Tensor, steps: int) -> list[Stage]:
    """APGD on each loss that a model with such logits has."""
    losses = ("ce", "dlr") if clean.shape[1] > 2 else ("ce",)
    return [partial(apgd, steps=steps, loss=loss, until_fooled=True) for loss in losses]


def _in_turn(
    stages: Sequence[Stage],
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    generator: Generators,
    clean: Tensor,
    settings: Mapping[str, Any],
) -> Iterator[AttackStep]:
    generators = per_image_generators(generator, len(pixels))

    def attempt(rows: Tensor, stage: Stage) -> Iterator[AttackStep]:
        own = [generators[row] for row in rows.tolist()]
        return stage(model, pixels[rows], labels[rows], generator=own, **settings)

    attempts = [partial(attempt, stage=stage) for stage in stages]
    yield from run_restarts(attempts, model, pixels, labels, eot=settings["eot"], clean=clean)
