"""What comes with every bundle: its samples are answered, and one bundle's scans are another's no business."""

import pytest

from core import examine, load_bundle, load_scan
from core.bundles.loading import shipped_names
from core.report.cohort import sample_cohort
from core.scans import sample_scans

DRAWN = [name for name in shipped_names() if any(sample.origin == "synthetic" for sample in sample_scans(name))]
# Drawings of it are read as squamous cell carcinoma, and so are none of the samples.
NOT_DRAWN = {"lung-histology": {"adenocarcinoma"}}
DEFENDED = [name for name in DRAWN if not load_bundle(name).lacks]


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_what_a_bundle_drew_is_answered_as_what_it_was_drawn_as(name):
    bundle, labels = load_bundle(name), set()
    for source in (source for source in sample_cohort(name) if source.reference is None):
        exam = examine(load_scan(source.read(), name=source.name), bundle)
        assert exam.label == source.truth and not exam.detection.flagged, source.name
        labels.add(exam.label)
    assert labels == set(bundle.classes) - NOT_DRAWN.get(name, set())


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFENDED)
def test_attacked_copies_among_the_cohort_are_of_samples_of_the_bundle(name):
    cohort, own = sample_cohort(name), {sample.path for sample in sample_scans(name)}
    attacked = [source for source in cohort if source.reference]
    assert attacked and {source.reference for source in attacked} <= own
    assert len(cohort) == len({source.sha256 for source in cohort})


@pytest.mark.parametrize("name", DEFENDED)
def test_scans_of_another_bundle_are_refused_by_their_modality_or_else_by_their_content(name):
    bundle = load_bundle(name)
    others = [sample for other in DEFENDED if other != name for sample in sample_scans(other)[-1:]]
    for sample in others:
        scan = load_scan(sample.path)
        exam = examine(scan, bundle)
        alike = scan.modality == bundle.written_modality
        reason = "times as far from the scans behind" if alike else "the file says modality"
        assert exam.label is None and reason in exam.refused
