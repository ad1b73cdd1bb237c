"""Ask about every validation scan under encryption, and measure what it changes and costs.

    python -m training.measure.encrypted --data br35h.npz
    python -m training.measure.encrypted --data lc25000.zip --bundle lung-histology

Every preset that carries a head is tried with it, on a real server process. The paper's four configurations are learned
twice: by a linear head on the tokens of the training scans, and by the whole network, from the weights that it has. All
goes into encryption.json of the bundle's folder; what is there already, with the weights and scans of today, isn't
measured again.
"""

import argparse
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from core.bundles import Bundle, classifier_sha256, load_bundle
from core.compute import device
from core.encryption import KINDS, PRESETS, Client, Head, Preset, Server, default_preset, encrypted_mean, head_of
from core.encryption.client import chunk_size
from core.encryption.timing import measure_timings
from core.evaluation.datasets import Dataset
from core.evaluation.encrypted import FILE, Summary, ask_steps, summary
from core.federation.communication import communication
from core.federation.configurations import HEAD, NETWORK, Examples, TrainingSettings, compare_steps, zero_head
from core.federation.hospitals import make_hospitals
from core.federation.tokens import token_classifiers
from core.models.vit import TOKEN, class_tokens
from training.files import read_json, write_json
from training.options import bundle_command, bundle_options
from training.recipes.data import measured_collections, validation_scans

PART = 1_000_000  # numbers of an update in one request, as a body has its limit


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--limit", type=int, help="so many scans of each split, drawn with the seed; all by default")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    record_encryption(measured_collections(bundle, options), bundle, options)


def record_encryption(data: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure every classifier of the bundle that has a class token, and write it down part by part."""
    path, server = bundle.folder / FILE, Server()
    try:
        for name in token_classifiers(bundle):
            for entry in measured(data, bundle, name, server, read_json(path).get(name, {}), options):
                write_json(path, read_json(path) | {name: entry})
    finally:
        server.stop()


def measured(
    data: Dataset,
    bundle: Bundle,
    classifier: str,
    server: Server,
    known: Mapping[str, Any],
    options: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """Yield the entry of one classifier, read by `core.evaluation.encrypted`, with each new part."""
    network = bundle.classifiers[classifier]
    limit = getattr(options, "limit", None)
    train, val = (
        scans.limited(limit, options.seed) for scans in (data.split("train"), validation_scans(data, options))
    )
    entry = {
        "made_with": classifier_sha256(bundle, classifier),
        "command": bundle_command("training.measure.encrypted", bundle.name, options),
        "data": data.sha256,
        "n": len(val),
        "seed": options.seed,
    }
    tokens = cache(lambda: (on_tokens(train, network), on_tokens(val, network)))  # where a part needs them, once
    parts: dict[str, Callable[[], Any]] = {
        "heads": lambda: [asked(tokens()[1], head, preset, server) for head, preset in tried(network)],
        "configurations": lambda: configurations(
            zero_head(TOKEN, len(bundle.classes)), *tokens(), server, options.seed, HEAD
        ),
        "timing": lambda: list(measure_timings()),
        "communication": lambda: crossing(network, tokens()[0]),
        "network_configurations": lambda: configurations(
            answering(network), on_pixels(train), on_pixels(val), server, options.seed, NETWORK
        ),
    }
    same = all(known.get(key) == value for key, value in entry.items())
    for name, measure in parts.items():
        if same and name in known:
            entry[name] = known[name]
            continue
        entry[name] = measure()
        yield entry


def tried(network: nn.Module) -> list[tuple[Head, Preset]]:
    """Return both heads, each with its own preset and with the variants of that which are made for its kind."""
    found = []
    for head in (head_of(network, kind) for kind in KINDS):
        own = default_preset(head.shape)
        variants = [preset for name, preset in PRESETS.items() if name.startswith(f"{head.kind}-")]
        found += [(head, preset) for preset in (own, *variants)]
    return found


def on_tokens(data: Dataset, network: nn.Module) -> Examples:
    """Return the class tokens of a split."""
    tokens = torch.from_numpy(class_tokens(network, data.pixels.to(device()))).float()
    return Examples(tokens, data.labels.numpy(), data.groups)


def on_pixels(data: Dataset) -> Examples:
    """Return the scans of a split."""
    return Examples(data.pixels, data.labels.numpy(), data.groups)


def answering(network: nn.Module) -> nn.Module:
    """Return a copy whose parts that answer are to be trained; the polynomial head lies beside them."""
    network = copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).requires_grad_(True)
    network.head("polynomial").requires_grad_(False)
    return network


def asked(val: Examples, head: Head, preset: Preset, server: Server) -> dict[str, Any]:
    """Return what came of every validation scan under one preset."""
    steps = ask_steps(val.inputs.double().numpy(), head, preset, server)
    about = f"{head.kind}, {preset.name}"
    found = list(tqdm(steps, desc=about, total=len(val.labels), unit="scan", disable=None))
    return {"head": head.kind, "preset": preset.name} | as_json(summary(found, val.labels, val.groups))


def as_json(found: Summary) -> dict[str, Any]:
    """Return a summary as encryption.json keeps it."""
    return found._asdict() | {
        name: {key: list(value) for key, value in getattr(found, name).items()} for name in ("plain", "encrypted")
    }


def configurations(
    start: nn.Module, train: Examples, val: Examples, server: Server, seed: int, settings: TrainingSettings
) -> dict[str, Any]:
    """Return the paper's four, with the sums and the answers really computed on ciphertexts."""

    def aggregate(vectors: Sequence[np.ndarray]) -> np.ndarray:
        parts = range(0, len(vectors[0]), PART)
        return np.concatenate(
            [encrypted_mean([vector[place : place + PART] for vector in vectors], server).mean for place in parts]
        )

    def predict(network: nn.Module, inputs: Tensor) -> np.ndarray:
        token = inputs.ndim == 2
        head = cast(nn.Linear, network if token else network.head("linear"))
        tokens = inputs.double().numpy() if token else class_tokens(network, inputs)
        weights = Head("linear", (head.weight.double().numpy(), head.bias.double().numpy()))
        steps = ask_steps(tokens, weights, default_preset(weights.shape), server)
        return np.stack([found.encrypted_logits for found in steps])

    found = {}
    hospitals = make_hospitals(train.labels.tolist(), train.groups, seed=seed)
    for result in compare_steps(start, train, val, hospitals, aggregate, predict, seed, settings):
        found[result.configuration] = {key: list(value) for key, value in result.measures.items()}
        print(result.configuration, found[result.configuration]["accuracy"], flush=True)
    return found


def crossing(network: nn.Module, train: Examples) -> dict[str, float]:
    """Return the KB that a hospital sends in a round for one scan: all gradients, plain and encrypted, or the token.

    Where the encoder is fixed, only the gradients of the linear head need be sent.
    """
    whole, head = (sum(weight.numel() for weight in part.parameters()) for part in (network, network.linear))
    adding, shape = PRESETS["sum"], head_of(network, "linear").shape
    with Client(adding) as client:
        chunk, slots = len(client.encrypt_vector(np.ones(1))[0]), chunk_size(adding)
    with Client(default_preset(shape), shape) as client:
        token = len(client.encrypt(train.inputs[0].double().numpy()))
    found = asdict(communication(whole, slots, chunk, token))
    found["head_gradients_encrypted"] = communication(head, slots, chunk, token).gradients_encrypted
    return {name: size / 1000 for name, size in found.items()}


if __name__ == "__main__":
    main()
