"""What the synthetic samples are drawn from."""

import pytest
import torch

from core.evaluation.datasets import Dataset
from training.recipes.samples import class_means, details, free_file, nearest


def scans(values, labels, collections):
    pixels = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    groups = tuple(map(str, range(len(values))))
    return Dataset(pixels, torch.tensor(labels), groups, (), "", collections=collections)


def test_a_drawing_begins_from_the_mean_of_one_collection_that_has_the_class():
    known = scans([0.0, 0.2, 0.4, 0.9, 1.0], [0, 0, 1, 1, 1], ("both", "both", "both", "tumours", "tumours"))
    assert [mean.unique().item() for mean in class_means(known, 0)] == torch.tensor([0.1]).tolist()
    assert [mean.unique().item() for mean in class_means(known, 1)] == torch.tensor([0.4, 0.95]).tolist()


def test_a_copy_is_found_mirrored_and_pale_and_no_other_scan_is_near():
    scans = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    copy = 0.5 + 0.2 * scans[2].flip(-1)
    assert nearest(copy, details(scans)) == pytest.approx(0, abs=1e-3)
    assert nearest(copy, details(scans[:2])) == pytest.approx(2**0.5, abs=0.1)


def test_a_drawing_takes_no_real_sample_s_place(tmp_path):
    taken = {"no-tumour-01", "no-tumour-03", "tumour-01"}
    assert free_file(tmp_path, "no tumour", taken).name == "no-tumour-02.dcm"
    assert free_file(tmp_path, "tumour", taken).name == "tumour-02.dcm"
