"""Our DDIM steps against those of diffusers."""

import pytest
import torch
from diffusers import DDIMScheduler

from core.models.diffusion import BETA_FIRST, BETA_LAST, TRAIN_STEPS, Diffusion, cumulative_alphas
from core.purification.ddim import purify_steps


class Wavy(Diffusion):
    """Predicts a noise that depends on the pixels and on t, and is often so wrong that the estimate is clamped."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self._alphas = cumulative_alphas()

    def predict_noise(self, noisy, t, label=None):
        return (3 * noisy + t.view(-1, 1, 1, 1) / 40).sin()


@pytest.mark.parametrize("t_star, steps", [(40, 1), (40, 5), (60, 3), (100, 4), (400, 8), (500, 5)])
def test_ddim_steps_are_those_of_diffusers(t_star, steps):
    """η = 0, the estimate clipped to the range of pixels; diffusers counts in [−1, 1], as our noisy images do."""
    generator, model = torch.Generator().manual_seed(0), Wavy()
    pixels = torch.rand(2, 1, 8, 8, generator=generator)
    noise = torch.randn(pixels.shape, generator=generator)
    scheduler = DDIMScheduler(TRAIN_STEPS, BETA_FIRST, BETA_LAST, "linear", clip_sample=True)
    scheduler.set_timesteps(TRAIN_STEPS * steps // t_star)  # sets the stride, which is t* / steps
    sample, clipped = scheduler.add_noise(2 * pixels - 1, noise, torch.tensor([t_star])), 0
    for step in purify_steps(pixels, t_star, steps, model, noise):
        assert step.t == t_star - step.index * t_star // steps
        assert torch.allclose(step.noisy, sample, atol=1e-5)
        predicted = model.predict_noise(sample, torch.full((2,), step.t))
        made = scheduler.step(predicted, step.t, sample, eta=0.0)
        assert torch.allclose(step.estimate, (made.pred_original_sample + 1) / 2, atol=1e-5)
        sample, clipped = made.prev_sample, clipped + (made.pred_original_sample.abs() == 1).sum()
    assert clipped > 0
