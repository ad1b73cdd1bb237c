"""Fine-tune the masked autoencoder, or the masked diffusion transformer, on attacks (RMAE-Pure and RMaskDiT-Pure).

    python -m training.recipes.robust_mae --data br35h.npz tcga-lgg.npz cheng.npz --out build/robust-mae \\
        --init weights/brain-mri/mae.safetensors --attack weights/brain-mri/resnet18.safetensors
    python -m training.recipes.robust_mae --network mask-dit --data br35h.npz tcga-lgg.npz cheng.npz \\
        --out build/robust-mask-dit --init weights/brain-mri/mask_dit.safetensors \\
        --attack weights/brain-mri/resnet18.safetensors

Two stages (MAE-Pure, appendix F.1). First --scans scans with Gaussian noise are attacked on purifier and classifier
together (eq. 5), and kept in the folder `attacked`, a batch a file: whoever is cut off goes on behind the last one.
Then --steps steps from these scans and from what they were before.

Equation 6 would follow the classifier's loss back through the descent, whose signs have no slope. In its place stands
what the descent moves a scan towards: each patch as the network makes it of others. To its error against the scan
before the attack comes the classifier's loss on the whole picture of such patches.

Only the decoder learns. So a bundle holds the robust network as what changed, 2 and 1 MB, and it fits the budget.
"""

import argparse
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.attacks import AttackSettings
from core.bundles import file_sha256
from core.evaluation.datasets import Dataset
from core.models.mae import (
    MaskedAutoencoder,
    Reconstruction,
    complementary_masks,
    patchify,
    unpatchify,
    visible_patches,
)
from core.models.mask_dit import MaskDiT
from core.models.objectives import patch_error, reconstruction_error
from core.purification import mae_pure, mask_dit
from core.storage import save_whole
from training.conditions import pixels_under
from training.files import read_json, write_json
from training.options import part_option, recipe_options
from training.recipes import mae as mae_recipe
from training.recipes import mask_dit as mask_dit_recipe
from training.recipes.augmentation import FAITHFUL
from training.recipes.data import batches, by_collection, load_splits, shuffled
from training.recipes.mae import MEASURED
from training.recipes.mask_dit import noise_error
from training.recipes.run import Loss, Run, parts
from training.recipes.unet import attacked_classifier
from training.recipes.weights import named_as
from training.tasks import BRAIN_MRI, PRIOR_WEIGHTS, TASKS, short_name

MAE, MASK_DIT = "mae", "mask-dit"
DECODER = ("decoder", "mask_token")
NOISE = 4 / 255
ATTACK_STEPS = 3
DESCENT_STEPS, DESCENT_CLIP, DESCENT_STRIDE = 4, 16, 4  # in 1/255: a short one for the attacker to look through
T, TIMES = 25, (1, 60)  # of the attacked purifier, and of what is learned
ANSWER_WEIGHT = 0.2
HIDDEN = {MAE: 4, MASK_DIT: 2}  # one patch of so many is hidden, as the purifier hides them

Network = MaskedAutoencoder | MaskDiT


class Attacked(NamedTuple):
    """Scans before and after the attack, both (N, C, H, W) in [0, 1]; labels (N,), and the answers (N,) that it got."""

    before: Tensor
    after: Tensor
    labels: Tensor
    answers: Tensor


def main() -> None:
    options = parsed()
    began = time.perf_counter()
    train, val = load_splits(options, options.bundle)
    base, classifier = base_network(options), attacked_classifier(options)
    attacked = attacked_scans(train, base, classifier, options)
    if attacked is None:
        return print("Not all scans are attacked yet; run the same command again to go on.")
    options.minutes -= (time.perf_counter() - began) / 60
    run = Run(run_name(options), base_network(options), options)
    only_decoder(run.network)
    run.train(objective(attacked, classifier, options))
    figures = {"before": validated(base, val), "after": validated(run.averaged(), val)}
    misled = (attacked.answers != attacked.labels).float().mean().item()
    attack = {"eps": options.eps, "steps": ATTACK_STEPS, "descent": DESCENT_STEPS, "misled": round(misled, 4)}
    name = f"robust_{options.network.replace('-', '_')}"
    run.finish(name, {"val": figures, "attacked": {"n": len(attacked.labels), **attack}})


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = recipe_options(__doc__, steps=800, batch=32, part=16, lr=1e-4, weight_decay=0.01, decay=0.99)
    part_option(parser)
    parser.add_argument("--network", choices=(MAE, MASK_DIT), default=MAE, help="what --init holds")
    parser.add_argument("--attack", type=Path, required=True, metavar="CLASSIFIER", help="answers behind the purifier")
    parser.add_argument("--scans", type=int, default=1024, help="how many scans are attacked")
    parser.add_argument("--eps", type=float, default=8, help="how far the attack may go, in 1/255")
    parser.add_argument("--bundle", choices=sorted(mae_recipe.CONFIGS), default=BRAIN_MRI["name"], help="the task")
    options = parser.parse_args()
    if options.init is None:
        parser.error("--init has to name the network that is fine-tuned, such as weights/brain-mri/mae.safetensors.")
    return options


def run_name(options: argparse.Namespace) -> str:
    """Return what the run's random numbers hang on."""
    return f"{short_name(options.bundle)}-robust-{options.network}"


def base_network(options: argparse.Namespace) -> Network:
    """Return the network of --init, which learns nothing yet."""
    size, config = TASKS[options.bundle]["input"], mae_recipe.CONFIGS[options.bundle]
    network = (
        MaskedAutoencoder(**size, **config) if options.network == MAE else mask_dit_recipe.new_mask_dit(options.bundle)
    )
    network.load_state_dict(named_as(network, load_file(options.init)))
    return network.to(compute.device()).eval().requires_grad_(False)


def only_decoder(network: nn.Module) -> None:
    """Let nothing but the decoder learn."""
    for name, weight in network.named_parameters():
        weight.requires_grad_(any(part.startswith(DECODER) for part in name.split(".")))


class PurifiedClassifier(nn.Module):
    """A classifier behind a short purification, of `part` images at a time, the identity on the way back (BPDA)."""

    def __init__(self, network: Network, classifier: nn.Module, generator: torch.Generator, part: int):
        super().__init__()
        self.network, self.classifier, self.generator, self.part = network, classifier, generator, part

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] → logits; masks and noise are new in every call."""
        estimate = torch.cat([self.purified(some) for some in pixels.detach().split(self.part)])
        return self.classifier(pixels + (estimate - pixels).detach())

    def purified(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] after the descent of MAE-Pure or MaskDiT-Pure."""
        network, rate = self.network, mae_pure.MASK_RATE
        if isinstance(network, MaskDiT):
            loss, rate = mask_dit.DenoisingLoss(network, T, self.generator), mask_dit.MASK_RATE
        else:
            loss = mae_pure.reconstruction_loss(network)
        how = (network.patch_count, DESCENT_STEPS, DESCENT_CLIP, DESCENT_STRIDE, self.generator)
        for step in mae_pure.descend(pixels, loss, *how, rate=rate):
            estimate = step.estimate
        return estimate


def attacked_scans(
    train: Dataset, base: Network, classifier: nn.Module, options: argparse.Namespace
) -> Attacked | None:
    """Return the scans of the first stage, those that are missing made; None where the time is up before all are."""
    folder, deadline = options.out / "attacked", time.perf_counter() + 60 * options.minutes
    remember(folder, options)
    drawn, files = batches(train, options, PRIOR_WEIGHTS), []
    for place in range(-(-options.scans // options.batch)):
        files.append(folder / f"{place:04}.safetensors")
        if files[-1].is_file():
            continue
        if time.perf_counter() > deadline:
            return None
        made = attacked_batch(train, drawn, place, base, classifier, options)
        save_whole({name: value.cpu().contiguous() for name, value in made._asdict().items()}, files[-1], {})
        print(f"attacked {(place + 1) * options.batch}/{options.scans}", flush=True)
    stored = [load_file(file) for file in files]
    return Attacked(**{name: torch.cat([one[name] for one in stored]) for name in Attacked._fields})


def remember(folder: Path, options: argparse.Namespace) -> None:
    """Write down what the attacked scans hang on; SystemExit where those of the folder were made otherwise."""
    files = {"network": options.init, "classifier": options.attack}
    wanted = {name: file_sha256(file) for name, file in files.items()}
    wanted |= {"data": [path.name for path in options.data]}
    wanted |= {name: getattr(options, name) for name in ("eps", "batch", "seed", "leave_out")}
    folder.mkdir(parents=True, exist_ok=True)
    known = read_json(folder / "made-with.json")
    if known and known != wanted:
        other = ", ".join(name for name in wanted if known.get(name) != wanted[name])
        raise SystemExit(f"The scans of {folder} were attacked with another {other}; take that, or another --out.")
    write_json(folder / "made-with.json", wanted)


def attacked_batch(
    train: Dataset,
    drawn: Any,
    place: int,
    base: Network,
    classifier: nn.Module,
    options: argparse.Namespace,
) -> Attacked:
    """Return one batch of the first stage, whose random numbers hang on recipe, --seed and its place."""
    seed = zlib.crc32(f"{run_name(options)} {options.seed} attacked {place}".encode())
    generator = torch.Generator().manual_seed(seed)
    chosen = drawn(place, generator)
    before = FAITHFUL[options.bundle](train.pixels[chosen].to(compute.device()), generator)
    labels = train.labels[chosen].to(before.device)
    noisy = (before + NOISE * torch.randn(before.shape, generator=generator).to(before.device)).clamp(0, 1)
    system = PurifiedClassifier(base, classifier, generator, options.part)
    with compute.fast_autocast():
        after = pixels_under(AttackSettings("pgd", eps=options.eps, steps=ATTACK_STEPS), system, noisy, labels, seed)
        with torch.no_grad():
            answers = system(after).argmax(1)
    return Attacked(before, after.detach(), labels, answers)


def objective(attacked: Attacked, classifier: nn.Module, options: argparse.Namespace) -> Loss:
    """Return what a step minimises, see above; every second scan of a batch is one that nobody attacked."""
    place, drawn = compute.device(), shuffled(len(attacked.labels), options.batch, options.seed)

    def loss(network: Network, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        chosen = drawn(step, generator)
        images, seen, labels = (values[chosen].to(place) for values in attacked[:3])
        seen[::2] = images[::2]
        masks = complementary_masks(network.patch_count, HIDDEN[options.network], generator).to(place)
        for share, some in parts(len(images), options):
            picture, error = pictured(network, seen[some], images[some], masks, generator)
            with compute.fast_autocast():
                logits = classifier(picture.clamp(0, 1)).float()
            yield share, error + ANSWER_WEIGHT * functional.cross_entropy(logits, labels[some])

    return loss


def pictured(
    network: Network, seen: Tensor, images: Tensor, masks: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return (B, C, H, W) each patch as it is made of others that are `seen`, and () the mean loss against `images`.

    masks (M, N) hide each patch once.
    """
    patches, total = torch.zeros_like(patchify(images, network.patch)), images.new_zeros(())
    for mask in masks:
        made, score = looked_at(network, seen, images, mask, generator)
        error, log_variance = patch_error(made, images, network.patch)
        total = total + score + reconstruction_error(error, log_variance, mask.expand(error.shape))
        patches = torch.where(mask[:, None], made.pixels.float(), patches)
    return unpatchify(patches, network.patch, images.shape[1]), total / len(masks)


def looked_at(
    network: Network, seen: Tensor, images: Tensor, mask: Tensor, generator: torch.Generator
) -> tuple[Reconstruction, Tensor]:
    """Return what the network makes of (B, C, H, W) scans under a mask (N,), and () its error where it tells noise.

    The noise to be told is what leads back to `images`.
    """
    visible = visible_patches(mask[None]).expand(len(seen), -1)
    if isinstance(network, MaskedAutoencoder):
        with compute.fast_autocast():
            return network.decode(network.encode(seen, visible), visible), seen.new_zeros(())
    t = torch.randint(*TIMES, (len(seen),), generator=generator).to(seen.device)
    noisy = network.diffuse(seen, t, torch.randn(seen.shape, generator=generator).to(seen.device))
    with compute.fast_autocast():
        made = network.denoise(noisy, t, visible)
    wanted = network.noise_between(noisy, t, images)
    return made.picture, noise_error(made, wanted, mask.expand(len(seen), -1), network.patch)


def validated(network: Network, val: Dataset) -> dict[str, Any]:
    """Return the errors of unattacked scans, by collection."""
    own = mask_dit_recipe.validate if isinstance(network, MaskDiT) else mae_recipe.validate
    return {name: own(network, part.pixels) for name, part in by_collection(val, MEASURED).items()}


if __name__ == "__main__":
    main()
