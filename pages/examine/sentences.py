"""A decision in three sentences: was the scan touched, what does it show, and was the model made for such a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.words import heading, names_of, percent, plain, unbroken

if TYPE_CHECKING:
    from core import Bundle, Detection, Examination, Prediction
    from core.defence.examination import Acquired
    from core.evaluation.operating_points import Share
    from core.evaluation.reliability import Reliability

ELSEWHERE = "How often such answers are right, with and without an attack, stands on the Detect page."
EDGE = 0.95  # of the calibration scans: a scan farther than these lies at the edge of what the model was made for
SOURCES = {"tags": "from the file’s tags", "picture": "judged from the picture"}


def draw_sentences(exam: Examination, bundle: Bundle, known: Reliability | None) -> None:
    """One sentence each, and none of them about another's matter; known: None where the bundle has no calibration."""
    lacks = bundle.lacks_for(exam.undefended.classifier if exam.undefended else None)
    sentences = {
        ":material/shield: **Integrity.**": integrity(exam.detection, plain(lacks or exam.refused or "")),
        ":material/stethoscope: **Answer.**": f"{answer(exam, bundle, known)}{_at_other_sites(exam, bundle)}",
        ":material/fit_screen: **Fit.**": fit(exam, bundle, known),
    }
    for lead, said in sentences.items():
        st.markdown(unbroken(f"{lead} {said}"))


def integrity(detection: Detection | None, why_not: str = "") -> str:
    """Whether the scan was altered, and whether the answer hangs on it. `why_not`: why nobody looked."""
    if detection is None:
        return f"Not checked. {why_not}"
    names = names_of(detection.flagged_by)
    if not detection.asks_altered:
        if detection.flagged:
            return f"The scan may have been manipulated: its {names} would be unusual for a scan that nobody touched."
        return "Nothing was found. That is no proof: a change so small that no score sees it is possible."
    if detection.altered and detection.flagged:
        return "Something was added to the pixels, and the answer hangs on it: the scan may have been manipulated."
    if detection.altered:
        return (
            "Something was added to the pixels, be it noise or an attack. The answer doesn’t hang on it, so there is "
            "no alarm."
        )
    if detection.flagged:
        return "Nothing was found to be added to the pixels, but the answer hangs on details too small to see."
    return "Nothing was found to be added to the pixels, and the answer doesn’t hang on details too small to see."


def answer(exam: Examination, bundle: Bundle, known: Reliability | None) -> str:
    """The answer, how sure it is, and how often such answers are right."""
    prediction = exam.prediction
    if prediction is None:
        return "None is given."
    if exam.purification and not exam.kept_borderline:
        # What is known of answers to scans as they are says nothing of those to estimates.
        other = exam.undefended and prediction.classifier != exam.undefended.classifier
        return (
            f"{heading(prediction.label)}, by the purified estimate. The {'robust classifier' if other else 'network'} "
            f"says {percent(prediction.confidence)}, which isn’t calibrated. {ELSEWHERE}"
        )
    said = f"{heading(prediction.label)}, by the scan as it is{_calibrated(prediction, bundle, known)}."
    if exam.left_alone:
        said += " The hardened classifier answers on the scan itself, so nothing is purified."
    if known is None:
        return said
    sequence = exam.sequence.name if exam.sequence else None
    rates = known.rates.get(sequence or "")
    if rates is None or not any(rates):
        return f"{said} {_unrecorded(sequence, known) if bundle.sequences else ELSEWHERE}"
    found = _rate(rates.sensitivity, f"finds “{bundle.classes[1]}” in {{}} of {{}} where it is")
    clear = _rate(rates.specificity, f"says “{bundle.classes[0]}” in {{}} of {{}} where that is so")
    return f"{said} On {sequence} scans that nobody attacked it {' and '.join(filter(None, (found, clear)))}."


def _at_other_sites(exam: Examination, bundle: Bundle) -> str:
    """What to expect at a site that the classifier hasn't learned from; nothing where that wasn't measured."""
    from core.evaluation.reliability import left_out

    asked = exam.prediction and exam.prediction.classifier == bundle.default_classifier
    record = left_out(bundle) if asked else None
    if record is None:
        return ""
    return (
        f" At {record.sites} sites, each left out of training in turn, classifiers like this one were right on "
        f"{100 * record.lowest:.0f} to {100 * record.highest:.0f} % of unattacked scans: expect no more at a site that "
        "it doesn’t know."
    )


def _unrecorded(sequence: str | None, known: Reliability) -> str:
    if not known.rates:
        return "How often it is right on scans of one sequence is not recorded in this bundle."
    if sequence is None:
        return "How often it is right on such scans can’t be said, as their sequence is not known."
    return f"How often it is right on {sequence} scans is not recorded in this bundle."


def _calibrated(prediction: Prediction, bundle: Bundle, known: Reliability | None) -> str:
    if known is None or len(bundle.classes) != 2:
        return f", with a probability of {percent(prediction.confidence)}"
    stated, calibrated = percent(prediction.confidence), percent(known.calibrated(prediction.confidence))
    if stated == calibrated:
        return f", with a probability of **{stated}**, as calibrated on {known.count} scans"
    return f". The network says {stated}; calibrated on {known.count} scans, that is a probability of **{calibrated}**"


def _rate(share: Share | None, words: str) -> str:
    if share is None:
        return ""
    interval = f"({100 * share.low:.0f} to {100 * share.high:.0f} %)"
    return words.format(f"{100 * share.value:.0f} % {interval}", share.n)


def fit(exam: Examination, bundle: Bundle, known: Reliability | None) -> str:
    """Whether the model was made for such a scan."""
    acquired = ""
    if exam.plane or exam.sequence or bundle.acquisition:
        acquired = f"{acquisition_words(exam.plane, exam.sequence)}. "
    if exam.refused:
        return f"{acquired}No answer is given: the reason stands above."
    if bundle.lacks is None and exam.scope_limit is None:
        return f"{acquired}How far the scan is from those behind the bundle isn’t measured without thresholds."
    if exam.scope_distance is None or not exam.scope_limit:
        return f"{acquired}How far the scan is from those behind the model can’t be told with this bundle."
    reach = 100 * exam.scope_distance / exam.scope_limit
    lies = f"{acquired}{{}} Its content lies at {reach:.0f} % of the distance from the training scans that is accepted"
    if known is None:
        return f"{lies.format('A scan as this bundle was made for.')}."
    share = known.farther_than(exam.scope_distance)
    verdict = "A scan as the model was made for." if share < EDGE else "At the edge of what the model was made for."
    return f"{lies.format(verdict)}, farther than {100 * share:.0f} % of the scans of the calibration."


def acquisition_words(plane: Acquired | None, sequence: Acquired | None) -> str:
    """Plane and sequence with where they are known from, such as ``Axial, FLAIR (from the file’s tags)``."""
    if plane and sequence and plane.source == sequence.source:
        return f"{heading(plane.name)}, {sequence.name} ({SOURCES[plane.source]})"
    known = [f"{told.name} ({SOURCES[told.source]})" if told else None for told in (plane, sequence)]
    return heading(f"{known[0] or 'plane not known'}, {known[1] or 'sequence not known'}")
