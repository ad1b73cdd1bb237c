"""Class tokens that the server classifies and can't read (Amin et al. 2025), between hospitals and one server.

Every hospital makes its tokens with the same encoder, and encrypts each under a key of its own. The server has the head
in the clear, answers on ciphertexts, and hands all answers to all; only the hospital that asked can read its own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.bundles import Bundle, bundle_input, bundle_names, load_bundle
from core.encryption.client import Client
from core.encryption.heads import Head, Shape
from core.encryption.packed import PackedHead
from core.encryption.parameters import Preset, default_preset
from core.encryption.serialization import fresh_ciphertext_from, to_bytes
from core.federation.averaging import State
from core.models.vit import TokenViT


@dataclass(frozen=True)
class Questions:
    """What a hospital has asked so far.

    Attributes
    ----------
    secret : Tensor
        Its own key, as bytes; it never leaves the hospital.
    logits : Tensor
        (n, C) the answers about its first n scans, decrypted; NaN where none has come.
    asked : Tensor
        (n,) bool, which of these it asked about.
    """

    secret: Tensor
    logits: Tensor
    asked: Tensor

    @classmethod
    def begun(cls, classes: int) -> "Questions":
        """With a key of its own, and nothing asked."""
        with Client(*_parameters(classes)) as client:
            return cls(_as_tensor(client.secret_bytes()), torch.zeros(0, classes), torch.zeros(0, dtype=torch.bool))

    def ask(self, tokens: np.ndarray, first: int) -> tuple["Questions", dict[str, Tensor]]:
        """(k, 768) tokens of the scans from `first` on → all that has been asked then, and the ciphertexts of these."""
        if not len(tokens):
            return self, {}
        with self._client() as client:
            sent = {f"{self._mark}{first + place:06d}": client.encrypt(token) for place, token in enumerate(tokens)}
        count, (before, classes) = max(first + len(tokens), len(self.logits)), self.logits.shape
        logits = torch.cat([self.logits, torch.full((count - before, classes), torch.nan)])
        asked = torch.cat([self.asked, torch.zeros(count - before, dtype=torch.bool)])
        asked[first : first + len(tokens)] = True
        return replace(self, logits=logits, asked=asked), {name: _as_tensor(each) for name, each in sent.items()}

    def heard(self, answers: State) -> "Questions":
        """With those of all answers that are its own.

        Raises
        ------
        ValueError
            One isn't under its key, or nobody asked for it; one sentence.
        """
        logits, waiting = self.logits.clone(), {f"{self._mark}{place:06d}": place for place in range(len(self.logits))}
        own = {name: answer for name, answer in answers.items() if name.startswith(self._mark)}
        if own.keys() - waiting.keys():
            raise ValueError("The server answers what this site hasn't asked; use the same version on both sides.")
        with self._client() as client:
            for name, answer in own.items():
                logits[waiting[name]] = torch.from_numpy(client.decrypt(_as_bytes(answer))).float()
        return replace(self, logits=logits)

    def report(self, labels: Tensor) -> dict[str, int]:
        """How many were asked about and answered, and how many of the answers are right; labels (N,) of all scans."""
        came = ~self.logits.isnan().any(1)
        right = self.logits[came].argmax(1) == labels.cpu()[: len(came)][came]
        return {"asked": int(self.asked.sum()), "answered": int(came.sum()), "right": int(right.sum())}

    @property
    def _mark(self) -> str:
        """What tells its tokens from those of others, whatever they call it: of the key, and telling nothing of it."""
        return f"token.{hashlib.sha256(_as_bytes(self.secret)).hexdigest()[:16]}."

    def _client(self) -> Client:
        return Client(*_parameters(self.logits.shape[1]), _as_bytes(self.secret))


def answered(head: State, states: Mapping[str, State]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Token → the encrypted logits of a linear head, computed without a key; and hospital → why it gets none.

    Those get none that sent bytes which are no fresh ciphertexts.

    Raises
    ------
    ValueError
        A head that can't be computed on; one sentence.
    """
    weights, bias = head["weight"].double().cpu().numpy(), head["bias"].double().cpu().numpy()
    preset, _ = _parameters(len(bias))
    packed = PackedHead(preset, Head("linear", (weights, bias)))
    answers: dict[str, Tensor] = {}
    refused: dict[str, str] = {}
    for site, state in states.items():
        try:
            tokens = {name: fresh_ciphertext_from(preset, _as_bytes(token)) for name, token in state.items()}
        except ValueError:
            refused[site] = "What it sent are no fresh ciphertexts."
            continue
        answers |= {name: _as_tensor(to_bytes(packed.answer(token, {}))) for name, token in tokens.items()}
    return answers, refused


def token_classifiers(bundle: Bundle) -> tuple[str, ...]:
    """The classifiers that end in a class token, which can be sent away encrypted."""
    return tuple(name for name, network in bundle.classifiers.items() if hasattr(network, "token"))


def encoder_of(bundle: str, channels: int, size: int, classes: int) -> TokenViT:
    """The network of a bundle that makes class tokens.

    Raises
    ------
    ValueError
        There is no such bundle here, it has no such network, or it is another than is meant; one sentence, which may go
        to a stranger.
    """
    if bundle not in bundle_names():
        raise ValueError(f"There is no bundle named {bundle!r} here.")
    found = bundle_input(bundle)
    if (found.channels, found.resolution, len(found.classes)) != (channels, size, classes):
        raise ValueError(
            f"The bundle {bundle} has {found.channels} channels, {found.resolution} pixels a side and "
            f"{len(found.classes)} classes here, not {channels}, {size} and {classes}."
        )
    networks = load_bundle(bundle)
    names = token_classifiers(networks)
    if not names:
        raise ValueError(f"The bundle {bundle} has no network with a class token, so there is nothing to ask about.")
    return cast(TokenViT, networks.classifiers[names[0]])


def _parameters(classes: int) -> tuple[Preset, Shape]:
    shape = Shape("linear", classes)
    return default_preset(shape), shape


def _as_tensor(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _as_bytes(content: Tensor) -> bytes:
    return content.numpy().tobytes()
