"""Every attack and every benign change by name, with what it takes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.attacks.apgd import apgd
from core.attacks.autoattack import autoattack, autoattack_rand, autoattack_rand_yields, autoattack_yields
from core.attacks.corruptions import SEVERITIES, corruption
from core.attacks.cw import cw, cw_yields
from core.attacks.deepfool import deepfool, deepfool_yields
from core.attacks.detector_aware import detector_aware, feature_hiding, orthogonal
from core.attacks.ead import ead, ead_yields
from core.attacks.fab import fab
from core.attacks.gradient import AttackStep, fgsm, pgd
from core.attacks.low_frequency import low_frequency
from core.attacks.patch import patch
from core.attacks.rays import rays
from core.attacks.square import square


class Attack(NamedTuple):
    """One entry of the catalogue.

    title: its name in print, with its source; run: the generator; steps: its default number of steps or queries;
    norms: those it knows, the best suited first, none where it has no radius; takes: the other fields of
    `AttackSettings` that it minds; sees_defence: whether it always attacks the whole defence; yields: number of steps,
    norm, number of classes → how many `AttackStep` come of it at most, where these are not as many as its steps;
    norm_steps: the norms that have another default number of steps, with this.
    """

    title: str
    run: Callable[..., Iterator[AttackStep]]
    steps: int
    norms: tuple[str, ...]
    takes: tuple[str, ...] = ()
    sees_defence: bool = False
    yields: Callable[[int, str, int], int] | None = None
    norm_steps: tuple[tuple[str, int], ...] = ()

    def steps_in(self, norm: str) -> int:
        """The default number of steps in a norm."""
        return dict(self.norm_steps).get(norm, self.steps)


_GRADIENT = ("steps", "step_size", "restarts", "eot", "target")
_SHRINKING = ("steps", "step_size", "target")
_EVERY_NORM = ("linf", "l2", "l1")

ATTACKS = {
    "fgsm": Attack("FGSM (Goodfellow et al. 2015)", fgsm, 1, _EVERY_NORM, ("eot", "target")),
    "pgd": Attack("PGD (Madry et al. 2018)", pgd, 40, _EVERY_NORM, _GRADIENT),
    "low-frequency": Attack(
        "Low-frequency PGD (Guo et al. 2019)",
        low_frequency,
        40,
        _EVERY_NORM,
        ("steps", "step_size", "eot", "target"),
    ),
    "apgd": Attack("APGD (Croce and Hein 2020)", apgd, 100, ("linf", "l2"), ("steps", "restarts", "eot", "target")),
    "autoattack": Attack("AutoAttack (Croce and Hein 2020)", autoattack, 100, ("linf", "l2"), yields=autoattack_yields),
    "autoattack-rand": Attack(
        "AutoAttack-rand (Croce and Hein 2020)",
        autoattack_rand,
        100,
        ("linf", "l2"),
        ("steps", "restarts", "eot"),
        yields=autoattack_rand_yields,
    ),
    "fab": Attack("FAB (Croce and Hein 2020)", fab, 100, ("linf", "l2"), ("steps", "restarts", "eot")),
    "square": Attack(
        "Square (Andriushchenko et al. 2020)", square, 5000, ("linf", "l2"), ("steps", "restarts", "target")
    ),
    "rays": Attack("RayS (Chen and Gu 2020)", rays, 2000, ("linf",), ("steps", "restarts")),
    "cw": Attack(
        "C&W (Carlini and Wagner 2017)",
        cw,
        40,
        ("linf", "l2"),
        ("steps", "target"),
        yields=cw_yields,
        norm_steps=(("l2", 100),),
    ),
    "deepfool": Attack(
        "DeepFool (Moosavi-Dezfooli et al. 2016)", deepfool, 50, ("linf", "l2"), ("steps",), yields=deepfool_yields
    ),
    "ead": Attack("EAD (Chen et al. 2018)", ead, 100, ("l1",), ("steps", "target"), yields=ead_yields),
    "patch": Attack("Patch (Brown et al. 2017)", patch, 40, (), ("steps", "target")),
    "bpda": Attack("BPDA and EOT (Athalye et al. 2018)", pgd, 40, _EVERY_NORM, _GRADIENT, True),
    "detector-aware": Attack(
        "Detector-aware (Bryniarski et al. 2022)", detector_aware, 40, _EVERY_NORM, _SHRINKING, True
    ),
    "orthogonal": Attack("Orthogonal PGD (Bryniarski et al. 2022)", orthogonal, 40, _EVERY_NORM, _SHRINKING, True),
    "feature-hiding": Attack("Feature hiding (Yao et al. 2021)", feature_hiding, 40, _EVERY_NORM, _SHRINKING, True),
}


def _in_print(name: str) -> str:
    return "JPEG" if name == "jpeg" else name.replace("-", " ").capitalize()


CORRUPTIONS = {name: Attack(_in_print(name), corruption(name), 1, (), ("severity",)) for name in SEVERITIES}
METHODS = ATTACKS | CORRUPTIONS
