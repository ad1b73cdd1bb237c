"""What the synthetic samples are drawn from."""

import torch

from core.evaluation.datasets import Dataset
from training.recipes.samples import class_means, free_file, nearest


def scans(values, labels, collections):
    pixels = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    groups = tuple(map(str, range(len(values))))
    return Dataset(pixels, torch.tensor(labels), groups, (), "", collections=collections)


def test_a_drawing_begins_from_the_mean_of_one_collection_that_has_the_class():
    known = scans([0.0, 0.2, 0.4, 0.9, 1.0], [0, 0, 1, 1, 1], ("both", "both", "both", "tumours", "tumours"))
    assert [mean.unique().item() for mean in class_means(known, 0)] == torch.tensor([0.1]).tolist()
    assert [mean.unique().item() for mean in class_means(known, 1)] == torch.tensor([0.4, 0.95]).tolist()


def test_the_nearest_scan_may_be_a_mirrored_one():
    pixels = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    far = torch.ones(1, 1, 2, 2)
    assert nearest(pixels, torch.cat([far, pixels.flip(-1)[None]])) == 0
    assert nearest(pixels, far) == torch.tensor(0.5).sqrt().item()


def test_a_drawing_takes_no_real_sample_s_place(tmp_path):
    taken = {"no-tumour-01", "no-tumour-03", "tumour-01"}
    assert free_file(tmp_path, "no tumour", taken).name == "no-tumour-02.dcm"
    assert free_file(tmp_path, "tumour", taken).name == "tumour-02.dcm"
