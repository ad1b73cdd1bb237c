"""What leaves a hospital, and what a curious server can make of it: one scan attacked in several ways."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core import compute
from core.bundles import Bundle
from core.encryption import Client, default_preset, head_of
from core.faults.samples import labelled_samples
from core.federation.leaks.gradients import Gradients, rounded, shared_gradient, with_noise
from core.federation.leaks.inversion import Quality, SearchSettings, invert_steps, quality
from core.federation.leaks.token_inversion import token_from_bytes, token_steps
from core.models.vit import TokenViT

GRADIENT, HALF, NOISY, TOKEN, ENCRYPTED = "gradient", "float16 gradient", "noisy gradient", "token", "encrypted token"
WHAT = (GRADIENT, HALF, NOISY, TOKEN, ENCRYPTED)
NOISE = 1e-5  # on every number, of the norm of all of them together
SAME = 1e-3  # mean difference under which a sample scan is the very scan that is attacked


@dataclass(frozen=True)
class Leak:
    """One step of an inversion, for those who draw it.

    index 0, 1, …; estimate (C, H, W) float32 in [0, 1]; loss as `InversionStep`; seconds since the inversion began;
    quality: how much of the scan the estimate shows; sent: bytes that left the hospital.
    """

    index: int
    estimate: np.ndarray
    loss: float
    seconds: float
    quality: Quality
    sent: int


def leak_steps(
    pixels: np.ndarray, bundle: Bundle, classifier: str, what: str = GRADIENT, seed: int = 0, iterations: int = 100
) -> Iterator[Leak]:
    """Send something that a scan was used for, and recover the scan from it.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1].
    classifier : str
        Whose gradient or token is sent; the scan's label is the classifier's own answer.
    what : str
        One of `WHAT`: the gradient, the same in float16, the same with noise of `NOISE` times its norm on every number,
        the class token, or the class token as CKKS encrypts it. The last two take a classifier with a class token.
    seed : int
        Of the noise, and of where a search begins that has no `fixed_guess`.
    iterations : int
        Of a search; a closed form takes no notice of it.

    Raises
    ------
    ValueError
        No such thing to send, or the classifier has no token; one sentence.
    """
    if what not in WHAT:
        raise ValueError(f"Nothing called {what!r} is sent; choose one of: {', '.join(WHAT)}.")
    network, wants_token = bundle.classifiers[bundle.classifier_name(classifier)], what in (TOKEN, ENCRYPTED)
    if wants_token and not isinstance(network, TokenViT):
        raise ValueError(f"The classifier {classifier} has no class token that it could send; choose a ViT.")
    original, generator = torch.from_numpy(pixels)[None].to(compute.device()), torch.Generator().manual_seed(seed)
    guess, settings = fixed_guess(pixels, bundle), SearchSettings(iterations=iterations)
    start = None if guess is None else torch.from_numpy(guess)[None]
    if wants_token and isinstance(network, TokenViT):
        token, sent = _sent_token(network, original, what)
        steps = token_steps(network, token, pixels.shape, generator, settings, start)
    else:
        gradients, sent = _sent_gradients(network, original, what, generator)
        steps = invert_steps(network, gradients, pixels.shape, generator, settings, start)
    for step in steps:
        found = quality(original, step.estimate)
        yield Leak(step.index, step.estimate[0].cpu().numpy(), step.loss, step.seconds, found, sent)


def fixed_guess(pixels: np.ndarray, bundle: Bundle) -> np.ndarray | None:
    """What somebody guesses who was sent nothing: the mean of the bundle's other sample scans.

    Of those whose class is known; (C, H, W) in [0, 1]. None where the bundle brings no such samples.
    """
    try:
        samples = labelled_samples(bundle).pixels.cpu().numpy()
    except ValueError:
        return None
    others = samples[np.abs(samples - pixels).mean((1, 2, 3)) > SAME]
    return others.mean(0) if len(others) else None


def guess_quality(pixels: np.ndarray, bundle: Bundle) -> Quality | None:
    """How much of a (C, H, W) scan the `fixed_guess` shows; None where there is none."""
    guess = fixed_guess(pixels, bundle)
    return None if guess is None else quality(torch.from_numpy(pixels)[None], torch.from_numpy(guess)[None])


def _sent_gradients(
    network: nn.Module, original: Tensor, what: str, generator: torch.Generator
) -> tuple[Gradients, int]:
    """The gradients as they leave the hospital, and their bytes."""
    with torch.no_grad():
        label = network(original).argmax(1)
    gradients = shared_gradient(network, original, label)
    sent = sum(value.nbytes for value in gradients.values())
    if what == HALF:
        return rounded(gradients), sent // 2
    return with_noise(gradients, NOISE, generator) if what == NOISY else gradients, sent


@torch.no_grad()
def _sent_token(network: TokenViT, original: Tensor, what: str) -> tuple[Tensor, int]:
    """The class token, or what its ciphertext can be taken for, and the bytes that leave the hospital."""
    token = network.token(original)[0]
    if what == TOKEN:
        return token, token.nbytes
    shape = head_of(network, "linear").shape
    with Client(default_preset(shape), shape) as client:
        seen = client.encrypt(token.double().cpu().numpy())
    return token_from_bytes(seen), len(seen)
