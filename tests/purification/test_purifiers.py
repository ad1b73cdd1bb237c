from types import SimpleNamespace

import pytest
import torch

from core import examine, load_scan
from core.fidelity.attention_variation import variation
from core.models.diffusion import Diffusion, cumulative_alphas
from core.models.mae import Encoding, MaskedAutoencoder, Reconstruction
from core.models.mask_dit import MaskDiT
from core.purification import adaptive
from core.purification.catalogue import PURIFIERS, longest_purification, purified_pixels, purifier_steps
from core.purification.diffpure import posterior_sample
from core.purification.mae_pure import attention_distance, descend, hidden_error, random_mask
from core.purification.settings import PurifySettings
from core.scans.preparation import prepare

DIFFUSIONS = ("one-step", "repeated", "diffpure", "diffpure-ddim")
SHORT = {"diffpure": 5, "mae-pure": 3, "mae-pure-amv": 3, "rmae-pure": 3, "maskdit-pure": 3, "rmaskdit-pure": 3}


class Oracle(Diffusion):
    """Knows the noise for a known image."""

    def __init__(self, clean):
        torch.nn.Module.__init__(self)
        self._alphas, self.clean = cumulative_alphas(), clean

    def predict_noise(self, noisy, t, label=None):
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        return (noisy - alpha.sqrt() * (2 * self.clean - 1)) / (1 - alpha).sqrt()


class OfGaussian(Oracle):
    """The best prediction where the pixels are normal around .5 with a deviation of .1 (0 and .2 in [−1, 1])."""

    def __init__(self):
        super().__init__(None)

    def predict_noise(self, noisy, t, label=None):
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        return (1 - alpha).sqrt() * noisy / (alpha * 0.2**2 + 1 - alpha)


def numbers(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape):
    return torch.rand(shape, generator=numbers())


def small(build=MaskedAutoencoder):
    shape = {"resolution": 16, "patch": 4, "width": 16, "depth": 2, "heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(**shape, decoder_width=8, decoder_depth=1, decoder_heads=2)
    return network.eval().requires_grad_(False)


@pytest.fixture
def tiny(monkeypatch):
    """A bundle of small models whose ladder sends dark images to t* = 20 and bright ones to t* = 40."""

    def levels(pixels, bundle, classifier, seed):
        return torch.where(pixels.mean((1, 2, 3)) < 0.5, 20, 40)

    monkeypatch.setattr(adaptive, "ladder_levels", levels)
    parts = {"diffusion": OfGaussian(), "mae": small(), "mask_count": 4}
    parts |= {"robust_mae": small(), "mask_dit": small(MaskDiT), "robust_mask_dit": small(MaskDiT)}
    return SimpleNamespace(**parts, classifier_name=lambda name: name or "only")


def settings(method, **fields):
    return PurifySettings(method, **{"steps": SHORT.get(method), **fields})


@pytest.mark.parametrize("method", DIFFUSIONS)
def test_true_noise_gives_back_the_clean_image(method):
    clean = rand(2, 1, 8, 8)
    bundle = SimpleNamespace(diffusion=Oracle(clean), classifier_name=str)
    made = list(purifier_steps(1 - clean, bundle, settings(method, t=50)))
    assert all(torch.allclose(step.estimate, clean, atol=1e-4) for step in made)
    assert made[0].t == 50 and made[0].noisy.shape == clean.shape


# A step draws around the mean of what the scan may be, not around one such scan: strides narrow the result a little.
@pytest.mark.parametrize("steps, margin", [(200, 0.03), (50, 0.07)])
def test_ancestral_sampling_keeps_a_known_gaussian(tiny, steps, margin):
    pixels = 0.5 + 0.1 * torch.randn(1, 1, 128, 128, generator=numbers())
    made = purified_pixels(pixels, tiny, PurifySettings("diffpure", t=200, steps=steps), seed=1)
    assert made.mean().item() == pytest.approx(0.5, abs=0.003)
    assert made.std().item() == pytest.approx(0.1, rel=margin)
    assert torch.corrcoef(torch.stack([made.flatten(), pixels.flatten()]))[0, 1] < 0.5  # and yet another image


def test_posterior_as_solved_by_hand():
    half, quarter, one = torch.tensor(0.5), torch.tensor(0.25), torch.ones(1, 1, 1, 1)
    made = [
        posterior_sample(quarter, half, noisy * one, (estimate + 1) / 2 * one, noise * one).item()
        for estimate, noisy, noise in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    # ratio .5: √.5 · .5 / .75, √.5 · .5 / .75 and √(.5 / .75 · .5)
    assert made == pytest.approx([0.47140, 0.47140, 0.57735], abs=1e-5)


def test_one_ancestral_step_is_one_step_denoising(tiny):
    pixels = rand(1, 1, 16, 16)
    one, other = (purified_pixels(pixels, tiny, settings(method, t=60, steps=1)) for method in ("one-step", "diffpure"))
    assert torch.equal(one, other)


def test_repeated_starts_each_time_from_the_last_estimate_with_new_noise(tiny):
    made = list(purifier_steps(rand(1, 1, 16, 16), tiny, PurifySettings("repeated", t=60, steps=2)))
    assert [step.index for step in made] == [0, 1]
    alpha = tiny.diffusion.alpha(60)
    noises = [
        step.noisy - alpha.sqrt() * (2 * start - 1) for step, start in zip(made, [rand(1, 1, 16, 16), made[0].estimate])
    ]
    assert noises[0].std() == pytest.approx((1 - alpha).sqrt().item(), rel=0.15)
    assert noises[1].std() == pytest.approx((1 - alpha).sqrt().item(), rel=0.15)
    assert not torch.allclose(*noises)


def test_adaptive_gives_each_image_the_level_of_its_own(tiny):
    dark, bright = 0.3 * rand(1, 1, 16, 16), 1 - 0.3 * rand(1, 1, 16, 16)
    (both,) = purifier_steps(torch.cat([dark, bright, dark]), tiny, PurifySettings())
    alone = [next(purifier_steps(pixels, tiny, PurifySettings())) for pixels in (dark, bright, dark)]
    assert [step.t for step in alone] == [20, 40, 20] and both.t is None
    assert torch.equal(both.estimate, torch.cat([step.estimate for step in alone]))
    assert torch.equal(both.noisy, torch.cat([step.noisy for step in alone]))


@pytest.mark.slow
def test_adaptive_takes_the_level_that_examine_would(bundle, sample_files):
    scan = load_scan(sample_files[0])
    variation = examine(scan, bundle).detection.scores["amv"]
    name = bundle.default_classifier
    levels = adaptive.ladder_levels(prepare(scan.frame(), bundle.resolution, bundle.channels), bundle, name, 0)
    assert levels.tolist() == [bundle.limits[name].t_star(variation)]


@pytest.mark.parametrize("method", PURIFIERS)
def test_what_every_purifier_promises(tiny, method):
    pixels, before = rand(3, 1, 16, 16), torch.get_rng_state()
    weights = [value.clone() for value in tiny.mae.state_dict().values()]
    made = list(purifier_steps(pixels, tiny, settings(method)))
    last = made[-1].estimate
    assert [step.index for step in made] == list(range(longest_purification(settings(method))))
    assert last.shape == pixels.shape and last.min() >= 0 and last.max() <= 1 and not last.requires_grad
    assert torch.equal(last, purified_pixels(pixels, tiny, settings(method)))
    assert torch.allclose(last[1:2], purified_pixels(pixels[1:2], tiny, settings(method)), atol=1e-5)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, weights, tiny.mae.state_dict().values()))


@pytest.mark.parametrize("method", [*DIFFUSIONS, "mae-pure", "rmae-pure", "maskdit-pure", "rmaskdit-pure", "adaptive"])
def test_another_seed_gives_another_estimate(tiny, method):
    pixels = rand(1, 1, 16, 16)
    first, second = (purified_pixels(pixels, tiny, settings(method), seed=seed) for seed in (0, 1))
    assert not torch.equal(first, second)


def test_descent_as_solved_by_hand():
    def slope(pixels, mask):
        return pixels.sum((1, 2, 3))

    def moved(clip):
        last = list(descend(torch.full((1, 1, 2, 2), 0.5), slope, 4, 4, clip, 1, numbers()))[-1]
        return (last.estimate - 0.5).mean().item() * 255, last.loss.item()

    # Three steps of 1/255 and, after more than half of them, one of 1/2; the loss is that before the last step.
    assert moved(16) == pytest.approx((-3.5, 2 - 4 * 3 / 255), abs=1e-3)
    assert moved(2)[0] == pytest.approx(-2, abs=1e-3)


def test_momentum_carries_a_step_over_one_gradient_against_it():
    signs = iter((1, -1, -1))

    def slope(pixels, mask):
        return next(signs) * pixels.sum((1, 2, 3))

    steps = descend(torch.full((1, 1, 2, 2), 0.5), slope, 4, 3, 16, 1, numbers(), 1.5)
    # The directions are 1, 1.5 - 1 = .5 and .75 - 1 = -.25, the last step being half as long.
    moved = [(step.estimate - 0.5).mean().item() * 255 for step in steps]
    assert moved == pytest.approx([-1, -2, -1.5], abs=1e-3)


def test_masks_are_seeded_and_new_in_each_step():
    def masks(seed):
        seen = []
        list(
            descend(
                torch.rand(1, 1, 4, 4), lambda p, m: (seen.append(m), p.sum((1, 2, 3)))[1], 16, 5, 16, 1, numbers(seed)
            )
        )
        return torch.cat(seen)

    first = masks(0)
    assert (first.sum(1) == 4).all() and len(first.unique(dim=0)) == 5
    assert torch.equal(first, masks(0)) and not torch.equal(first, masks(1))
    assert torch.equal(first[:1], random_mask(16, numbers(0)))


@pytest.mark.parametrize("method", ["mae-pure", "mae-pure-amv"])
def test_descent_lowers_the_error_and_keeps_to_its_clip(tiny, method):
    pixels = rand(2, 1, 16, 16)
    made = list(purifier_steps(pixels, tiny, PurifySettings(method, steps=24, clip=12, step_size=2)))
    estimate = made[-1].estimate
    assert (estimate - pixels).abs().max().item() * 255 == pytest.approx(12, abs=0.01)
    assert all(step.loss.shape == (2,) for step in made)
    before, after = (variation(image, pixels, tiny).reconstruction_loss for image in (pixels, estimate))
    assert (after < before).all()


def test_error_is_in_units_of_the_variance_that_the_mae_expects():
    made = Reconstruction(torch.zeros(1, 4, 4), torch.tensor([[4.0, 1.0, 1.0, 9.0]]).log(), ())
    pixels = torch.tensor([[0.4, 0.4, 0.8, 0.8]] * 2 + [[0.2, 0.2, 0.6, 0.6]] * 2).view(1, 1, 4, 4)
    mask = torch.tensor([[True, False, False, True]])
    # (.4² / 4 + .6² / 9) / 2
    assert hidden_error(pixels, made, mask, 2).item() == pytest.approx(0.04)


def test_attention_distance_as_solved_by_hand():
    layers = torch.zeros(1, 1, 2, 2), torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]])
    one, other = Encoding(None, (layers[0], layers[1])), Encoding(None, (layers[1], layers[1]))
    assert attention_distance(one, other).item() == pytest.approx(5, abs=1e-4)


def test_filters_do_what_their_names_say():
    flat = torch.full((1, 1, 16, 16), 0.5)
    spiked = flat.clone()
    spiked[..., 7, 7] = 1
    made = {name: purified_pixels(spiked, SimpleNamespace(classifier_name=str), PurifySettings(name))
            for name in ("median", "gaussian", "jpeg", "none")}  # fmt: skip
    assert torch.equal(made["median"], flat)
    assert made["gaussian"][..., 7, 7].item() == pytest.approx(0.5 + 0.5 * 0.1592, abs=0.002)  # 1 / 2π
    assert made["gaussian"].mean() == pytest.approx(spiked.mean().item(), abs=1e-5)
    assert 0 < (made["jpeg"] - spiked).abs().max() < 0.2
    assert torch.equal(made["none"], spiked)


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ({"method": "magic"}, "magic"),
        ({"method": "one-step", "t": 0}, "between 1 and 999"),
        ({"method": "one-step", "t": 1000}, "between 1 and 999"),
        ({"method": "repeated", "steps": 0}, "at least 1"),
        ({"method": "diffpure", "t": 10, "steps": 11}, "between 1 and t"),
        ({"method": "diffpure-ddim", "t": 10, "steps": 11}, "between 1 and t"),
        ({"method": "adaptive", "steps": 41}, "between 1 and 40, the lowest t"),
        ({"method": "mae-pure", "clip": 0}, "clip"),
        ({"method": "mae-pure", "step_size": 300}, "step size"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(tiny, wrong, reason):
    with pytest.raises(ValueError, match=reason) as refusal:
        next(purifier_steps(rand(1, 1, 16, 16), tiny, PurifySettings(**wrong)))
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("method", ["diffpure", "diffpure-ddim", "adaptive"])
def test_more_steps_than_lead_down_are_refused_before_anything_runs(method):
    with pytest.raises(ValueError, match="not 101.$"):
        longest_purification(PurifySettings(method, steps=101))


@pytest.mark.parametrize("method", ["repeated", "mae-pure", "maskdit-pure"])
def test_steps_that_lead_nowhere_down_may_be_more_than_the_level(method):
    assert longest_purification(PurifySettings(method, t=10, steps=101)) == 101


@pytest.mark.parametrize(
    "made, length",
    [
        (PurifySettings("diffpure"), 100),
        (PurifySettings("diffpure", t=150), 150),
        (PurifySettings("diffpure", t=150, steps=30), 30),
        (PurifySettings("diffpure-ddim"), 4),
        (PurifySettings("diffpure-ddim", t=2), 2),
        (PurifySettings("median", steps=7), 1),
    ],
)
def test_length_is_known_beforehand(made, length):
    assert longest_purification(made) == length
