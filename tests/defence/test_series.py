"""Every slice of a volume judged, and the line that sums it up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import Bundle, Scan, examine, load_scan
from core.defence.series import SliceVerdict, answer_slices, judge_slices, most_telling, summarise, verdict_of

CLASSES = ("no tumour", "tumour")


@pytest.fixture(scope="module")
def volume(sample_files: list[Path]) -> Scan:
    """Six heads of one volume, and a black slice at the end."""
    scans = [load_scan(file) for file in sample_files[:3] + sample_files[-3:]]
    values = np.concatenate([scan.values for scan in scans] + [np.zeros_like(scans[0].values)])
    return replace(scans[0], values=values)


def test_first_answers_are_what_the_classifier_says_alone(volume: Scan, bundle: Bundle) -> None:
    first = [verdict for batch in answer_slices(volume, bundle) for verdict in batch]
    assert [verdict.frame for verdict in first] == list(range(7)) and not any(verdict.examined for verdict in first)
    for verdict in first[:6]:
        answer = examine(volume, bundle, frame=verdict.frame).undefended
        assert answer and verdict.label == answer.label and not verdict.flagged
    assert [verdict.frame for batch in answer_slices(volume, bundle, known=(0, 2, 4)) for verdict in batch] == [
        1,
        3,
        5,
        6,
    ]


def test_a_slice_is_judged_as_if_it_were_alone(volume: Scan, bundle: Bundle) -> None:
    judged = {verdict.frame: verdict for batch in judge_slices(volume, bundle, seed=3) for verdict in batch}
    for frame, verdict in judged.items():
        alone = verdict_of(examine(volume, bundle, frame=frame, seed=3))
        assert replace(verdict, confidence=0.0) == replace(alone, confidence=0.0)
        assert verdict.confidence == pytest.approx(alone.confidence, abs=1e-3)
    assert judged[6].refused and judged[6].label is None


def test_what_is_known_is_not_judged_again(volume: Scan, bundle: Bundle) -> None:
    judged = [verdict.frame for batch in judge_slices(volume, bundle, known=(0, 1, 2, 3, 4)) for verdict in batch]
    assert judged == [5, 6]


def found(text: str) -> list[SliceVerdict]:
    """t: tumour, T: tumour and flagged, n: no tumour, x: refused, u: tumour and unchecked, X: refused and unchecked."""
    labels = {"t": "tumour", "T": "tumour", "u": "tumour", "n": "no tumour", "x": None, "X": None}
    return [
        SliceVerdict(
            frame,
            labels[sign],
            0.9,
            None if sign in "uX" else sign == "T",
            "Black." if labels[sign] is None else None,
            True,
        )
        for frame, sign in enumerate(text)
    ]


@pytest.mark.parametrize(
    "slices, line",
    [
        ("nnttTn", "tumour on slices 3 to 5 of 6; slice 5 flagged"),
        ("nnnn", "no tumour on slices 1 to 4 of 4; none flagged"),
        ("xtnntx", "tumour on slices 2 and 5 of 6; none flagged; slices 1 and 6 refused"),
        ("xx", "no answer on any slice of 2; none flagged; slices 1 to 2 refused"),
        ("TnTnTT", "tumour on slices 1, 3 and 5 to 6 of 6; slices 1, 3 and 5 to 6 flagged"),
        ("t", "tumour on slice 1 of 1; none flagged"),
        ("uXu", "tumour on slices 1 and 3 of 3; not checked for manipulation; slice 2 refused"),
        ("tXn", "tumour on slice 1 of 3; none flagged; slice 2 refused"),
    ],
)
def test_one_line_says_what_was_found(slices: str, line: str) -> None:
    assert summarise(found(slices), CLASSES) == line


@pytest.mark.parametrize(
    "slices, frame, reason",
    [
        ("nnttTn", 4, "slice 5, flagged"),
        ("ntnttttn", 5, "the middle of slices 4 to 7, tumour"),
        ("tntt", 3, "the middle of slices 3 to 4, tumour"),
        ("ttttTTn", 5, "the middle of slices 5 to 6, flagged"),
        ("nnnn", None, ""),
        ("xx", None, ""),
    ],
)
def test_the_slice_with_most_to_say(slices: str, frame: int | None, reason: str) -> None:
    telling = most_telling(found(slices), CLASSES)
    assert (telling and telling.frame) == frame
    assert telling is None or telling.reason == reason


def test_of_runs_of_one_length_the_surest_counts() -> None:
    verdicts = [replace(verdict, confidence=0.6 + verdict.frame / 10) for verdict in found("tnt")]
    telling = most_telling(verdicts, CLASSES)
    assert telling and telling.frame == 2
