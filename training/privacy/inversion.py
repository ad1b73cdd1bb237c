"""How much of a scan can be recovered from what a site sends under each strategy of a federation.

    python -m training.privacy.inversion

The easiest case for who looks on: one step on one scan, the bundle's own weights, which the server knows. Of a ViT the
scan is solved for in closed form, of a ResNet it is searched for (`core.federation.leaks.inversion`), from the mean of
the other sample scans on and with the label told. Beside each figure stands what somebody guesses who was sent nothing,
that mean itself. Writes assets/federation/inversion.json, which docs/federation.md shows once `python -m
training.publish.docs` has run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.bundles import WEIGHTS, Bundle, classifier_sha256, load_bundle
from core.faults.samples import Samples, labelled_samples
from core.faults.sites import private_copy
from core.federation.averaging import cross_entropy
from core.federation.leaks.gradients import Gradients, shared_gradient
from core.federation.leaks.inversion import Quality, SearchSettings, invert_steps, quality
from core.federation.leaks.leak import fixed_guess
from core.federation.plan import HEAD
from core.federation.privacy import Privacy, normal_noise
from core.federation.privacy.training import clipped_sum
from core.federation.strategies import find_strategy, kept_names
from training.files import read_json, write_json
from training.options import command_options
from training.publish.markdown import command, decimals, section
from training.recipes.cards import command_line
from training.tasks import BRAIN_MRI

RECORD = WEIGHTS.parent / "assets" / "federation" / "inversion.json"
GUESS = "sent nothing"
DIGITS = {"psnr": 1, "ssim": 3}


class Case(NamedTuple):
    """What a line is about: a strategy, and whether the site trains privately, at what its policy takes by itself."""

    strategy: str
    private: bool = False


CASES = (
    Case("fedavg"),
    Case("fedbn"),
    Case("medfedpure"),
    Case("fedavg", private=True),
    Case("medfedpure", private=True),
)


class Look(NamedTuple):
    """A network, its last layer's name, and how many of the bundle's samples of each class are tried on it."""

    classifier: str
    head: str
    each: int


LOOKS = (Look("vit", "linear", 6), Look("resnet18", HEAD, 1))


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--iterations", type=int, default=40, help="of the search (default 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RECORD, metavar="FILE")
    options = parser.parse_args()
    bundle = load_bundle(BRAIN_MRI["name"])
    samples = labelled_samples(bundle)
    networks = {look.classifier: looked_at(bundle, samples, look, options) for look in LOOKS}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"command": command_line(), "bundle": bundle.name, "seed": options.seed}
    record |= {"iterations": options.iterations, "privacy": asdict(Privacy())}
    write_json(options.out, record | {"networks": networks})


def inversion_lines(bundle: Bundle) -> list[str]:
    """Return the table for docs/federation.md, of the networks that were measured with the weights of today."""
    record = read_json(RECORD)
    today = {
        name: own
        for name, own in record.get("networks", {}).items()
        if own["weights_sha256"] == classifier_sha256(bundle, name)
    }
    if not today:
        return ["Not measured with the weights of today; `python -m training.privacy.inversion` does it.", ""]
    counts = ", ".join(f"{name} {own['scans']}" for name, own in today.items())
    about = (
        f"One step on one scan, mean over sample scans ({counts}); PSNR in dB and SSIM. The search on a ResNet looks "
        f"{record['iterations']} times. Made by {command(record['command'])}, seed {record['seed']}."
    )
    head = ("what the site sends", *(f"{name}, {what}" for name in today for what in map(str.upper, DIGITS)))
    rows = []
    for place, own in enumerate(next(iter(today.values()))["rows"]):
        figures = [each["rows"][place] for each in today.values()]
        rows.append([words(own), *(decimals(one[key], digits) for one in figures for key, digits in DIGITS.items())])
    nothing = rows[0][1:]
    return section(about, head, [*rows, ["fedavg-ckks: ciphertexts, nothing to invert", *nothing]])


def words(row: Mapping[str, Any]) -> str:
    """Return what a line is about."""
    if row["strategy"] is None:
        return "nothing: the mean of other scans"
    return f"{row['strategy']}{', privately' if row['private'] else ''}"


def looked_at(bundle: Bundle, samples: Samples, look: Look, options: Any) -> dict[str, Any]:
    """Return what comes of one network's updates, over scans: the mean PSNR and SSIM of each case."""
    network = bundle.classifiers[look.classifier]
    places = list(chosen(samples.labels, look.each))
    generator, random = torch.Generator().manual_seed(options.seed), np.random.default_rng(options.seed)
    settings = SearchSettings(iterations=options.iterations, every=options.iterations)
    found: dict[Case | str, list[Quality]] = {GUESS: [], **{case: [] for case in CASES}}
    for place in places:
        pixels, label = samples.pixels[place : place + 1], samples.labels[place : place + 1]
        guess = torch.from_numpy(fixed_guess(pixels[0].cpu().numpy(), bundle))[None]
        found[GUESS].append(quality(pixels, guess))
        for case in CASES:
            update = sent(network, pixels, label, case, look.head, random)
            *_, last = invert_steps(network, update, pixels.shape[1:], generator, settings, guess, int(label))
            found[case].append(quality(pixels, last.estimate))
    rows = [line(case, own) for case, own in found.items()]
    return {"weights_sha256": classifier_sha256(bundle, look.classifier), "scans": len(places), "rows": rows}


def chosen(labels: Tensor, each: int) -> Iterator[int]:
    """Yield the places of the first scans of each class."""
    for label in labels.unique():
        yield from (labels == label).nonzero().flatten()[:each].tolist()


def sent(
    network: nn.Module, pixels: Tensor, label: Tensor, case: Case, head: str, random: np.random.Generator
) -> Gradients:
    """Return the gradient that a site's update of one step on one scan gives away.

    Parameters
    ----------
    pixels, label
        (1, C, H, W) and (1,).
    head
        Name of the network's last layer.
    """
    kept = kept_names(find_strategy(case.strategy), network, head)
    if not case.private:
        gradients = shared_gradient(network, pixels, label)
    else:
        privacy, own = Privacy(), private_copy(network).requires_grad_()
        clipped = clipped_sum(own, pixels, label, privacy.clip, cross_entropy)
        sigma = privacy.noise * privacy.clip
        gradients = {name: value + normal_noise(value, sigma, random) for name, value in clipped.items()}
    return {name: value for name, value in gradients.items() if name not in kept}


def line(case: Case | str, found: list[Quality]) -> dict[str, Any]:
    """Return a row of the record."""
    about = {"strategy": None, "private": False} if isinstance(case, str) else case._asdict()
    return about | {name: float(np.mean([getattr(own, name) for own in found])) for name in DIGITS}


if __name__ == "__main__":
    main()
