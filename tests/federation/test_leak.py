import numpy as np
import pytest
import torch

from core.federation.leaks.leak import (
    ENCRYPTED,
    GRADIENT,
    HALF,
    NOISY,
    TOKEN,
    WHAT,
    fixed_guess,
    guess_quality,
    leak_steps,
)
from tests.cells import SIDE, cell


@pytest.fixture(scope="module")
def pixels():
    return cell(height=SIDE, width=SIDE).transpose(2, 0, 1).astype(np.float32)


def last(pixels, models, what, **settings):
    *_, step = leak_steps(pixels, models, "vit", what, **settings)
    return step


def test_a_gradient_shows_the_scan_and_less_of_it_the_less_precise_it_is(pixels, cells):
    exact, half, noisy = (last(pixels, cells, what) for what in (GRADIENT, HALF, NOISY))
    assert exact.quality.psnr > 60 and np.abs(exact.estimate - pixels).max() < 0.02
    assert exact.quality.psnr > half.quality.psnr > noisy.quality.psnr
    weights = sum(weight.nbytes for weight in cells.classifiers["vit"].parameters())
    assert exact.sent == 2 * half.sent and 0.5 * weights < exact.sent <= weights


def test_a_ciphertext_shows_nothing(pixels, cells):
    step = last(pixels, cells, ENCRYPTED, iterations=20)
    assert step.quality.psnr < 20 and step.sent > 10_000 and step.index == 19


def test_a_search_begins_at_the_seed_and_nowhere_else(pixels, cells):
    first, again, other = (last(pixels, cells, TOKEN, iterations=3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.estimate, again.estimate) and not np.array_equal(first.estimate, other.estimate)
    assert first.sent == 768 * 4


@pytest.mark.slow
def test_the_fixed_guess_is_the_mean_of_the_others(bundle, sample_files, cells, pixels):
    from core import examine, load_scan

    known = examine(load_scan(str(sample_files[0])), bundle).pixels
    guess = fixed_guess(known, bundle)
    assert guess.shape == known.shape and np.abs(guess - known).mean() > 0.01
    assert 10 < guess_quality(known, bundle).psnr < 30
    assert fixed_guess(pixels, cells) is None and guess_quality(pixels, cells) is None


def test_what_can_not_be_sent_is_a_sentence(pixels, cells):
    with pytest.raises(ValueError, match=f"Nothing called 'keys' is sent; choose one of: {', '.join(WHAT)}"):
        next(leak_steps(pixels, cells, "vit", "keys"))
    with pytest.raises(ValueError, match="resnet18 has no class token"):
        next(leak_steps(pixels, cells, "resnet18", TOKEN))


def test_no_global_randomness_is_touched(pixels, cells):
    state = torch.get_rng_state()
    last(pixels, cells, NOISY)
    assert torch.equal(torch.get_rng_state(), state)
