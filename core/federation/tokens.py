"""Class tokens that the server classifies and can't read (Amin et al. 2025), between hospitals and one server.

Every hospital makes its tokens with the same encoder, and encrypts each under a key of its own. The server has the head
in the clear, answers on ciphertexts, and hands all answers to all; only the hospital that asked can read its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.bundles import Bundle, load_bundle
from core.encryption.client import Client
from core.encryption.heads import Head, Shape
from core.encryption.packed import PackedHead
from core.encryption.parameters import Preset, default_preset
from core.encryption.serialization import fresh_ciphertext_from, to_bytes
from core.federation.averaging import State
from core.models.vit import TokenViT

PREFIX = "token."


@dataclass(frozen=True)
class Questions:
    """What a hospital has asked so far.

    Attributes
    ----------
    secret : Tensor
        Its own key, as bytes; it never leaves the hospital.
    logits : Tensor
        (n, C) the answers, decrypted; NaN where one has not come.
    """

    secret: Tensor
    logits: Tensor

    @classmethod
    def begun(cls, classes: int) -> "Questions":
        """With a key of its own, and nothing asked."""
        with Client(*_parameters(classes)) as client:
            return cls(_as_tensor(client.secret_bytes()), torch.zeros(0, classes))

    def asked(self, tokens: np.ndarray) -> tuple["Questions", dict[str, Tensor]]:
        """(n, 768) further class tokens → all that has been asked then, and the ciphertexts of these."""
        before, classes = self.logits.shape
        with self._client() as client:
            sent = {f"{PREFIX}{before + place:06d}": client.encrypt(token) for place, token in enumerate(tokens)}
        logits = torch.cat([self.logits, torch.full((len(tokens), classes), torch.nan)])
        return replace(self, logits=logits), {name: _as_tensor(each) for name, each in sent.items()}

    def heard(self, answers: State) -> "Questions":
        """With the answers that came; ValueError, one sentence, where one isn't under this hospital's key."""
        logits = self.logits.clone()
        with self._client() as client:
            for name, answer in answers.items():
                logits[int(name.removeprefix(PREFIX))] = torch.from_numpy(client.decrypt(_as_bytes(answer))).float()
        return replace(self, logits=logits)

    def report(self, labels: Tensor) -> dict[str, float]:
        """How many were asked about and answered, and how many of the answers are right; labels (N,) of all scans."""
        came = ~self.logits.isnan().any(1)
        right = self.logits[came].argmax(1) == labels.cpu()[: len(came)][came]
        return {"asked": len(came), "answered": int(came.sum()), "right": int(right.sum())}

    def _client(self) -> Client:
        return Client(*_parameters(self.logits.shape[1]), _as_bytes(self.secret))


def answered(head: State, states: Mapping[str, State]) -> dict[str, Tensor]:
    """Hospital/token → the encrypted logits of a linear head, computed without a key.

    Raises
    ------
    ValueError
        Bytes that are no fresh ciphertext, or a head that can't be computed on; one sentence.
    """
    weights, bias = head["weight"].double().cpu().numpy(), head["bias"].double().cpu().numpy()
    preset, _ = _parameters(len(bias))
    packed = PackedHead(preset, Head("linear", (weights, bias)))
    answers = {}
    for hospital, state in states.items():
        for name, token in state.items():
            answer = packed.answer(fresh_ciphertext_from(preset, _as_bytes(token)), {})
            answers[f"{hospital}/{name}"] = _as_tensor(to_bytes(answer))
    return answers


def token_classifiers(bundle: Bundle) -> tuple[str, ...]:
    """The classifiers that end in a class token, which can be sent away encrypted."""
    return tuple(name for name, network in bundle.classifiers.items() if hasattr(network, "token"))


def encoder_of(bundle: str) -> TokenViT:
    """The network of a bundle that makes class tokens; ValueError, one sentence, where it has none."""
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
