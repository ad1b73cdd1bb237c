"""Everything learned for one clinical task, as one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.bundles.calibration import NOTHING, Calibration, Limits, benign_changes
from core.bundles.lacking import lacks_sentence
from core.models.acquisition import AcquisitionNetwork
from core.models.diffusion import Diffusion
from core.models.mae import MaskedAutoencoder
from core.models.mask_dit import MaskDiT

MASKS = 4  # of a bundle that says nothing else
INSTABILITY = "instability"  # the one score that hangs on the classifier
#: Parts for purifiers alone, of MAE-Pure's family: no decision and no figure of a classifier hangs on them.
FAMILY = {
    "mask_dit": "masked diffusion transformer",
    "robust_mae": "robust masked autoencoder",
    "robust_mask_dit": "robust masked diffusion transformer",
}
MADE_OF = {"robust_mae": "mae", "robust_mask_dit": "mask_dit"}  # their files hold what changed of these
OTHER = "OT"  # a DICOM Modality that says nothing of what is shown (PS3.3 C.7.3.1.1.1)


class BundleError(ValueError):
    """One sentence: which bundle or file is at fault, and what to do."""


@dataclass(frozen=True)
class Content:
    """What is known of the training scans' content, in the features of `core.detection.scores.content_features`.

    Attributes
    ----------
    centre, projection : Tensor
        (2D,) and (2D, Q): features minus centre, times projection, are whitened principal components.
    references : Tensor
        (R, Q) training scans in these components.
    amv_weight, amv_bias : Tensor
        (2D,) and (): ridge regression from features to the logarithm of a clean scan's attention variation.
    agreement_weight, agreement_bias : Tensor or None
        The same for its agreement (`core.detection.scores.agreement`); None where nobody measured it.
    """

    centre: Tensor
    projection: Tensor
    references: Tensor
    amv_weight: Tensor
    amv_bias: Tensor
    agreement_weight: Tensor | None = None
    agreement_bias: Tensor | None = None

    def distance(self, features: Tensor) -> Tensor:
        """(B, 2D) features → (B,) distance to the nearest training scan, in standard deviations."""
        whitened = (features - self.centre) @ self.projection
        return torch.cdist(whitened, self.references).amin(1)

    def usual_variation(self, features: Tensor) -> Tensor:
        """(B, 2D) features → (B,) the attention variation that clean scans of such content have."""
        return (features @ self.amv_weight + self.amv_bias).exp()

    def usual_agreement(self, features: Tensor) -> Tensor | None:
        """(B, 2D) features → (B,) the agreement that clean scans of such content have, where that is known."""
        if self.agreement_weight is None or self.agreement_bias is None:
            return None
        return (features @ self.agreement_weight + self.agreement_bias).exp()


class Expert(NamedTuple):
    """One expert of a mixture: its short name, and in one sentence what it was trained on."""

    name: str
    training: str


@dataclass(frozen=True)
class Bundle:
    """Everything learned for one clinical task. Shared between visitors: never modify its networks.

    Attributes
    ----------
    folder : Path
        Where its files and what was recorded of it lie.
    classes : tuple of str
        Class names in the order of the logits.
    resolution, channels : int
        Side in pixels and channels of the square images that the models take.
    classifiers : mapping of str to Module
        (B, C, H, W) in [0, 1] → logits, float32.
    mae, diffusion : Module or None
        In the precision that `load_bundle` was asked for; None where the bundle has none, see `lacks`.
    modalities : tuple of str
        DICOM Modality values that are accepted; a file that states none is judged by its content alone. Empty where
        the bundle takes plain pictures and no scans.
    limits : mapping of str to Limits
        Classifier → thresholds, scope limit and t* ladder.
    content : Content or None
        None where the bundle can't tell whether a scan is in its scope.
    hashes : mapping of str to str
        File → SHA-256 in hex.
    acquisition : Module or None
        Tells plane and sequence from the picture; None where files alone have to tell.
    mask_dit, robust_mae, robust_mask_dit : Module or None
        What purifiers of MAE-Pure's family work with, in the precision of `mae`; None where the bundle has none.
    planes, sequences : tuple of str
        Those that the bundle is calibrated for, and gives no answer but on them; empty where it takes all.
    facts : mapping
        The rest of bundle.json: detection settings, provenance, measured figures.
    added : mapping of str to Path
        Classifier that somebody added to a bundle that comes with Purescan (`core.bundles.own`) → its weights file.
    """

    folder: Path
    name: str
    title: str
    classes: tuple[str, ...]
    resolution: int
    channels: int
    classifiers: Mapping[str, nn.Module]
    default_classifier: str
    mae: MaskedAutoencoder | None
    diffusion: Diffusion | None
    limits: Mapping[str, Limits]
    calibrations: Mapping[str, Calibration]
    modalities: tuple[str, ...]
    content: Content | None
    hashes: Mapping[str, str]
    facts: Mapping[str, Any]
    acquisition: AcquisitionNetwork | None = None
    planes: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    added: Mapping[str, Path] = field(default_factory=dict)
    mask_dit: MaskDiT | None = None
    robust_mae: MaskedAutoencoder | None = None
    robust_mask_dit: MaskDiT | None = None

    @property
    def lacks(self) -> str | None:
        """One sentence: which networks of the defence the bundle is without, and what follows; None where it has all.

        Detection and the scope check take both networks; what purifies with one of them asks for that one alone.
        """
        held = {"mae": self.mae, "unet": self.diffusion}
        return lacks_sentence(self.name, [part for part, network in held.items() if network is not None])

    def lacks_for(self, classifier: str | None = None) -> str | None:
        """One sentence: why nothing is detected or purified where this classifier is asked; None where it is.

        Either the bundle lacks it, or the classifier was added and nobody has fitted thresholds for it.
        """
        name = self.classifier_name(classifier)
        if self.lacks or name not in self.added or name in self.limits:
            return self.lacks
        return (
            f"The classifier {name} was added to the bundle {self.name} and has no thresholds yet, so nothing is "
            "detected or purified where it answers; fit them on clean scans of yours, on the Detect page under “Your "
            "scanner” or with core calibrate, and load the profile."
        )

    @property
    def adjustable(self) -> tuple[nn.Module, ...]:
        """The networks that `load_bundle` places in the precision it was asked for."""
        parts = (self.mae, self.diffusion, *(getattr(self, name) for name in FAMILY))
        return tuple(network for network in parts if network is not None)

    @property
    def mask_count(self) -> int:
        """How many masks the detector takes; together they hide every patch once. Part of the calibration."""
        return self.facts.get("mae", {}).get("masks", MASKS)

    @property
    def codes(self) -> tuple[str, ...]:
        """What data sets call the classes, where that is not their name."""
        return tuple(self.facts.get("codes", ()))

    @property
    def benign(self) -> tuple[str, ...]:
        """The benign changes that its pictures undergo, by their names in `core.attacks`."""
        return benign_changes(self.channels)

    @property
    def written_modality(self) -> str:
        """The DICOM Modality of a file of pixels made for this bundle, where what they were made from states none."""
        return self.modalities[0] if self.modalities else OTHER

    @property
    def examining(self) -> tuple[str, ...]:
        """The classifiers that `core.examine` takes: where there is a defence those with thresholds, or added."""
        return tuple(name for name in self.classifiers if self.lacks or name in self.limits or name in self.added)

    def limits_of(self, classifier: str) -> Limits:
        """Thresholds, scope limit and t* ladder of a classifier; BundleError where it has not been calibrated."""
        if self.lacks or classifier in self.added and classifier not in self.limits:
            raise BundleError(self.lacks_for(classifier))
        if classifier not in self.limits:
            known = ", ".join(self.limits) or "none"
            raise BundleError(
                f"The classifier {classifier!r} of the bundle {self.name} has no thresholds yet, so nothing can be "
                f"examined with it; calibrated are: {known}."
            )
        return self.limits[classifier]

    def starting_limits(self, classifier: str) -> Limits:
        """What a site's profile for a classifier begins from: its own limits.

        Of one that was added those of the default classifier, less what was measured on that one's own answers: scope
        limit, t* ladder and every score but instability come from autoencoder and U-Net, whoever answers.
        """
        limits = self.limits_of(self._calibrated(classifier))
        return replace(limits, borderline=NOTHING) if classifier in self.added else limits

    def starting_calibration(self, classifier: str) -> Calibration:
        """The record that belongs to `starting_limits`."""
        return self.calibrations[self._calibrated(classifier)]

    def clean_scores(self, classifier: str) -> dict[str, list[float]]:
        """Score → its values on the clean calibration scans; of a classifier that was added without instability."""
        clean = self.starting_calibration(classifier).clean
        return {name: values for name, values in clean.items() if classifier not in self.added or name != INSTABILITY}

    def _calibrated(self, classifier: str) -> str:
        return self.default_classifier if classifier in self.added else classifier

    def weights_file(self, classifier: str) -> Path:
        """The file that a classifier's weights were read from."""
        return self.added.get(classifier) or self.folder / self.facts["classifiers"][classifier]["file"]

    def experts(self, classifier: str) -> tuple[Expert, ...]:
        """Who sits in a mixture, in the order of its gate; empty where a classifier is no mixture."""
        return tuple(Expert(**entry) for entry in self.facts["classifiers"][classifier].get("experts", ()))

    def collections(self, classifier: str) -> tuple[str, ...]:
        """Which collections a classifier learned from, by their files' names; empty where nobody says."""
        recipe = self.facts.get("provenance", {}).get(classifier) or {}
        return tuple(Path(name).stem for name in recipe.get("data", "").split())

    def answering(self, classifier: str) -> str:
        """Which classifier answers on the estimate of a purified scan.

        An attack is made for the classifier that it is to mislead, and purification leaves some of it. So another one
        answers that was trained against attacks, where bundle.json names one under ``robust``.
        """
        return self.facts["classifiers"].get(classifier, {}).get("robust", classifier)

    def classifier_name(self, name: str | None) -> str:
        """`name`, or the default where None; BundleError where the bundle has no such classifier."""
        name = name or self.default_classifier
        if name not in self.classifiers:
            known = ", ".join(sorted(self.classifiers))
            raise BundleError(f"The bundle {self.name} has no classifier named {name!r}; choose one of: {known}.")
        return name


def mae_of(bundle: Bundle) -> MaskedAutoencoder:
    """Its masked autoencoder; BundleError, one sentence, where it has none."""
    if bundle.mae is None:
        raise BundleError(bundle.lacks)
    return bundle.mae


def diffusion_of(bundle: Bundle) -> Diffusion:
    """Its diffusion model; BundleError, one sentence, where it has none."""
    if bundle.diffusion is None:
        raise BundleError(bundle.lacks)
    return bundle.diffusion


def family_of(bundle: Bundle, part: str) -> Any:
    """One of the networks that `FAMILY` names; BundleError, one sentence, where it has none."""
    network = getattr(bundle, part)
    if network is None:
        raise BundleError(
            f"The bundle {bundle.name} holds no {FAMILY[part]}, which this purifier works with; choose another "
            "purifier, or a bundle that holds it."
        )
    return network


def content_of(bundle: Bundle) -> Content:
    """What it knows of its training scans' content; BundleError, one sentence, where it knows nothing."""
    if bundle.content is None:
        raise BundleError(bundle.lacks)
    return bundle.content
