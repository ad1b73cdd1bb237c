"""ResNet classifiers that answer on a scan and on its mirror image."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.bundles import classifier_sha256, weights_record
from core.explanation.attributions import attribution
from core.faults import Fault, activation_sites, damaged
from core.models.resnet import NarrowResNet18
from tests.graded import graded_bundle


@pytest.fixture
def pair():
    """The same network, asked once and asked on both sides."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alone = NarrowResNet18(1, 2, width=4).eval()
        both = NarrowResNet18(1, 2, width=4, mirrored=True).eval()
    both.load_state_dict(alone.state_dict())
    return alone, both


def test_the_answer_is_the_mean_of_both_sides(pair):
    alone, both = pair
    pixels = torch.rand(3, 1, 32, 32)
    expected = (alone(pixels) + alone(pixels.flip(-1))) / 2
    torch.testing.assert_close(both(pixels), expected)
    torch.testing.assert_close(both(pixels), both(pixels.flip(-1)))
    assert not torch.allclose(both(pixels), alone(pixels))


def test_maps_are_those_of_the_scan_alone(pair):
    alone, both = pair
    pixels = torch.rand(3, 1, 32, 32)
    assert torch.equal(both.feature_maps(pixels), alone.feature_maps(pixels))


def test_grad_cam_is_the_mean_of_both_sides(pair):
    alone, both = pair
    pixels = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    found = attribution(pixels, both, "grad-cam", label=1)
    mirrored = attribution(pixels[..., ::-1].copy(), both, "grad-cam", label=1)
    np.testing.assert_allclose(found, mirrored[..., ::-1], rtol=1e-3, atol=1e-6)
    assert not np.allclose(found, attribution(pixels, alone, "grad-cam", label=1))


def test_modules_that_see_both_sides_can_be_hit(pair):
    alone, both = pair
    pixels = torch.rand(3, 1, 32, 32)
    sites, known = activation_sites(both, pixels), activation_sites(alone, pixels)
    assert sites.keys() == known.keys() and sites["network.conv1"] == known["network.conv1"]
    every = range(0, sites["network.conv1"], 50)
    faults = [Fault("network.conv1", index, 30, kind="activation") for index in every]
    with torch.no_grad():
        assert not torch.allclose(damaged(both, faults)(pixels), both(pixels))


def test_figures_of_one_side_are_not_those_of_both():
    bundle = graded_bundle()
    name = bundle.default_classifier
    entry = bundle.facts["classifiers"][name]
    both = {name: entry | {"config": {"mirrored": True}}}
    mirrored = replace(bundle, facts=bundle.facts | {"classifiers": bundle.facts["classifiers"] | both})
    one, two = (weights_record(of, name) for of in (bundle, mirrored))
    assert classifier_sha256(mirrored, name) != classifier_sha256(bundle, name)
    assert {file for file in one if one[file] != two[file]} == {entry["file"]} and one.keys() == two.keys()
