"""A certified answer by denoised smoothing (Salman et al. 2020; Carlini et al. 2023): noise, denoise, classify, count.

What is certified is the answer of the *smoothed* classifier: the class that is given most often to the scan with
Gaussian noise added and taken away again. Where that class has a chance above p > ½, no change whose ℓ2 length is below
σ·Φ⁻¹(p) gives it a chance below ½ (Cohen et al. 2019, theorem 1), whatever the attacker knows.

Whatever is done with the noisy scan may be done, as long as it is always the same. Large pictures are denoised as means
over small squares: that takes a third of the time at 128 pixels, and the means are less noisy than the pixels.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core import compute
from core.bundles import Bundle, BundleError
from core.models.diffusion import denoise_noisy

CONFIDENCE = 0.999
SIGMA, SIGMAS = 0.12, (0.06, 0.12, 0.25)
LEAST_SIGMA, MOST_SIGMA = 0.01, 1.0
# Which class to certify is chosen by draws of its own: to choose by those that count would be to count the lucky ones.
SELECTION = 20
DRAWS, QUICK_DRAWS = 1000, 100
# Fewer certify nothing, even where all of them agree: 0.001 ** (1 / 9) is below ½.
LEAST_DRAWS = 10
DENOISED_SIDE = 64  # pixels; pictures of at least twice as many a side are denoised as means over squares
GREY_LEVELS = 255


@dataclass(frozen=True)
class Certificate:
    """How far a certificate has come. It holds whenever one stops, as what was not drawn counts against it.

    Attributes
    ----------
    label : str
        The class that it is about, the most frequent one of the first `SELECTION` draws; the leading one until then.
    sigma : float
        Standard deviation of the noise, in pixel units.
    t : int
        Diffusion step whose noise is as strong as what the denoiser gets.
    shape : tuple of int
        (C, H, W) of what was noised: the pixels that the models take, not the scan at its own resolution.
    draws : int
        How many draws count when all are made.
    selecting, drawn, agreeing : int
        Draws made so far to choose the class, in [0, SELECTION]; made of those that count; and of these with `label`.
    """

    label: str
    sigma: float
    t: int
    shape: tuple[int, int, int]
    draws: int
    selecting: int = 0
    drawn: int = 0
    agreeing: int = 0

    @property
    def bound(self) -> float:
        """The chance of `label` is at least this, in [0, 1]; wrong with a chance of 1 − `CONFIDENCE` at most."""
        return clopper_pearson_lower(self.agreeing, self.draws)

    @property
    def radius(self) -> float | None:
        """ℓ2 length, in pixel units, below which no change turns the answer; None where none is certified."""
        return certified_radius(self.bound, self.sigma)

    @property
    def abstained(self) -> bool:
        """Whether nothing will be certified, whatever the draws that are left may say."""
        return clopper_pearson_lower(self.agreeing + self.draws - self.drawn, self.draws) <= 0.5

    @property
    def complete(self) -> bool:
        """Whether no draw that is left could change the outcome."""
        return self.drawn == self.draws or self.abstained

    @property
    def pixel_count(self) -> int:
        """How many pixels the models see."""
        return self.shape[1] * self.shape[2]

    def grey_levels(self, pixels: int = 1) -> float:
        """What the radius is when so many pixels change by the same amount: grey levels of each, black 0 to white 255.

        0 where nothing is certified, 255 where a pixel may change as far as it can.
        """
        return min(GREY_LEVELS, GREY_LEVELS * (self.radius or 0.0) / math.sqrt(pixels * self.shape[0]))

    def length_everywhere(self, levels: float) -> float:
        """ℓ2 length, in pixel units, of a change by so many grey levels in every pixel at once."""
        return levels / GREY_LEVELS * math.sqrt(math.prod(self.shape))


def clopper_pearson_lower(hits: int, count: int, confidence: float = CONFIDENCE) -> float:
    """One-sided lower bound of a chance of which `hits` in `count` were seen (Clopper and Pearson 1934), in [0, 1]."""
    from scipy.special import betaincinv  # here, as most who load this never ask

    return float(betaincinv(hits, count - hits + 1, 1 - confidence)) if hits else 0.0


def certified_radius(bound: float, sigma: float) -> float | None:
    """ℓ2 radius, in the units of `sigma`, for a class whose chance is at least `bound`; None up to ½."""
    from scipy.special import ndtri

    return sigma * float(ndtri(bound)) if bound > 0.5 else None


def check_certifying(bundle: Bundle, sigma: float = SIGMA, draws: int = DRAWS) -> None:
    """ValueError, one sentence, where a bundle can't certify, or not with these settings."""
    if bundle.diffusion is None:
        raise BundleError(f"The bundle {bundle.name} holds no diffusion model, so it can't certify an answer.")
    if not LEAST_SIGMA <= sigma <= MOST_SIGMA:
        raise ValueError(f"The noise must be between {LEAST_SIGMA:g} and {MOST_SIGMA:g}, not {sigma:g}.")
    if draws < LEAST_DRAWS:
        raise ValueError(f"A certificate takes at least {LEAST_DRAWS} draws, not {draws}.")


def certify(
    pixels: np.ndarray,
    bundle: Bundle,
    *,
    classifier: str | None = None,
    sigma: float = SIGMA,
    draws: int = DRAWS,
    seed: int = 0,
) -> Iterator[Certificate]:
    """Certify the smoothed answer to one scan: `SELECTION` draws to choose a class, then `draws` that count.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1], as in `core.Examination.pixels`.
    classifier : str, optional
        One of the bundle's; its default where none is given. The answers are of who answers for it on estimates
        (`Bundle.answering`).
    sigma : float
        Noise in pixel units, in [0.01, 1]; more reaches farther and washes out more.
    draws : int
        At least 10. The more, the farther a certificate reaches: at most 1.5 σ by 100, 2.5 σ by 1,000.
    seed : int
        Same scan, same seed, same draws; another scan has others. Whoever knows the seed could look for a scan whose
        draws happen to agree: where that matters, take one that nobody knew when the scan was made.

    Yields
    ------
    Certificate
        After every batch; the last is the result. It ends early where it abstains for certain.

    Raises
    ------
    BundleError, ValueError
        The bundle has no such classifier or no diffusion model, or a setting is out of range; before the first step.
    """
    check_certifying(bundle, sigma, draws)
    return _certify(pixels, bundle, bundle.classifier_name(classifier), sigma, draws, seed)


def _certify(
    pixels: np.ndarray, bundle: Bundle, classifier: str, sigma: float, draws: int, seed: int
) -> Iterator[Certificate]:
    classes, counts = bundle.classes, np.zeros(len(bundle.classes), dtype=int)
    answers = _Answers(pixels, bundle, classifier, sigma, seed)
    made = Certificate(classes[0], sigma, answers.t, pixels.shape, draws)
    for batch in _batches(SELECTION):
        counts += answers.draw(batch)
        made = replace(made, label=classes[counts.argmax()], selecting=made.selecting + batch)
        yield made
    chosen = counts.argmax()
    for batch in _batches(draws):
        agreeing = made.agreeing + int(answers.draw(batch)[chosen])
        made = replace(made, drawn=made.drawn + batch, agreeing=agreeing)
        yield made
        if made.abstained:
            return


def _batches(count: int) -> Iterator[int]:
    size = compute.batch_size()
    for first in range(0, count, size):
        yield min(size, count - first)


class _Answers:
    """The classifier's answers to one scan under fresh noise, denoised."""

    def __init__(self, pixels: np.ndarray, bundle: Bundle, classifier: str, sigma: float, seed: int) -> None:
        assert bundle.diffusion is not None
        self._diffusion, self._network = bundle.diffusion, bundle.classifiers[bundle.answering(classifier)]
        self._pixels, self._sigma, self._count = torch.from_numpy(pixels), sigma, len(bundle.classes)
        self._generator = torch.Generator().manual_seed(_seed_of(pixels, seed))
        self._square = averaged_square(pixels.shape[-1])
        self.t = bundle.diffusion.matching_step(sigma / self._square)

    @torch.no_grad()
    def draw(self, count: int) -> np.ndarray:
        """(classes,) how often each class is the answer to `count` new draws; what is not a number is no answer."""
        noise = torch.randn((count, *self._pixels.shape), generator=self._generator)
        noisy = (self._pixels + self._sigma * noise).to(compute.device())
        logits: Tensor = self._network(self._denoised(noisy))
        answers = logits.argmax(1)[logits.isfinite().all(1)]
        return np.bincount(answers.cpu().numpy(), minlength=self._count)

    def _denoised(self, noisy: Tensor) -> Tensor:
        """(B, C, H, W) in pixel units → in [0, 1], as large as it was."""
        means = functional.avg_pool2d(noisy, self._square)
        t = torch.full((len(noisy),), self.t, device=noisy.device)
        estimate = denoise_noisy(means, t, self._diffusion)
        if self._square == 1:
            return estimate
        return functional.interpolate(estimate, size=noisy.shape[-2:], mode="bicubic").clamp(0, 1)


def averaged_square(side: int) -> int:
    """Pixels a side of the squares whose means are denoised, 1 where the pixels themselves are; it divides `side`.

    Noise of independent pixels becomes weaker by as much in such a mean.
    """
    return next(size for size in range(max(1, side // DENOISED_SIDE), 0, -1) if side % size == 0)


def _seed_of(pixels: np.ndarray, seed: int) -> int:
    """Of the scan, too: nobody can shape a scan to fit noise that changes with it."""
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes() + str(seed).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
