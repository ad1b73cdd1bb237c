"""What a certificate says, in words: what is certain, of which answer, and what it doesn’t say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pages.shared.words import number, plain, unbroken

if TYPE_CHECKING:
    from core.defence.certificate import Certificate

WHAT = (
    "An attack that nobody has thought of yet may be cleverer than all that are tried here. A certificate doesn’t try "
    "attacks: noise is added to the scan and taken away again, many times over, and from how often the answer stays "
    "the same follows how large a change has to be, whatever it is, before it can turn that answer."
)


def counted(made: Certificate | None) -> str:
    """How many draws were made, and what they say."""
    if made is None or not made.drawn:
        return "choosing the answer to certify"
    return f"{made.drawn:,} of {made.draws:,} draws, {made.agreeing:,} say “{plain(made.label)}”"


def promise(made: Certificate) -> str:
    """What is certified, in grey levels."""
    one, hundred, every = (_down(made.grey_levels(pixels)) for pixels in (1, 100, made.pixel_count))
    return (
        f"Nobody can turn this answer by a change smaller than {one} grey levels (of 255) in one pixel, {hundred} in "
        f"each of 100 pixels, or {every} in every pixel."
    )


def differs(decision: str) -> str:
    """That the certificate isn’t about the decision of the card."""
    return (
        f"This is not the answer of the decision above, which is “{plain(decision)}”: for that one nothing is "
        "certified."
    )


def limits(made: Certificate, answering: str) -> str:
    """What it is not about; `answering`: the classifier that answered."""
    everywhere = made.length_everywhere(8)
    return (
        "The smoothed answer is the one that is given most often to the scan with noise added and taken away, by the "
        f"classifier {plain(answering)}; whether it is right is another matter. The certificate says nothing about "
        "larger changes, such as attacks by 8/255 in every pixel at once: those are "
        f"{number(everywhere / (made.radius or math.inf))} times as long (ℓ2 {number(everywhere)})."
    )


def basis(made: Certificate, seed: int) -> str:
    """What it rests on, and what it takes to do it again."""
    chance = unbroken(f"{math.floor(1000 * made.bound) / 10:g} %")
    return (
        f"“{plain(made.label)}” in {made.agreeing:,} of {made.drawn:,} draws, so with a chance of {chance} or more · "
        f"σ {made.sigma:g}, t {made.t} · seed {seed} · ℓ2 radius {_down(made.radius or 0.0)} · Cohen 2019, Carlini 2023"
    )


def _down(value: float) -> str:
    """Two digits, never rounded up: what is certified ends there."""
    digits = 1 - math.floor(math.log10(value))
    return f"{math.floor(value * 10**digits) / 10**digits:g}"
