"""The scores that tell an attacked scan from a clean one, and how far a scan is from what the bundle knows.

mae_error    mean reconstruction error of hidden patches: MedFedPure's detector. Blind by arithmetic: 8/255 adds .001 to
             an error of .02 that content moves by as much.
agreement    the part of that error which the denoiser, too, holds to be foreign, where it is least; in units of what is
             usual for a scan of such content. Of bundles alone that were calibrated with it.
amv          attention-matrix variation (MAE-Pure) of the MAE encoder, against a lightly denoised copy of the scan
             itself, as the clean scan is never known; in units of what is usual for a scan of such content.
instability  Jensen-Shannon divergence between the classifier's answers to the scan and to a denoised copy.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, unfold

from core.bundles import Bundle, content_of, diffusion_of, mae_of
from core.models.diffusion import denoise_once, fixed_noise
from core.models.mae import Encoding, MaskedAutoencoder, complementary_masks, patchify, unpatchify, visible_patches

AMV_T = 5
INSTABILITY_T = 40
LEAST_SHARE = 0.25  # of the patches: an attack adds to all of them, content stands out in some
AROUND = 2  # patches to each side
ADDED_ANYHOW, ADDED_LIMIT = 1 / 255, 3 / 255  # where maps of what was added begin and end, for every scan
AGREEMENT_OFFSET, AGREEMENT_FLOOR = 5e-5, 1e-6


class Evidence(NamedTuple):
    """What the detector sees in a batch.

    scores: name → (B,); reconstruction (B, C, H, W) in [0, 1]; error_map (B, H, W) pixel units; attention_map
    and added_map (B, rows, columns), the latter in pixel units, see `added_map`; scope_distance (B,); logits and
    denoised_logits (B, classes) of the undefended classifier on the pixels and on their denoised copy.
    """

    scores: Mapping[str, Tensor]
    reconstruction: Tensor
    error_map: Tensor
    attention_map: Tensor
    added_map: Tensor
    scope_distance: Tensor
    logits: Tensor
    denoised_logits: Tensor

    def of(self, place: int) -> "Evidence":
        """One image's part, as a batch of one; a copy, so that whoever keeps it doesn't keep the whole batch."""
        scores = {name: values[place : place + 1] for name, values in self.scores.items()}
        return Evidence(scores, *(values[place : place + 1].clone() for values in self[1:]))


class DetectorFeatures(NamedTuple):
    """What the detector sees in a batch without asking a classifier.

    pixels and denoised, their copy from t = 40: (B, C, H, W); scores: name → (B,), without instability; the rest as in
    `Evidence`.
    """

    pixels: Tensor
    denoised: Tensor
    scores: Mapping[str, Tensor]
    reconstruction: Tensor
    error_map: Tensor
    attention_map: Tensor
    added_map: Tensor
    scope_distance: Tensor


class MaskedViews(NamedTuple):
    """A batch through the MAE's encoder under complementary masks.

    attention: a (B, M, heads, 1 + K, 1 + K) tensor a layer; tokens (B, M, 1 + K, D).
    """

    attention: tuple[Tensor, ...]
    tokens: Tensor

    def split(self, first: int) -> tuple["MaskedViews", "MaskedViews"]:
        """The first images of the batch, and the others."""
        start = MaskedViews(tuple(layer[:first] for layer in self.attention), self.tokens[:first])
        return start, MaskedViews(tuple(layer[first:] for layer in self.attention), self.tokens[first:])


def masked_views(pixels: Tensor, masks: Tensor, mae: MaskedAutoencoder) -> MaskedViews:
    """Encode (B, C, H, W) pixels under each of `masks` (M, N), True where hidden."""
    batch, count = len(pixels), len(masks)
    visible = visible_patches(masks).repeat(batch, 1)
    encoding = mae.encode(pixels.repeat_interleave(count, 0), visible)
    split = tuple(layer.view(batch, count, *layer.shape[1:]) for layer in encoding.attention)
    return MaskedViews(split, encoding.tokens.view(batch, count, *encoding.tokens.shape[1:]))


def predict_hidden(views: MaskedViews, masks: Tensor, mae: MaskedAutoencoder) -> Tensor:
    """(B, N, C·p·p): each patch as the MAE predicts it while it is hidden."""
    batch, count = views.tokens.shape[:2]
    encoding = Encoding(views.tokens.flatten(0, 1), ())
    whole = mae.decode(encoding, visible_patches(masks).repeat(batch, 1)).pixels.float()
    return (whole.view(batch, count, *whole.shape[1:]) * masks.view(1, count, -1, 1)).sum(1)


def attention_variation(before: MaskedViews, after: MaskedViews, masks: Tensor) -> tuple[Tensor, Tensor]:
    """AMV: Frobenius norm of the difference of the attention matrices, summed over layers, mean over masks and heads.

    MAE-Pure, section 4, with the clean scan replaced by the caller's copy.

    Returns
    -------
    tuple
        (B,) the score, and (B, N) the same split by the patch whose attention moved (each patch's mean over the
        masks that show it).
    """
    score = by_patch = torch.zeros((), device=masks.device)
    for first, second in zip(before.attention, after.attention):
        moved = torch.linalg.vector_norm(first.float() - second, dim=-1)  # (B, M, heads, 1 + K)
        score = score + torch.linalg.vector_norm(moved, dim=-1).mean((1, 2))
        by_patch = by_patch + moved[..., 1:].mean(2)  # (B, M, K)
    shown = visible_patches(masks).expand(len(by_patch), -1, -1)
    sums = torch.zeros(len(by_patch), masks.shape[1], device=by_patch.device)
    sums = sums.scatter_add(1, shown.flatten(1), by_patch.flatten(1))
    return score, sums / (~masks).sum(0)


def shared_error(pixels: Tensor, prediction: Tensor, light: Tensor, size: int) -> Tensor:
    """(B, N) per patch the mean of (x − p)(x − l), pixel units².

    x the scan, p the MAE's prediction (B, N, C·p·p) while the patch is hidden, l the one-step denoised copy. What
    neither of them expects of such a scan is large in both errors and of one sign, and so is the product; what only one
    of them misses is not.
    """
    scan, cleaned = patchify(pixels, size), patchify(light, size)
    return ((scan - prediction) * (scan - cleaned)).mean(2)


def agreement(by_patch: Tensor) -> Tensor:
    """(B,) what a quarter of the patches' shared errors (B, N) lie below, with an offset and at least a small floor.

    It is negative for most clean scans, hence the offset: the logarithm is taken of it later.
    """
    return (by_patch.quantile(LEAST_SHARE, dim=1) + AGREEMENT_OFFSET).clamp_min(AGREEMENT_FLOOR)


def added_map(by_patch: Tensor) -> Tensor:
    """(B, rows, columns) how much was added around each patch, pixel units, from the products (B, N) of `agreement`.

    The score with the patches about a place alone, five by five: a quarter of them lie below. Its root is as long as
    what was added; less `ADDED_ANYHOW`, as much of a clean scan seems foreign to both, too.
    """
    batch, side = len(by_patch), int(by_patch.shape[1] ** 0.5)
    framed = pad(by_patch.view(batch, 1, side, side), (AROUND,) * 4, mode="replicate")
    around = unfold(framed, 2 * AROUND + 1).view(batch, -1, side, side)
    return (around.quantile(LEAST_SHARE, dim=1).clamp_min(0).sqrt() - ADDED_ANYHOW).clamp_min(0)


def instability(first: Tensor, second: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats, (B,), of the class distributions that two (B, classes) logits stand for."""
    first, second = first.double().softmax(1), second.double().softmax(1)
    middle = (first + second) / 2
    return ((_divergence(first, middle) + _divergence(second, middle)) / 2).float()


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    return torch.xlogy(first, first / second.clamp_min(1e-300)).sum(1)


def content_features(views: MaskedViews) -> Tensor:
    """(B, 2D) mean and spread of the tokens over masks and visible patches: what kind of picture this is."""
    tokens = views.tokens[:, :, 1:].float()
    return torch.cat([tokens.mean((1, 2)), tokens.std((1, 2))], dim=1)


def detection_masks(bundle: Bundle, device: torch.device) -> Tensor:
    """The masks of the detector. They are part of the calibration: another draw would ask for other thresholds.

    BundleError, one sentence, where the bundle has no MAE.
    """
    count = bundle.mask_count
    return complementary_masks(mae_of(bundle).patch_count, count, torch.Generator().manual_seed(0)).to(device)


def gather_evidence(pixels: Tensor, bundle: Bundle, classifier: nn.Module, seed: int | Sequence[int]) -> Evidence:
    """Everything that the detector measures on (B, C, H, W) pixels in [0, 1].

    `seed` draws the noise: one for all images, or (B,) each image's own.
    """
    return evidence_for(classifier, gather_features(pixels, bundle, seed))


def gather_features(pixels: Tensor, bundle: Bundle, seed: int | Sequence[int]) -> DetectorFeatures:
    """What the detector measures without asking a classifier; parameters as for `gather_evidence`.

    BundleError, one sentence, where the bundle has no MAE or no U-Net.
    """
    mae, diffusion, content = mae_of(bundle), diffusion_of(bundle), content_of(bundle)
    batch, size, device = len(pixels), mae.patch, pixels.device
    masks = detection_masks(bundle, device)
    times = torch.tensor([AMV_T, INSTABILITY_T], device=device).repeat_interleave(batch)
    noise = fixed_noise(pixels.shape, seed, device).repeat(2, 1, 1, 1)
    light, strong = denoise_once(pixels.repeat(2, 1, 1, 1), times, diffusion, noise).split(batch)
    before, after = masked_views(torch.cat([pixels, light]), masks, mae).split(batch)
    prediction = predict_hidden(before, masks, mae)
    variation, by_patch = attention_variation(before, after, masks)
    kind = content_features(after)
    side = int(mae.patch_count**0.5)
    reconstruction = unpatchify(prediction, size, bundle.channels)
    shared = shared_error(pixels, prediction, light, size)
    scores = {
        "mae_error": (prediction - patchify(pixels, size)).square().mean((1, 2)),
        "amv": variation / content.usual_variation(kind),
    }
    if (usual := content.usual_agreement(kind)) is not None:
        scores["agreement"] = agreement(shared) / usual
    return DetectorFeatures(
        pixels=pixels,
        denoised=strong,
        scores=scores,
        reconstruction=reconstruction.clamp(0, 1),
        error_map=(reconstruction - pixels).abs().mean(1),
        attention_map=by_patch.view(batch, side, side),
        added_map=added_map(shared),
        scope_distance=content.distance(kind),
    )


def evidence_for(classifier: nn.Module, features: DetectorFeatures) -> Evidence:
    """The evidence where this classifier is the one that may have been attacked."""
    logits, denoised = classifier(torch.cat([features.pixels, features.denoised])).split(len(features.pixels))
    return Evidence(
        scores={**features.scores, "instability": instability(logits, denoised)},
        reconstruction=features.reconstruction,
        error_map=features.error_map,
        attention_map=features.attention_map,
        added_map=features.added_map,
        scope_distance=features.scope_distance,
        logits=logits,
        denoised_logits=denoised,
    )
