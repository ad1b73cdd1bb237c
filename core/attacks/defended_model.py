"""The whole defence as a function of pixels, for attackers who know it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.bundles import Bundle
from core.bundles.calibration import NOTHING
from core.defence.decision import decide
from core.detection.scores import Evidence, gather_evidence
from core.models.diffusion import fixed_noise
from core.purification.ddim import PURIFY_STEPS, purify


class DefendedModel:
    """Detect, purify what is flagged, classify: (B, C, H, W) in [0, 1] → (B, classes) logits.

    The gradient is the real one along the way that the detector sends each image: through the U-Net and the classifier
    where it is flagged, through the classifier alone where it isn't, or where its own answer is kept. The detector's
    yes or no is a step, which has no gradient; who wants to move it attacks `alarm`.

    Parameters
    ----------
    bundle : Bundle
        Float32 gives finer gradients; an evaluation attacks the networks in the precision that they run in.
    classifier : str
        One of the bundle's.
    seed : int
        The detector's noise is that of `examine` at this seed; the purifier's is drawn anew in every call, as the
        attacker can't know it (hence EOT, Athalye et al. 2018).
    known_noise : bool
        The purifier's noise, too, is that of `examine` at this seed: the attacker knows it, and the model is the same
        at every call.
    straight_through : bool
        Take purification for the identity in the backward pass (BPDA, Athalye et al. 2018, section 4.1).

    Raises
    ------
    BundleError
        The bundle has no defence, or no thresholds for this classifier.
    """

    def __init__(
        self,
        bundle: Bundle,
        classifier: str,
        seed: int = 0,
        straight_through: bool = False,
        known_noise: bool = False,
    ):
        self.bundle, self.seed, self.straight_through, self.known_noise = bundle, seed, straight_through, known_noise
        self.classifier = classifier
        self.network, self.limits = bundle.classifiers[classifier], bundle.limits_of(classifier)
        self.answering = bundle.classifiers[bundle.answering(classifier)]
        assert bundle.diffusion is not None, "A bundle that has limits has all networks of the defence."
        self.diffusion = bundle.diffusion
        self.generator = torch.Generator().manual_seed(seed + 1)
        self._decided: tuple[Tensor, ...] | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        if not self.limits.purifies:
            return self.network(pixels)
        overruled, t_star = self.decide(pixels.detach())
        logits = self.network(pixels)
        if not overruled.any():
            return logits
        estimates = self.purified(pixels[overruled], t_star[overruled])
        return logits.index_put((overruled,), self.answering(estimates))

    @property
    def clean_scores(self) -> Mapping[str, list[float]]:
        """Score → its values on the calibration scans, which an attacker may know."""
        return self.bundle.clean_scores(self.classifier)

    def purified(self, pixels: Tensor, t_star: Tensor) -> Tensor:
        """An estimate (B, C, H, W) of each image at its t* (B,), from fresh noise or the known one."""
        if self.known_noise:
            noise = fixed_noise(pixels.shape, self.seed, pixels.device)
        else:
            noise = torch.randn(pixels.shape, generator=self.generator).to(pixels.device)
        if not self.straight_through:
            return purify(pixels, t_star, PURIFY_STEPS, self.diffusion, noise)
        with torch.no_grad():
            change = purify(pixels, t_star, PURIFY_STEPS, self.diffusion, noise) - pixels
        return pixels + change

    @torch.no_grad()
    def decide(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Which images are answered on their estimate (B,), and the t* of each, 0 where there is none."""
        # EOT asks about the same pixels several times in a row, and only the purifier's noise changes between.
        if self._decided is None or not torch.equal(self._decided[0], pixels):
            evidence = self.evidence(pixels)
            scores = {name: values.tolist() for name, values in evidence.scores.items()}
            certainty = evidence.logits.softmax(1).amax(1).tolist()
            made = decide(scores, certainty, evidence.scope_distance.tolist(), self.limits)
            found = (torch.from_numpy(part).to(pixels.device) for part in (made.overruled, made.t_star))
            self._decided = (pixels, *found)
        return self._decided[1:]

    def evidence(self, pixels: Tensor) -> Evidence:
        """What the detector sees; differentiable."""
        return gather_evidence(pixels, self.bundle, self.network, self.seed)

    def alarm(self, evidence: Evidence) -> Tensor:
        """(B,) above 0 where the image is flagged, or purified and its own answer doesn't stand; differentiable.

        The logarithm of the largest ratio of a score to its threshold, or of certainty and instability to what is
        borderline, whichever is smaller: it is enough to pass by one of the two. Limits that purify nothing leave an
        altered image its answer, without an alarm, and a borderline one its flag.
        """
        limits, purifies = self.limits.thresholds, self.limits.purifies
        if not purifies:
            limits = {name: limit for name, limit in limits.items() if name not in self.limits.altered}
        if not limits:
            return 0 * evidence.logits.sum(1) - 1
        flag = _largest({name: evidence.scores[name] for name in limits}, limits)
        if not purifies or self.limits.borderline == NOTHING:
            return flag
        answer = {"certainty": evidence.logits.softmax(1).amax(1), "instability": evidence.scores["instability"]}
        return torch.minimum(flag, _largest(answer, self.limits.borderline._asdict()))


def _largest(values: Mapping[str, Tensor], limits: Mapping[str, float]) -> Tensor:
    """(B,) logarithm of the largest ratio of a value to its limit."""
    return torch.stack([value / limits[name] for name, value in values.items()]).amax(0).clamp_min(1e-12).log()
