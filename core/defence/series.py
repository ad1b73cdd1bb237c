"""Every slice of a scan: the classifier's first answer to all of them, the whole examination, and what they come to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from core import compute
from core.bundles import Bundle
from core.defence.examination import Examination
from core.defence.pipeline import Request, answer_batch, examine_batch
from core.scans import Scan, Window

FIRST_BATCH = 16


@dataclass(frozen=True)
class SliceVerdict:
    """What is known of one slice.

    Attributes
    ----------
    frame : int
        Which, from 0.
    label : str or None
        The decision, or as long as it isn't `examined` the classifier's own answer; None where it was refused.
    confidence : float
        Of that label, in [0, 1]; 0 where there is none.
    flagged : bool or None
        Whether it may have been manipulated; None where the bundle can't tell, or nobody has asked yet.
    altered : bool or None
        Whether something was added to its pixels; None where the bundle doesn't ask, or nobody has asked yet.
    refused : str or None
        Why there is no label.
    examined : bool
        Whether the whole examination stands behind it.
    """

    frame: int
    label: str | None
    confidence: float
    flagged: bool | None = None
    refused: str | None = None
    examined: bool = False
    altered: bool | None = None


def answer_slices(
    scan: Scan,
    bundle: Bundle,
    *,
    window: Window | None = None,
    classifier: str | None = None,
    seed: int = 0,
    known: Collection[int] = (),
) -> Iterator[list[SliceVerdict]]:
    """What the classifier alone says of every slice; parameters and results are those of `judge_slices`."""
    name = bundle.classifier_name(classifier)
    for frames in _batches(scan, known, FIRST_BATCH):
        answers = answer_batch([Request(scan, frame, window, seed) for frame in frames], bundle, classifier=name)
        yield [verdict_of(answer, examined=False) for answer in answers]


def judge_slices(
    scan: Scan,
    bundle: Bundle,
    *,
    window: Window | None = None,
    classifier: str | None = None,
    seed: int = 0,
    known: Collection[int] = (),
) -> Iterator[list[SliceVerdict]]:
    """Examine every slice as `core.examine` does.

    Parameters
    ----------
    window, classifier, seed
        As `core.examine` takes them; what that raises is raised here, too.
    known : collection of int
        Slices that are left out, as they were examined before.

    Yields
    ------
    list of SliceVerdict
        A batch at a time, in the order of the slices.
    """
    name = bundle.classifier_name(classifier)
    for frames in _batches(scan, known, compute.batch_size()):
        exams = examine_batch([Request(scan, frame, window, seed) for frame in frames], bundle, classifier=name)
        yield [verdict_of(exam) for exam in exams]


def _batches(scan: Scan, known: Collection[int], size: int) -> Iterator[Sequence[int]]:
    left = [frame for frame in range(scan.frame_count) if frame not in known]
    return (left[start : start + size] for start in range(0, len(left), size))


def verdict_of(exam: Examination, examined: bool = True) -> SliceVerdict:
    """What an examination, or the classifier's answer alone, says of its slice."""
    answer = exam.prediction
    return SliceVerdict(
        frame=exam.frame_index,
        label=answer.label if answer else None,
        confidence=answer.confidence if answer else 0.0,
        flagged=exam.detection.flagged if exam.detection else None,
        refused=exam.refused,
        examined=examined,
        altered=exam.detection.altered if exam.detection else None,
    )


def summarise(verdicts: Sequence[SliceVerdict], classes: Sequence[str]) -> str:
    """One line: which slices show more than the first of `classes`, and which were flagged or refused, counted from 1.

    Where none was checked for manipulation, it says so.
    ``'tumour on slices 11 to 18 of 25; none flagged; slices 1 to 3 refused'``.
    """
    by_label = {name: [verdict.frame for verdict in verdicts if verdict.label == name] for name in classes}
    found = [name for name in classes[1:] if by_label[name]] or [name for name in classes[:1] if by_label[name]]
    parts = [f"{name} on {_places(by_label[name])}" for name in found] or ["no answer on any slice"]
    parts[-1] += f" of {len(verdicts)}"
    flagged = [verdict.frame for verdict in verdicts if verdict.flagged]
    refused = [verdict.frame for verdict in verdicts if verdict.refused]
    checked = any(verdict.flagged is not None for verdict in verdicts)
    none = "none flagged" if checked else "not checked for manipulation"
    parts.append(f"{_places(flagged)} flagged" if flagged else none)
    if refused:
        parts.append(f"{_places(refused)} refused")
    return "; ".join(parts)


@dataclass(frozen=True)
class TellingSlice:
    """The slice with most to say: the middle one of a run of neighbours, `first` to `last`, from 0.

    All of these were flagged, or else all have this `label`.
    """

    frame: int
    first: int
    last: int
    label: str | None = None

    @property
    def reason(self) -> str:
        """Why it is this one, counted from 1: ``'the middle of slices 11 to 18, tumour'``."""
        run = _places(range(self.first, self.last + 1))
        return f"{f'the middle of {run}' if self.first < self.last else run}, {self.label or 'flagged'}"


def most_telling(verdicts: Sequence[SliceVerdict], classes: Sequence[str]) -> TellingSlice | None:
    """The middle of the longest run of flagged slices; without these, of one label that isn't the first of `classes`.

    Of runs of one length the one that the classifier is surest of. None where there is no such slice.
    """
    sure = {verdict.frame: verdict.confidence for verdict in verdicts}
    runs: list[tuple[list[int], str | None]]
    runs = [(run, None) for run in _runs([verdict.frame for verdict in verdicts if verdict.flagged])]
    if not runs:
        labelled = {name: [verdict.frame for verdict in verdicts if verdict.label == name] for name in classes[1:]}
        runs = [(run, name) for name, frames in labelled.items() for run in _runs(frames)]
    if not runs:
        return None
    run, label = max(runs, key=lambda pair: (len(pair[0]), sum(sure[frame] for frame in pair[0])))
    return TellingSlice(run[len(run) // 2], run[0], run[-1], label)


def _runs(frames: Sequence[int]) -> list[list[int]]:
    return [[frame for _, frame in run] for _, run in groupby(enumerate(frames), lambda pair: pair[1] - pair[0])]


def _places(frames: Sequence[int]) -> str:
    """Runs of neighbours as ``slices 3 to 5 and 9``."""
    runs = _runs(frames)
    names = [f"{run[0] + 1} to {run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs]
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"slice{'s' if len(frames) > 1 else ''} {text}"
