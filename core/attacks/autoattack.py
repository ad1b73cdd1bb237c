"""AutoAttack: strong attacks of different kinds in turn, on what nothing has fooled yet (Croce & Hein 2020)."""

from collections.abc import Callable, Iterator
from functools import partial

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
    generators = per_image_generators(generator, len(pixels))
    clean = look(model, pixels, eot)
    losses = ("ce", "dlr") if clean.shape[1] > 2 else ("ce",)
    stages = [partial(apgd, steps=apgd_steps, loss=loss, until_fooled=True) for loss in losses]
    stages += [partial(fab, steps=fab_steps), partial(square, steps=square_steps)]

    def attempt(rows: Tensor, stage: Callable[..., Iterator[AttackStep]]) -> Iterator[AttackStep]:
        own = [generators[row] for row in rows.tolist()]
        settings = {"eps": eps, "norm": norm, "restarts": restarts, "eot": eot}
        return stage(model, pixels[rows], labels[rows], generator=own, **settings)

    attempts = [partial(attempt, stage=stage) for stage in stages]
    yield from run_restarts(attempts, model, pixels, labels, eot=eot, clean=clean)
