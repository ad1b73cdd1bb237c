"""Certificates: the statistics against known values, and an attack that knows everything has no effect within one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import nn

from core.bundles import BundleError
from core.defence.certificate import (
    LEAST_DRAWS,
    SELECTION,
    SIGMAS,
    Certificate,
    averaged_square,
    certified_radius,
    certify,
    clopper_pearson_lower,
)
from core.models.diffusion import denoise_noisy
from tests.defended import CLASSES, NAME, SIDE, defended_bundle, small_diffusion

SIGMA = 0.25


class Brightness(nn.Module):
    """“tumour” where the middle of a picture is brighter than a limit; bent, but alike on both sides of mid-grey."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, pixels):
        above = pixels[..., 8:24, 8:24] - 0.5
        margin = 40 * ((above + 2 * above**3).mean((1, 2, 3)) - (self.limit - 0.5))
        return torch.stack([torch.zeros_like(margin), margin], 1)


class Coin(nn.Module):
    """Answers by the noise alone."""

    def forward(self, pixels):
        sign = (pixels - 0.5).mean((1, 2, 3))
        return torch.stack([-sign, sign], 1)


class Broken(nn.Module):
    def forward(self, pixels):
        return torch.full((len(pixels), 2), float("nan"))


@pytest.fixture(scope="module")
def bundle():
    return defended_bundle()


def asking(bundle, network):
    """The bundle with another classifier, and a denoiser that predicts no noise: what is seen is the noisy picture."""
    diffusion = small_diffusion().eval().requires_grad_(False)
    diffusion.unet.conv_out.weight.zero_()
    diffusion.unet.conv_out.bias.zero_()
    return replace(bundle, classifiers={NAME: network}, diffusion=diffusion)


def grey(value=0.5):
    return np.full((1, SIDE, SIDE), value, np.float32)


def last(*given, **ways):
    return list(certify(*given, **ways))[-1]


@pytest.mark.parametrize("hits, count, lower", [(10, 10, 0.7411), (9, 10, 0.6058), (0, 10, 0.0), (80, 100, 0.7228)])
def test_the_bound_has_the_values_of_the_tables(hits, count, lower):
    assert clopper_pearson_lower(hits, count, 0.95) == pytest.approx(lower, abs=1e-4)


@pytest.mark.parametrize("hits, count", [(66, 100), (999, 1000), (1000, 1000)])
def test_at_the_bound_so_many_hits_have_a_chance_of_one_in_a_thousand(hits, count):
    assert binom.sf(hits - 1, count, clopper_pearson_lower(hits, count)) == pytest.approx(0.001)


@pytest.mark.parametrize("chance", [0.5, 0.62, 0.9, 0.99])
def test_whatever_the_chance_is_the_bound_is_wrong_once_in_a_thousand_at_most(chance):
    counts = np.arange(201)
    wrong = [clopper_pearson_lower(hits, 200) > chance for hits in counts]
    assert binom.pmf(counts, 200, chance)[wrong].sum() <= 0.001


def test_the_radius_grows_with_the_bound_and_with_the_noise():
    radii = [certified_radius(bound, 0.25) for bound in (0.51, 0.7, 0.9, 0.99)]
    assert radii == sorted(radii) and radii[2] == pytest.approx(0.25 * norm.ppf(0.9))
    assert certified_radius(0.5, 0.25) is certified_radius(0.2, 0.25) is None
    assert certified_radius(0.9, 0.5) == 2 * certified_radius(0.9, 0.25)


def test_the_least_draws_are_the_fewest_that_can_certify():
    assert (
        clopper_pearson_lower(LEAST_DRAWS, LEAST_DRAWS) > 0.5 >= clopper_pearson_lower(LEAST_DRAWS - 1, LEAST_DRAWS - 1)
    )


def test_a_length_in_grey_levels():
    made = Certificate("tumour", 0.25, 145, (1, 128, 128), 1000, SELECTION, 1000, 1000)
    assert made.radius == pytest.approx(0.25 * norm.ppf(0.001 ** (1 / 1000)))
    assert made.grey_levels() == pytest.approx(255 * made.radius)
    assert made.grey_levels(made.pixel_count) == pytest.approx(made.grey_levels() / 128)
    assert made.length_everywhere(8) == pytest.approx(8 / 255 * 128)
    colour = replace(made, shape=(3, 128, 128))
    change = np.zeros(colour.shape)
    change[:, 5, 7] = colour.grey_levels() / 255
    assert np.linalg.norm(change) == pytest.approx(colour.radius)
    assert replace(made, sigma=1.0).grey_levels() == 255
    assert replace(made, agreeing=400).grey_levels() == 0


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_denoiser_is_given_its_own_share_of_noise(sigma):
    diffusion = small_diffusion()
    t = diffusion.matching_step(sigma)
    alpha = diffusion.alpha(t).item()
    assert math.sqrt((1 - alpha) / alpha) / 2 == pytest.approx(sigma, rel=0.02)
    noise = torch.randn((2, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    pixels = torch.rand(noise.shape, generator=torch.Generator().manual_seed(1))
    # Who names the noise exactly gets the picture back.
    diffusion.predict_noise = lambda noisy, t: noise * 2 * sigma * math.sqrt(alpha / (1 - alpha))
    estimate = denoise_noisy(pixels + sigma * noise, torch.tensor([t, t]), diffusion)
    assert torch.allclose(estimate, pixels, atol=1e-5)


def test_what_was_not_drawn_counts_against_it_so_that_one_may_stop_at_any_time(bundle):
    steps = list(certify(grey(), asking(bundle, Brightness(0.4)), sigma=SIGMA, draws=60))
    bounds, end = [made.bound for made in steps], steps[-1]
    assert bounds == sorted(bounds) and bounds[0] == 0
    assert [made.selecting for made in steps if not made.drawn][-1] == SELECTION
    assert end.drawn == 60 and end.complete and not any(made.complete for made in steps[:-1])
    assert {made.label for made in steps[10:]} == {"tumour"}
    for made in steps:
        assert made.bound == clopper_pearson_lower(made.agreeing, 60)


def test_an_answer_that_hangs_on_the_noise_is_not_certified_and_ends_early(bundle):
    end = last(grey(), asking(bundle, Coin()), sigma=SIGMA, draws=200)
    assert end.abstained and end.radius is None and end.drawn < 200
    # As soon as it is certain: one more disagreement among the last batch would have been one too few before.
    possible = end.agreeing + 200 - end.drawn
    assert clopper_pearson_lower(possible, 200) <= 0.5 < clopper_pearson_lower(possible + 4, 200)


def test_what_is_no_number_is_no_answer(bundle):
    end = last(grey(), asking(bundle, Broken()), sigma=SIGMA, draws=20)
    assert end.agreeing == 0 and end.abstained


def test_same_scan_and_seed_same_draws_and_others_for_another(bundle):
    network = asking(bundle, Brightness(0.498))

    def seen(value=0.5, seed=0):
        return [made.agreeing for made in certify(grey(value), network, sigma=SIGMA, draws=40, seed=seed)]

    assert seen() == seen() != seen(seed=1)
    assert seen() != seen(value=0.500001)


@torch.enable_grad()
def attacked(pixels, bundle, label, length, steps=6):
    """The picture after a descent on the smoothed answer itself, of that ℓ2 length."""
    network, generator = bundle.classifiers[NAME], torch.Generator().manual_seed(7)
    start = torch.from_numpy(pixels)
    t = torch.full((8,), bundle.diffusion.matching_step(SIGMA))
    change = torch.zeros_like(start, requires_grad=True)
    for _ in range(steps):
        noise = SIGMA * torch.randn((8, *start.shape), generator=generator)
        logits = network(denoise_noisy(start + change + noise, t, bundle.diffusion))
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, torch.full((8,), label)), change)
        moved = change + length * gradient / gradient.norm()
        change = (length * moved / moved.norm()).detach().requires_grad_()
    return (start + change).detach().numpy()


def test_no_attack_inside_the_radius_turns_the_smoothed_answer_and_one_beyond_does(bundle):
    network = asking(bundle, Brightness(0.475))
    made = last(grey(), network, sigma=SIGMA, draws=200)
    assert made.label == "tumour" and 0.1 < made.radius < 0.5
    label = CLASSES.index("tumour")
    for share in (0.5, 0.99):
        inside = attacked(grey(), network, label, share * made.radius)
        assert np.linalg.norm(inside - grey()) == pytest.approx(share * made.radius, rel=1e-3)
        assert last(inside, network, sigma=SIGMA, draws=200, seed=1).agreeing > 100
    beyond = attacked(grey(), network, label, 3 * made.radius)
    assert last(beyond, network, sigma=SIGMA, draws=200, seed=1).label == "no tumour"


def test_the_whole_way_with_a_network_that_denoises(bundle):
    end = last(grey(), bundle, sigma=0.12, draws=12)
    assert end.complete and end.label in CLASSES and end.t == bundle.diffusion.matching_step(0.12)


@pytest.mark.parametrize("side, square", [(32, 1), (64, 1), (96, 1), (128, 2), (200, 2), (224, 2), (251, 1), (256, 4)])
def test_large_pictures_are_denoised_as_means_whose_noise_is_weaker(bundle, side, square):
    assert averaged_square(side) == square
    network = asking(bundle, Brightness(0.4))
    seen = []
    network.diffusion.predict_noise = lambda noisy, t: seen.append((noisy, t)) or torch.zeros_like(noisy)
    pixels = np.full((1, side, side), 0.5, np.float32)
    end = last(pixels, network, sigma=SIGMA, draws=10)
    noisy, t = seen[-1]
    assert end.label == "tumour" and end.t == t[0] == network.diffusion.matching_step(SIGMA / square)
    assert noisy.shape[-1] == side // square
    scale = network.diffusion.alpha(end.t).sqrt().item()
    assert noisy.std().item() == pytest.approx(2 * scale * SIGMA / square, rel=0.15)


def test_who_answers_on_estimates_answers(bundle):
    network = asking(bundle, Brightness(0.6))
    entries = network.facts["classifiers"] | {NAME: network.facts["classifiers"][NAME] | {"robust": "other"}}
    both = {NAME: network.classifiers[NAME], "other": Brightness(0.4)}
    other = replace(network, classifiers=both, facts=network.facts | {"classifiers": entries})
    ways = {"sigma": 0.06, "draws": 10}
    assert (last(grey(), network, **ways).label, last(grey(), other, **ways).label) == ("no tumour", "tumour")


@pytest.mark.parametrize("ways", [{"sigma": 0.0}, {"sigma": 2.0}, {"sigma": float("nan")}, {"draws": LEAST_DRAWS - 1}])
def test_settings_out_of_range_are_one_sentence_before_any_work(bundle, ways):
    with pytest.raises(ValueError) as refusal:
        certify(grey(), bundle, **ways)
    assert str(refusal.value).endswith(".") and str(refusal.value).count(". ") == 0


def test_a_bundle_without_a_denoiser_says_so(bundle):
    with pytest.raises(BundleError, match="tiny-scans holds no diffusion model, so it can't certify"):
        certify(grey(), replace(bundle, diffusion=None))
