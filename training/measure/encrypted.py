"""Ask about every validation scan under encryption, and measure what it changes and costs.

    python -m training.measure.encrypted --data br35h.npz
    python -m training.measure.encrypted --data lc25000.zip --bundle lung-histology

Every preset that carries a head is tried with it, on a real server process. The paper's four configurations are learned
on the tokens of the training scans. All goes into encryption.json of the bundle's folder.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from core.bundles import Bundle, load_bundle
from core.compute import device
from core.encryption import KINDS, PRESETS, Client, Head, Preset, Server, default_preset, encrypted_mean, head_of
from core.encryption.client import chunk_size
from core.encryption.timing import measure_timings
from core.evaluation.datasets import Dataset
from core.evaluation.encrypted import FILE, Summary, ask_steps, class_tokens, summary, token_classifiers
from core.faults.record import weights_today
from core.federation.communication import communication
from core.federation.configurations import Result, TokenSet, compare_steps
from core.federation.hospitals import make_hospitals
from training.files import read_json, write_json
from training.options import bundle_command, bundle_options
from training.recipes.data import measured_collections, validation_scans


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--limit", type=int, help="so many scans of each split, drawn with the seed; all by default")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    record_encryption(measured_collections(bundle, options), bundle, options)


def record_encryption(data: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure every classifier of the bundle that has a class token, and write it down."""
    path, server = bundle.folder / FILE, Server()
    known = read_json(path)
    try:
        for name in token_classifiers(bundle):
            known[name] = measured(data, bundle, name, server, options)
    finally:
        server.stop()
    write_json(path, known)


def measured(
    data: Dataset, bundle: Bundle, classifier: str, server: Server, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the entry of one classifier, as `core.evaluation.encrypted.read_encryption` reads it."""
    network = bundle.classifiers[classifier]
    limit = getattr(options, "limit", None)
    train, val = (
        token_set(scans.limited(limit, options.seed), network)
        for scans in (data.split("train"), validation_scans(data, options))
    )
    return {
        "made_with": weights_today(bundle, classifier),
        "command": bundle_command("training.measure.encrypted", bundle.name, options),
        "data": data.sha256,
        "n": len(val.labels),
        "seed": options.seed,
        "heads": [asked(val, head, preset, server) for head, preset in tried(network)],
        "configurations": configurations(train, val, server, options.seed),
        "timing": list(measure_timings()),
        "communication": crossing(network, train),
    }


def tried(network: nn.Module) -> list[tuple[Head, Preset]]:
    """Return both heads, each with its own preset and with the variants of that which are made for its kind."""
    found = []
    for head in (head_of(network, kind) for kind in KINDS):
        own = default_preset(head.shape)
        variants = [preset for name, preset in PRESETS.items() if name.startswith(f"{head.kind}-")]
        found += [(head, preset) for preset in (own, *variants)]
    return found


def token_set(data: Dataset, network: nn.Module) -> TokenSet:
    """Return the class tokens of a split."""
    return TokenSet(class_tokens(network, data.pixels.to(device())), data.labels.numpy(), data.groups)


def asked(val: TokenSet, head: Head, preset: Preset, server: Server) -> dict[str, Any]:
    """Return what came of every validation scan under one preset."""
    steps = ask_steps(val.tokens, head, preset, server)
    about = f"{head.kind}, {preset.name}"
    found = list(tqdm(steps, desc=about, total=len(val.labels), unit="scan", disable=None))
    return {"head": head.kind, "preset": preset.name} | as_json(summary(found, val.labels, val.groups))


def as_json(found: Summary) -> dict[str, Any]:
    """Return a summary as encryption.json keeps it."""
    return found._asdict() | {
        name: {key: list(value) for key, value in getattr(found, name).items()} for name in ("plain", "encrypted")
    }


def configurations(train: TokenSet, val: TokenSet, server: Server, seed: int) -> dict[str, Any]:
    """Return the paper's four, with the sums and the answers really computed on ciphertexts."""

    def aggregate(vectors: Sequence[np.ndarray]) -> np.ndarray:
        return encrypted_mean(vectors, server).mean

    def predict(head: nn.Linear, tokens: np.ndarray) -> np.ndarray:
        weights = Head("linear", (head.weight.double().numpy(), head.bias.double().numpy()))
        steps = ask_steps(tokens, weights, default_preset(weights.shape), server)
        return np.stack([found.encrypted_logits for found in steps])

    hospitals = make_hospitals(train.labels.tolist(), train.groups, seed=seed)
    found: list[Result] = list(compare_steps(train, val, hospitals, aggregate, predict, seed))
    return {result.configuration: {key: list(value) for key, value in result.measures.items()} for result in found}


def crossing(network: nn.Module, train: TokenSet) -> dict[str, float]:
    """Return the KB that a hospital sends in a round for one scan: all gradients, plain and encrypted, or the token.

    Where the encoder is fixed, only the gradients of the linear head need be sent.
    """
    whole, head = (sum(weight.numel() for weight in part.parameters()) for part in (network, network.linear))
    adding, shape = PRESETS["sum"], head_of(network, "linear").shape
    with Client(adding) as client:
        chunk, slots = len(client.encrypt_vector(np.ones(1))[0]), chunk_size(adding)
    with Client(default_preset(shape), shape) as client:
        token = len(client.encrypt(train.tokens[0]))
    found = asdict(communication(whole, slots, chunk, token))
    found["head_gradients_encrypted"] = communication(head, slots, chunk, token).gradients_encrypted
    return {name: size / 1000 for name, size in found.items()}


if __name__ == "__main__":
    main()
