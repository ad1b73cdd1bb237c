import pytest
import torch

from core.models.diffusion import Diffusion, cumulative_alphas, denoise_once, fixed_noise
from core.purification.ddim import purify_steps


class Oracle(Diffusion):
    """Knows the noise: predicts exactly what was added to a known image."""

    def __init__(self, clean: torch.Tensor):
        torch.nn.Module.__init__(self)
        self._alphas, self.clean = cumulative_alphas(), clean

    def predict_noise(self, noisy, t, label=None):
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        return (noisy - alpha.sqrt() * (2 * self.clean - 1)) / (1 - alpha).sqrt()


def test_schedule_is_the_linear_one_of_the_paper():
    alphas = cumulative_alphas()
    assert len(alphas) == 1000
    assert alphas[0].item() == pytest.approx(1 - 1e-4)
    assert alphas[-1].item() == pytest.approx(4.04e-5, rel=0.01)


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_true_noise_gives_back_the_clean_image_at_every_step(steps):
    clean = torch.rand(2, 1, 8, 8)
    noise = fixed_noise(clean.shape, 0, clean.device)
    made = list(purify_steps(torch.rand_like(clean), 100, steps, Oracle(clean), noise))
    assert [step.index for step in made] == list(range(steps))
    assert made[0].t == 100
    assert all(torch.allclose(step.estimate, clean, atol=1e-4) for step in made)


def test_one_step_is_denoise_once():
    pixels = torch.rand(1, 1, 8, 8)
    oracle, noise = Oracle(torch.rand(1, 1, 8, 8)), fixed_noise((1, 1, 8, 8), 3, pixels.device)
    (step,) = purify_steps(pixels, 60, 1, oracle, noise)
    assert torch.equal(step.estimate, denoise_once(pixels, torch.tensor([60]), oracle, noise))


def test_noise_does_not_depend_on_the_neighbours():
    device = torch.device("cpu")
    alone, together = fixed_noise((1, 1, 4, 4), 7, device), fixed_noise((5, 1, 4, 4), 7, device)
    assert torch.equal(alone[0], together[3])
    assert not torch.equal(alone, fixed_noise((1, 1, 4, 4), 8, device))


@pytest.mark.parametrize("t_star, steps", [(0, 1), (1000, 1), (10, 0), (10, 11)])
def test_impossible_steps_are_refused_in_a_sentence(t_star, steps):
    with pytest.raises(ValueError, match="must be between"):
        list(
            purify_steps(torch.rand(1, 1, 8, 8), t_star, steps, Oracle(torch.rand(1, 1, 8, 8)), torch.rand(1, 1, 8, 8))
        )
