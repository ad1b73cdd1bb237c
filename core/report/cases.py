"""One scan of a cohort: what the pipeline decides, and what purification does to it whether it was flagged or not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from core.bundles import Bundle
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.fidelity.agreement import Agreement, agreement
from core.fidelity.metrics import fidelity
from core.fidelity.region import Region
from core.fidelity.region_fidelity import RegionFidelity
from core.purification.ddim import PURIFY_STEPS
from core.purification.settings import PurifySettings
from core.report.regions import measured_region, outlined_region, region_numbers
from core.report.sources import Source
from core.scans import Scan, ScanError, load_scan
from core.scans.preparation import prepare

# The worst first: a right answer that purification turned, one of which nobody knows, and a wrong one put right.
EFFECTS = BROKEN, CHANGED, RESTORED, KEPT = ("broken", "changed", "restored", "kept")


@dataclass(frozen=True)
class AuditSettings:
    """How every scan of a cohort is treated.

    Attributes
    ----------
    classifier : str or None
        One of the bundle's; its default where None.
    seed : int
        As in `examine`; the purifier's further seeds count up from it.
    seeds : int
        So many times a scan is purified, at least 2; the first time is the one that is measured.
    """

    classifier: str | None = None
    seed: int = 0
    seeds: int = 5

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"A spread over seeds needs at least 2 of them, not {self.seeds}.")


@dataclass(frozen=True)
class CaseEvidence:
    """One scan with everything that was computed on it, pictures included.

    Attributes
    ----------
    scan, exam
        What was opened, and what the pipeline made of its middle frame.
    t_star : int or None
        Noise level of the purification, by the adaptive rule; None, as all the following, where the scan is
        refused.
    estimate : ndarray or None
        (C, H, W) in [0, 1]: purified with the first seed. Where the scan is flagged or altered, what the decision
        rests on, unless its own answer stands or the classifier's limits purify nothing.
    seeds : Agreement or None
        What every seed came to, the first one's answer first.
    reference : ndarray or None
        (C, H, W) in [0, 1]: the clean scan, where it is known.
    region : Region or None
        What the cohort's own files outline on that frame.
    """

    scan: Scan
    exam: Examination
    t_star: int | None = None
    estimate: np.ndarray | None = None
    seeds: Agreement | None = None
    reference: np.ndarray | None = None
    region: Region | None = None


@dataclass(frozen=True)
class Case:
    """The numbers of one scan; no pixels, so that they may be kept.

    Attributes
    ----------
    name, sha256 : str
        Of the file.
    problem : str or None
        Why the file could not be opened, in one sentence; all that follows is empty then.
    refused : str or None
        Why the scan got no label; there is no purification then.
    label, probability
        The pipeline's decision, and its probability in [0, 1].
    undefended, undefended_probability
        The classifier on the scan as it is.
    flagged, flagged_by, altered, altered_by, scores, thresholds
        What the detector said; altered is None where the bundle doesn't ask.
    kept_borderline : bool
        Whether the scan's own answer is the decision although it is purified.
    t_star : int or None
        Noise level of the purification that the audit did, flagged or not.
    purified, purified_probability
        The classifier on the estimate.
    fidelity : mapping of str to float or None
        `core.fidelity.metrics.Fidelity` from the scan to the estimate.
    to_clean, input_to_clean : mapping of str to float or None
        The same from the clean scan to the estimate, and from the clean scan to the scan, where it is known.
    region : mapping or None
        `core.report.regions.region_numbers`: what purification did in a region of interest, where there is one.
    agreement : float or None
        Share of the seeds in [0, 1] whose estimate has the label of the first.
    spread : float or None
        Mean over the pixels of their standard deviation over the seeds, pixel units.
    seconds : float or None
        What the pipeline took to decide.
    truth : str or None
        The class that the scan is known to be of.
    remark : str
        What reviewers noted.
    """

    name: str
    sha256: str
    problem: str | None = None
    refused: str | None = None
    label: str | None = None
    probability: float | None = None
    undefended: str | None = None
    undefended_probability: float | None = None
    flagged: bool = False
    flagged_by: tuple[str, ...] = ()
    scores: Mapping[str, float] | None = None
    thresholds: Mapping[str, float] | None = None
    kept_borderline: bool = False
    t_star: int | None = None
    purified: str | None = None
    purified_probability: float | None = None
    fidelity: Mapping[str, float] | None = None
    to_clean: Mapping[str, float] | None = None
    input_to_clean: Mapping[str, float] | None = None
    region: Mapping[str, Any] | None = None
    agreement: float | None = None
    spread: float | None = None
    seconds: float | None = None
    altered: bool | None = None
    altered_by: tuple[str, ...] = ()
    truth: str | None = None
    remark: str = ""

    @property
    def changed(self) -> bool:
        """Whether purification changed the classifier's answer."""
        return self.purified is not None and self.purified != self.undefended

    @property
    def effect(self) -> str:
        """What purification did to the answer, one of `EFFECTS`: where the truth is known, whether for good or ill."""
        if not self.changed:
            return KEPT
        known = {self.purified: RESTORED, self.undefended: BROKEN}
        return known.get(self.truth, CHANGED) if self.truth else CHANGED

    @property
    def excess(self) -> float | None:
        """The largest score in units of its threshold: above 1 the scan is flagged, or altered."""
        if not self.scores or not self.thresholds:
            return None
        return max(self.scores[name] / limit for name, limit in self.thresholds.items())

    def numbers(self) -> dict[str, Any]:
        """All of it but the name, which may tell who the patient is."""
        return {name: value for name, value in asdict(self).items() if name != "name"}

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any], name: str) -> "Case":
        """The case again, under the name that its file has today; TypeError where the numbers are no case's."""
        by = {key: tuple(numbers.get(key, ())) for key in ("flagged_by", "altered_by")}
        return cls(**{**numbers, "name": name, **by})


def worst_first(cases: list[Case]) -> list[Case]:
    """Answers that were broken, then other changed ones, then by falling damage (SSIM to the scan).

    What has no estimate comes last.
    """
    return sorted(cases, key=lambda case: (case.fidelity is None, EFFECTS.index(case.effect), _ssim(case), case.name))


def _ssim(case: Case) -> float:
    return case.fidelity["ssim"] if case.fidelity else 1.0


def examined_case(source: Source, bundle: Bundle, settings: AuditSettings) -> Case:
    """Open, examine and purify one scan; of a file that can't be opened the case says why."""
    try:
        return summarised(source, case_evidence(source, bundle, settings))
    except ScanError as error:
        return Case(source.name, source.sha256, problem=str(error))


@torch.no_grad()
def case_evidence(source: Source, bundle: Bundle, settings: AuditSettings) -> CaseEvidence:
    """Everything about one scan, its middle frame with the file's own window.

    ScanError where it can't be opened, BundleError where the bundle can't purify; one sentence.
    """
    name = bundle.classifier_name(settings.classifier)
    limits = bundle.limits_of(name)
    scan = load_scan(source.read(), source.name)
    exam = examine(scan, bundle, classifier=name, seed=settings.seed)
    if exam.refused or exam.detection is None:
        return CaseEvidence(scan, exam)
    t_star = limits.t_star(exam.detection.scores["amv"])
    # What the pipeline does to a flagged scan where it purifies at all, with the noise level that it chooses for this.
    purifier = PurifySettings("diffpure-ddim", t=t_star, steps=PURIFY_STEPS)
    seeds = range(settings.seed, settings.seed + settings.seeds)
    together = Agreement()
    results = [result for result in agreement(exam.pixels, bundle, purifier, seeds, name) if result]
    for result in results:
        together.take(result)
    region = outlined_region(source.outlines, scan, exam.frame_index)
    return CaseEvidence(scan, exam, t_star, results[0].estimate, together, _reference(source, bundle), region)


def _reference(source: Source, bundle: Bundle) -> np.ndarray | None:
    if source.reference is None:
        return None
    scan = load_scan(source.reference)
    return prepare(scan.frame(), bundle.resolution, bundle.channels, scan.spacing)[0].numpy()


def summarised(source: Source, evidence: CaseEvidence) -> Case:
    """The numbers of a case."""
    exam = evidence.exam
    facts: dict[str, Any] = {"seconds": exam.seconds["total"], "refused": exam.refused, "truth": source.truth}
    if exam.detection:
        facts |= {"flagged": exam.detection.flagged, "flagged_by": exam.detection.flagged_by}
        facts |= {"altered": exam.detection.altered, "altered_by": exam.detection.altered_by}
        facts |= {"kept_borderline": exam.kept_borderline}
        facts |= {"scores": dict(exam.detection.scores), "thresholds": dict(exam.detection.thresholds)}
    if exam.undefended:
        facts |= {"undefended": exam.undefended.label, "undefended_probability": exam.undefended.confidence}
    if exam.prediction:
        facts |= {"label": exam.prediction.label, "probability": exam.prediction.confidence}
    if evidence.seeds and evidence.estimate is not None:
        answer, spread = evidence.seeds.results[0][1], evidence.seeds.spread
        facts |= {"purified": answer.label, "purified_probability": answer.confidence, "t_star": evidence.t_star}
        facts |= {"agreement": evidence.seeds.shares[answer.label]}
        facts |= {"spread": None if spread is None else float(spread.mean())}
        facts |= _distances(exam.pixels, evidence.estimate, evidence.reference)
        region = evidence.region
        facts |= {"region": region and region_numbers(region, measured_in(evidence, region))}
    return Case(source.name, source.sha256, **facts)


def measured_in(evidence: CaseEvidence, region: Region) -> RegionFidelity | str:
    """What purification did in a region of the case's frame, from the clean scan where that is known, or why that can't
    be said."""
    before = evidence.exam.pixels if evidence.reference is None else evidence.reference
    assert evidence.estimate is not None, "a refused scan has no estimate"
    return measured_region(region, before, evidence.estimate, evidence.scan.spacing)


def _distances(pixels: np.ndarray, estimate: np.ndarray, clean: np.ndarray | None) -> dict[str, Mapping[str, float]]:
    pairs = {"fidelity": (pixels, estimate)}
    if clean is not None:
        pairs |= {"to_clean": (clean, estimate), "input_to_clean": (clean, pixels)}
    return {name: asdict(fidelity(*pair)) for name, pair in pairs.items()}
