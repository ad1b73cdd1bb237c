"""ResNet classifiers that answer on a scan and on its mirror image."""

from dataclasses import replace

import pytest
import torch

from core.bundles import weights_record
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


def test_figures_of_one_side_are_not_those_of_both():
    bundle = graded_bundle()
    name = bundle.default_classifier
    entry = bundle.facts["classifiers"][name]
    both = {name: entry | {"config": {"mirrored": True}}}
    mirrored = replace(bundle, facts=bundle.facts | {"classifiers": bundle.facts["classifiers"] | both})
    one, two = (weights_record(of, name) for of in (bundle, mirrored))
    assert {file for file in one if one[file] != two[file]} == {entry["file"]} and one.keys() == two.keys()
