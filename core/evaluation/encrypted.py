"""What encryption costs and changes over many scans, and what was recorded of it with the weights."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from core import compute
from core.bundles import Bundle, BundleError, classifier_sha256
from core.encryption import EncryptedPrediction, Head, Preset, Server, encrypted_steps, open_session
from core.faults.samples import labelled_samples
from core.federation.configurations import MEASURES, Measured, measure
from core.models.vit import class_tokens

FILE = "encryption.json"
CLEAR = 1e-3  # logits closer together than this may change places under encryption


class LabelledTokens(NamedTuple):
    """tokens (N, 768) and labels (N,) of scans whose class is known."""

    tokens: np.ndarray
    labels: np.ndarray


def tokens_of(bundle: Bundle, classifier: str, pixels: np.ndarray) -> np.ndarray:
    """(N, C, H, W) pixels in [0, 1] → (N, 768) float64 class tokens of one of `token_classifiers`."""
    return class_tokens(bundle.classifiers[classifier], torch.from_numpy(pixels).to(compute.device()))


def sample_tokens(bundle: Bundle, classifier: str) -> LabelledTokens:
    """Those of the bundle's sample scans whose class is known; ValueError in one sentence where it has none."""
    samples = labelled_samples(bundle)
    tokens = class_tokens(bundle.classifiers[classifier], samples.pixels)
    return LabelledTokens(tokens, samples.labels.cpu().numpy())


def ask_steps(tokens: np.ndarray, head: Head, preset: Preset, server: Server) -> Iterator[EncryptedPrediction]:
    """Ask about every token with one set of keys, which is dropped at the end.

    Parameters
    ----------
    tokens : ndarray
        (N, 768).

    Raises
    ------
    ValueError
        As `core.encryption.encrypted_steps`.
    """
    with open_session(preset, head, server) as opened:
        for token in tokens:
            *_, last = encrypted_steps(token, head, preset, server, opened)
            assert last.prediction is not None
            yield last.prediction


def shares(logits: np.ndarray) -> np.ndarray:
    """(C,) logits → (C,) probabilities that sum to 1."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


class Summary(NamedTuple):
    """What came of N encrypted predictions.

    Attributes
    ----------
    n, clear : int
        Tokens, and those whose two largest plain logits are further apart than `CLEAR`.
    same, same_clear : int
        How many of each got the label that they have in the clear.
    max_error : float
        Largest difference of a logit.
    plain, encrypted : dict of str to Measured
        `core.federation.configurations.MEASURES` of the answers in the clear and of the decrypted ones.
    server_ms, encrypt_ms, decrypt_ms : float
        Medians of a token.
    upload_kb, download_kb, keys_kb : float
        KB (1000 bytes); the keys cross once.
    """

    n: int
    clear: int
    same: int
    same_clear: int
    max_error: float
    plain: dict[str, Measured]
    encrypted: dict[str, Measured]
    server_ms: float
    encrypt_ms: float
    decrypt_ms: float
    upload_kb: float
    download_kb: float
    keys_kb: float


def summary(predictions: Sequence[EncryptedPrediction], labels: np.ndarray, groups: Sequence[str]) -> Summary:
    """Put encrypted predictions of tokens with known labels (N,) together; intervals are over groups of images."""
    plain = np.stack([found.plain_logits for found in predictions])
    encrypted = np.stack([found.encrypted_logits for found in predictions])
    ordered = np.sort(plain, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > CLEAR
    same = plain.argmax(1) == encrypted.argmax(1)
    medians = {
        f"{stage}_ms": 1000 * float(np.median([found.seconds[stage] for found in predictions]))
        for stage in ("server", "encrypt", "decrypt")
    }
    return Summary(
        n=len(predictions),
        clear=int(clear.sum()),
        same=int(same.sum()),
        same_clear=int((same & clear).sum()),
        max_error=max(found.max_error for found in predictions),
        plain=measure(plain, labels, groups),
        encrypted=measure(encrypted, labels, groups),
        upload_kb=predictions[0].upload_kb,
        download_kb=predictions[0].download_kb,
        keys_kb=predictions[0].keys_kb,
        **medians,
    )


@dataclass(frozen=True)
class EncryptionRecord:
    """What training.measure.encrypted measured for a classifier with its weights of today.

    Attributes
    ----------
    command, n, seed
        How it was made: on how many validation scans, with which seed.
    heads : mapping of (head, preset) to Summary
        Every validation scan asked about.
    configurations : mapping of str to mapping of str to Measured
        The paper's four (`core.federation.configurations.CONFIGURATIONS`) → MEASURES, a linear head being trained.
    network_configurations : mapping of str to mapping of str to Measured
        The same four where the whole network is; empty where that wasn't measured.
    timing : tuple of dict
        Rows of `core.encryption.timing`.
    communication : mapping of str to float
        KB a round, see `core.federation.communication`.
    """

    command: str
    n: int
    seed: int
    heads: dict[tuple[str, str], Summary]
    configurations: dict[str, dict[str, Measured]]
    network_configurations: dict[str, dict[str, Measured]]
    timing: tuple[dict[str, Any], ...]
    communication: dict[str, float]


def read_encryption(bundle: Bundle, classifier: str) -> EncryptionRecord | None:
    """What is recorded for a classifier; None where nothing is, or it was measured with other weights.

    Raises
    ------
    BundleError
        encryption.json is damaged; one sentence.
    """
    path = bundle.folder / FILE
    try:
        entry = json.loads(path.read_text(encoding="utf-8")).get(classifier) if path.is_file() else None
        if entry is None or entry["made_with"] != classifier_sha256(bundle, classifier):
            return None
        return EncryptionRecord(
            command=entry["command"],
            n=entry["n"],
            seed=entry["seed"],
            heads={(row.pop("head"), row.pop("preset")): _summary(row) for row in entry["heads"]},
            configurations=_configurations(entry["configurations"]),
            network_configurations=_configurations(entry.get("network_configurations", {})),
            timing=tuple(entry["timing"]),
            communication=entry["communication"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{bundle.name}/{FILE} can't be read; run training.measure.encrypted again.") from error


def _summary(row: dict[str, Any]) -> Summary:
    return Summary(**row | {name: _measures(row[name]) for name in ("plain", "encrypted")})


def _configurations(values: dict[str, dict[str, Sequence[float]]]) -> dict[str, dict[str, Measured]]:
    return {name: _measures(measured) for name, measured in values.items()}


def _measures(values: dict[str, Sequence[float]]) -> dict[str, Measured]:
    return {name: Measured(*values[name]) for name in MEASURES}
