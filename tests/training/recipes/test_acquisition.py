"""Plane and sequence from the picture: labels, batches and what the losses say."""

import numpy as np
import torch

from core.models.acquisition import PLANES, SEQUENCES, AcquisitionNetwork
from training.recipes.acquisition import drawing, sequence_loss, stripped, varied
from training.recipes.slices.data import NOT_T2, UNKNOWN, Slices, _across, plane_of_numbers
from training.recipes.slices.figures import _least, acquisition_figures, refused_axial


def slices(planes: list[int], sequences: list[int]) -> Slices:
    count = len(planes)
    pixels = np.random.default_rng(0).integers(0, 255, (count, 128, 128), np.uint8)
    return Slices("made", pixels, np.array(planes), np.array(sequences), np.arange(count), np.zeros(count, int))


def test_runs_of_numbers_name_planes():
    runs = [(1, 3, "axial"), (5, 5, "sagittal")]
    assert plane_of_numbers(np.array([1, 3, 4, 5]), runs).tolist() == [0, 0, UNKNOWN, PLANES.index("sagittal")]


def test_batches_hold_every_known_label_and_nothing_unknown():
    draw = drawing([slices([0, 1, 2, UNKNOWN], [0] * 4)], lambda own: own.planes)
    pixels, labels = draw(60, torch.Generator().manual_seed(0))
    assert pixels.shape == (60, 1, 128, 128) and set(labels.tolist()) == {0, 1, 2}


def test_a_slice_that_is_no_t2_costs_what_is_held_for_t2():
    label = torch.tensor([NOT_T2])
    sure, wrong = torch.zeros(1, 4), torch.zeros(1, 4)
    sure[0, SEQUENCES.index("T2")], wrong[0, SEQUENCES.index("T2")] = -9, 9
    assert sequence_loss(sure, label) < 0.01 < 5 < sequence_loss(wrong, label)


def test_pictures_vary_and_stay_pictures():
    generator, pixels = torch.Generator().manual_seed(0), torch.rand(6, 1, 128, 128)
    for strong in (False, True):
        changed = varied(pixels, generator, strong)
        assert changed.shape == pixels.shape and 0 <= changed.min() and changed.max() <= 1


def test_a_stripped_head_has_lost_its_rim():
    head = torch.zeros(1, 1, 128, 128)
    head[..., 20:108, 20:108] = 0.5
    kept = stripped(head, torch.Generator().manual_seed(0))[0, 0] > 0
    assert kept[64, 64] and not kept[20:22].any() and not kept[:, 20:22].any()


def test_a_volume_is_cut_across_with_its_vertex_up():
    volume = np.zeros((20, 128, 128), np.uint8)
    volume[:, 30:100, 40:90] = 60
    volume[:3] = np.minimum(volume[:3] * 4, 240)
    made = list(_across(volume, 4))
    assert [plane for plane, _ in made] == [1] * 4 + [2] * 4
    assert all(picture.shape == (128, 128) and picture[:40].max() > picture[80:].max() for _, picture in made)


def test_figures_are_told_by_collection_and_class():
    own = slices([0, 0, 1], [0, NOT_T2, 3])
    network = AcquisitionNetwork().eval()
    figures = acquisition_figures(network, [own], {"plane": 0.7, "sequence": 0.9})
    assert figures["made: plane coronal"]["n"] == 1 and figures["made: sequence T2"]["n"] == 1
    assert refused_axial(network, [own])["made"]["n"] == 2


def test_so_sure_a_name_is_as_keeps_enough_of_the_named_right_in_every_collection():
    labels = np.zeros(100, int)
    told = np.full((100, 2), 0.5)
    told[:, 0], told[:, 1] = 0.99, 0.01
    told[:3] = [0.25, 0.75]  # three are named wrongly, up to a probability of .75
    assert _least([(told, labels)]) == 0.8
    assert _least([(told[3:], labels[3:])]) == 0.5
    told[:3] = [0.0, 1.0]
    assert _least([(told[3:], labels[3:]), (told, labels)]) == 0.99
