"""Whoever is examined among others gets what he would get alone."""

import numpy as np
import pytest

from core import ScanError, compute, examine, load_scan
from core.attacks import attack_scan
from core.defence.pipeline import Request, examine_batch
from core.scans import sample_scans
from tests.cells import cell, write_picture

# The networks give the same numbers; what remains is the order in which float32 sums are taken. Instability, the
# divergence of two nearly equal answers, can be as small as what they are rounded to.
SUMMED = {"rel": 1e-4, "abs": 1e-6}


@pytest.fixture(scope="module")
def requests(sample_files, bundle):
    """Every sample, those that are refused or of the wrong kind among them; attacked ones; other frames and seeds."""
    samples = [load_scan(sample.path) for sample in sample_scans("brain-mri")]
    attacked = [Request(attack_scan(load_scan(file), bundle), seed=seed) for seed, file in enumerate(sample_files[:4])]
    volume = next(scan for scan in samples if scan.frame_count > 3)
    frames = [Request(volume, frame=2), Request(volume, frame=3, window=volume.windows[-1], seed=7)]
    found = [request for pair in zip(map(Request, samples), [*attacked, *frames]) for request in pair]
    return found + [Request(scan) for scan in samples[len(attacked + frames) :]]


def asked_alone(request, bundle, classifier=None):
    scan, frame, window, seed = request.scan, request.frame, request.window, request.seed
    return examine(scan, bundle, frame=frame, window=window, classifier=classifier, seed=seed)


def assert_same(among, alone):
    assert (among.file, among.frame_index, among.seed) == (alone.file, alone.frame_index, alone.seed)
    assert (among.label, among.refused, among.kept_borderline) == (alone.label, alone.refused, alone.kept_borderline)
    assert np.array_equal(among.pixels, alone.pixels) and np.array_equal(among.frame, alone.frame)
    assert set(among.seconds) == set(alone.seconds)
    for one, other in ((among.undefended, alone.undefended), (among.prediction, alone.prediction)):
        assert (one is None) == (other is None)
        assert one is None or one.probabilities == pytest.approx(other.probabilities, **SUMMED)
    assert (among.detection is None) == (alone.detection is None)
    if alone.detection:
        assert among.scope_distance == pytest.approx(alone.scope_distance, **SUMMED)
        assert_same_detection(among.detection, alone.detection)
    assert (among.purification is None) == (alone.purification is None)
    if alone.purification:
        assert among.purification.t_star == alone.purification.t_star
        assert np.array_equal(among.purification.estimate, alone.purification.estimate)


def assert_same_detection(among, alone):
    assert among.flagged_by == alone.flagged_by
    assert among.scores == pytest.approx(alone.scores, **SUMMED)
    for name in ("reconstruction", "error_map", "attention_map"):
        assert getattr(among, name) == pytest.approx(getattr(alone, name), rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_every_scan_of_a_batch_is_examined_as_it_is_alone(requests, bundle):
    alone = [asked_alone(request, bundle) for request in requests]
    assert any(exam.purification for exam in alone)
    assert any(exam.refused and exam.detection for exam in alone)
    assert any(exam.refused and not exam.detection for exam in alone)
    count = compute.batch_size()
    for first in range(0, len(requests), count):
        together = examine_batch(requests[first : first + count], bundle)
        for among, exam in zip(together, alone[first : first + count], strict=True):
            assert_same(among, exam)


@pytest.mark.slow
def test_another_classifier_and_borderline_answers_too(requests, unsure):
    found = examine_batch(requests[:3], unsure, classifier="medfedpure")
    for among, request in zip(found, requests, strict=False):
        assert_same(among, asked_alone(request, unsure, "medfedpure"))
    assert {among.undefended.classifier for among in found} == {"medfedpure"}


def test_classifiers_alone_answer_a_batch(cells, tmp_path):
    grey = np.full((32, 32), 0.5)
    files = [write_picture(tmp_path / f"{number}.png", one) for number, one in enumerate((cell(0), grey, cell(1)))]
    requests = [Request(load_scan(file)) for file in files]
    for among, request in zip(examine_batch(requests, cells), requests, strict=True):
        assert_same(among, asked_alone(request, cells))


def test_nothing_is_asked_and_nothing_answered(bundle):
    assert examine_batch([], bundle) == []


def test_a_wrong_frame_is_a_sentence(sample_files, bundle):
    scan = load_scan(sample_files[0])
    with pytest.raises(ScanError):
        examine_batch([Request(scan), Request(scan, frame=7)], bundle)
