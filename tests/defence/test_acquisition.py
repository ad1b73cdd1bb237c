"""Plane and sequence: where they are known from, and what is refused for them."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from core import Scan, Window, examine, load_scan
from core.attacks import attackable_pixels
from core.bundles import Bundle
from core.defence.acquisition import acquisition_of
from core.defence.examination import Acquired, Examination
from core.defence.pipeline import Request, examine_batch
from core.defence.scope import wrong_acquisition

LEAST = {"plane": 0.9, "sequence": 0.8}


def scan_of(frame: np.ndarray, **facts: object) -> Scan:
    values, window = frame[None].astype(np.float32), Window(0.5, 1, "Whole", "LINEAR_EXACT")
    known = {"name": "x", "kind": "dicom", "modality": "MR", "windows": (window,), "inverted": False, "spacing": None}
    return Scan(values=values, tags={}, notes=(), derived=None, sha256="", **known | facts)


def exam_of(**facts: object) -> Examination:
    nothing = np.zeros((1, 128, 128), np.float32)
    return Examination("x", "brain-mri", 0, nothing[0], nothing, 0, **facts)


@pytest.fixture
def telling(bundle: Bundle) -> Callable[..., Bundle]:
    """Makes bundles whose network gives these logits for any picture."""

    def make(plane: tuple[float, ...], sequence: tuple[float, ...], **declared: tuple[str, ...]) -> Bundle:
        answer = torch.tensor([plane], dtype=torch.float32), torch.tensor([sequence], dtype=torch.float32)
        facts = MappingProxyType({**bundle.facts, "acquisition": {"least": LEAST}})
        return replace(bundle, acquisition=lambda pixels: answer, facts=facts, **declared)

    return make


def test_tags_go_before_the_picture(telling):
    own = telling((0, 9, 0), (0, 0, 9, 0))
    frame = np.zeros((8, 8))
    plane, sequence = acquisition_of(exam_of(), scan_of(frame, plane="sagittal", sequence="T2"), own)
    assert plane == Acquired("sagittal", "tags") and sequence == Acquired("T2", "tags")
    plane, sequence = acquisition_of(exam_of(), scan_of(frame, sequence="T2"), own)
    assert (plane.name, plane.source) == ("coronal", "picture") and plane.probability > 0.99
    assert sequence == Acquired("T2", "tags")


def test_a_network_that_is_unsure_or_broken_names_nothing(telling):
    scan = scan_of(np.zeros((8, 8)))
    assert acquisition_of(exam_of(), scan, telling((1, 0, 0), (1, 0, 0, 0))) == (None, None)
    assert acquisition_of(exam_of(), scan, telling((np.nan, 0, 0), (np.nan, 0, 0, 0))) == (None, None)


def test_of_what_is_refused_already_only_tags_tell(telling):
    exam = exam_of(refused="No MR.")
    assert acquisition_of(exam, scan_of(np.zeros((8, 8))), telling((0, 9, 0), (0, 0, 9, 0))) == (None, None)


@pytest.mark.parametrize(
    "plane, sequence, words",
    [(Acquired("sagittal", "tags"), None, ("the file's tags say sagittal", "axial slices only")),
     (Acquired("sagittal", "picture", 0.97), None, ("looks, with a probability of 97%, sagittal",)),
     (Acquired("axial", "tags"), Acquired("diffusion", "tags"), ("diffusion", "FLAIR or T2 scans only")),
     (Acquired("axial", "picture", 1.0), Acquired("T2", "tags"), None),
     (None, None, None)],
)  # fmt: skip
def test_what_is_not_covered_gets_a_reason(bundle, plane, sequence, words):
    own = replace(bundle, planes=("axial",), sequences=("FLAIR", "T2"))
    exam = exam_of(plane=plane, sequence=sequence)
    reason = wrong_acquisition(exam, own, "tags") or wrong_acquisition(exam, own, "picture")
    assert reason is None if words is None else all(word in reason for word in words)


def test_a_bundle_that_declares_nothing_takes_all(bundle):
    free = replace(bundle, planes=(), sequences=())
    exam = exam_of(plane=Acquired("oblique", "tags"), sequence=Acquired("perfusion", "tags"))
    assert wrong_acquisition(exam, free, "tags") is None


def test_a_slice_of_another_plane_gets_no_label_and_says_why(telling, sample_files):
    own = telling((0, 9, 0), (0, 0, 9, 0), planes=("axial",), sequences=())
    head, noise = load_scan(sample_files[0]), np.random.default_rng(0).random((128, 128))
    scans = [replace(head, plane="sagittal"), head, scan_of(noise)]
    tagged, judged, strange = examine_batch([Request(scan) for scan in scans], own)
    assert tagged.label is judged.label is strange.label is None
    assert "sagittal" in tagged.refused and "coronal" in judged.refused
    assert tagged.detection is None and judged.detection and judged.purification is None
    # What is no head has no plane either, whatever the network makes of it.
    assert strange.scope_distance > strange.scope_limit and "content" in strange.refused


def test_models_are_given_square_pixels(bundle):
    rows, columns = np.mgrid[:60, :180]
    ball = (np.hypot(3 * (rows - 29.5), columns - 89.5) < 60).astype(np.float32)
    scan = scan_of(ball, spacing=(1.0, 3.0, 1.0), plane="coronal")
    exam = examine(scan, replace(bundle, planes=("axial",)))
    high, wide = (np.flatnonzero((exam.pixels[0] > 0.5).any(axis)) for axis in (1, 0))
    assert abs(np.ptp(high) - np.ptp(wide)) <= 2 and exam.spacing == scan.spacing
    assert np.array_equal(attackable_pixels(scan, bundle)[0].numpy(), exam.pixels)
