"""What the three tours say: data only."""

from __future__ import annotations

from dataclasses import dataclass

EXAMINE, ATTACK, DETECT, EXPERTS = (
    "pages/examine/page.py",
    "pages/attack/page.py",
    "pages/detect/page.py",
    "pages/experts/page.py",
)
PLACES = {
    "decision": "the decision card, right of the picture",
    "picture": "the picture, and the choices below it",
    "evidence": "‘The evidence’, further down",
    "attack": "‘What the attack changed’, further down",
    "purification": "‘What purification changed’, further down",
    "about": "‘About this scan’, at the end of the page",
    "budget": "the budget ε and the button ‘Attack’, below",
    "sections": "the row of sections below",
    "experts": "the bars, one for each expert, and the button ‘Attack the mixture’, below",
}


@dataclass(frozen=True)
class Step:
    """One step.

    focus: the place that it speaks of, one of `PLACES`; attacked: whether the scan is attacked by then, None where that
    makes no difference; page: where it is.
    """

    title: str
    text: str
    focus: str
    attacked: bool | None = False
    page: str = EXAMINE


@dataclass(frozen=True)
class Tour:
    """A guided tour for one kind of visitor."""

    key: str
    title: str
    icon: str
    promise: str
    steps: tuple[Step, ...]


TOURS = {
    tour.key: tour
    for tour in (
        Tour(
            "clinician",
            "Clinician",
            ":material/stethoscope:",
            "One scan, one decision, and what it rests on.",
            (
                Step(
                    "A scan has come in",
                    "The slice on the left is a sample, and its badges say where it comes from. The card beside it "
                    "holds the one decision, how sure the classifier is, and whether the scan looks manipulated.",
                    "decision",
                ),
                Step(
                    "What speaks for it",
                    "Three scores compare this scan with clean scans that the thresholds were made from. A scan is "
                    "flagged where any score lies right of its dashed line.",
                    "evidence",
                ),
                Step(
                    "Where to look twice",
                    "Choose ‘Error map’ below the picture: bright places are those that the network could "
                    "not predict from their surroundings. It may be the lesion, it may be a manipulation.",
                    "picture",
                ),
                Step(
                    "Now your own",
                    "Upload a scan in the sidebar. Another modality, or a picture that is no brain MRI, gets a reason "
                    "instead of a label.",
                    "decision",
                ),
            ),
        ),
        Tour(
            "educator",
            "Educator",
            ":material/school:",
            "Break the classifier in front of the class, and watch the defence.",
            (
                Step(
                    "The honest answer",
                    "Read the decision out, and ask the class: could a change of 8/255 a pixel, hardly visible, turn "
                    "it round?",
                    "decision",
                ),
                Step(
                    "The same scan, attacked",
                    "PGD-40 has just changed every pixel by at most 8/255: the card on top shows what became of the "
                    "answer, and the third picture here what was added. Amplify it until the back row can see it.",
                    "attack",
                    attacked=True,
                ),
                Step(
                    "What the defence did",
                    "Noise over everything, then a diffusion model draws what is likely. Raise the amplification to "
                    "see what that changed.",
                    "purification",
                    attacked=True,
                ),
                Step(
                    "Ask several experts",
                    "Here a gate weighs several networks for each scan. Attack the mixture, and watch whose bar grows "
                    "and who changes sides; then let the class switch experts off until the answer stands.",
                    "experts",
                    page=EXPERTS,
                ),
                Step(
                    "Now break it live",
                    "Let the class choose a budget: what is the smallest one that still turns the answer round? The "
                    "teacher’s mode shows one picture and one number, large, and steps with the arrow keys.",
                    "budget",
                    attacked=None,
                    page=ATTACK,
                ),
            ),
        ),
        Tour(
            "reviewer",
            "Reviewer",
            ":material/fact_check:",
            "Audit one attacked scan: the evidence, the cure, and its cost.",
            (
                Step(
                    "An attacked scan",
                    "This copy was attacked with PGD-40 at 8/255, and is marked so. Was it flagged, and does the "
                    "defended answer match the one before the attack?",
                    "decision",
                    attacked=True,
                ),
                Step(
                    "The evidence",
                    "Every point is a calibration scan. Judge for yourself how far clean and attacked ones lie apart "
                    "for each score, and where the threshold cuts.",
                    "evidence",
                    attacked=True,
                ),
                Step(
                    "What purification changed",
                    "The signed difference shows what the estimate lost or gained. Does it touch what the diagnosis "
                    "rests on?",
                    "purification",
                    attacked=True,
                ),
                Step(
                    "Do it again",
                    "Under ‘About this scan’ are the seed, the bundle and the hashes. The same scan and seed give the "
                    "same pixels; another seed shows how stable the decision is.",
                    "about",
                    attacked=True,
                ),
                Step(
                    "What the detector costs",
                    "One scan proves little. ‘Thresholds’ shows what a stricter detector would catch and what false "
                    "alarms it would cost, ‘ROC’ how well each score separates, and ‘Benign changes’ whether it "
                    "takes a moving patient for an attack.",
                    "sections",
                    attacked=None,
                    page=DETECT,
                ),
            ),
        ),
    )
}
