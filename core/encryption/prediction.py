"""One token through client, server and client again, step by step."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np

from core.encryption.client import Client
from core.encryption.heads import Head
from core.encryption.parameters import Preset, check_preset
from core.encryption.service import Server, Session

STAGES = ("keygen", "encrypt", "server", "decrypt")


@dataclass(frozen=True)
class EncryptedPrediction:
    """What came of one token.

    Attributes
    ----------
    plain_logits, encrypted_logits : ndarray
        (C,) of the head in the clear, and as the client decrypted and rounded them.
    max_error : float
        Largest absolute difference between the two.
    label_plain, label_encrypted : int
        Index of the largest logit of each.
    upload_kb, download_kb, keys_kb : float
        What crossed, in KB (1000 bytes): the encrypted token, the encrypted answer, and the keys, which cross once.
    seconds : dict of str to float
        Of each of `STAGES`. 'keygen' is making keys and sending the public ones, 0 where they were there already;
        'server' is the time that the server says it computed, with encoding the head where this token is its first.
    """

    plain_logits: np.ndarray
    encrypted_logits: np.ndarray
    max_error: float
    label_plain: int
    label_encrypted: int
    upload_kb: float
    download_kb: float
    keys_kb: float
    seconds: dict[str, float]


class EncryptStep(NamedTuple):
    """One stage.

    stage: one of `STAGES`; seconds: how long it took; bytes_up, bytes_down: what crossed in it; sent, received: what
    crossed itself (the public context, the encrypted token, the encrypted answer), empty where nothing did; prediction:
    with the last stage alone.
    """

    stage: str
    seconds: float
    bytes_up: int = 0
    bytes_down: int = 0
    sent: bytes = b""
    received: bytes = b""
    prediction: EncryptedPrediction | None = None


@dataclass(frozen=True)
class PredictionSession:
    """A client's keys and its place at a server, for as many predictions as one likes; close it to drop the keys."""

    client: Client
    session: Session

    def __enter__(self) -> "PredictionSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the keys, here and at the server."""
        self.session.close()
        self.client.close()


def open_session(preset: Preset, head: Head, server: Server) -> PredictionSession:
    """Make keys for a head's shape and send the public ones; raise ValueError, one sentence, where that fails."""
    client = Client(preset, head.shape)
    try:
        return PredictionSession(client, server.open(client))
    except ValueError:
        client.close()
        raise


def encrypted_steps(
    token: np.ndarray, head: Head, preset: Preset, server: Server, opened: PredictionSession | None = None
) -> Iterator[EncryptStep]:
    """Encrypt a token, have the server answer, decrypt: yield a step for each of `STAGES`.

    Parameters
    ----------
    token : ndarray
        (768,) numbers, of length `core.encryption.packed.TOKEN_NORM` or less.
    head : Head
        The server's; its plain logits are computed here for comparison alone.
    opened : PredictionSession, optional
        Keys that `open_session` made for a head of the same shape; without it keys are made, and dropped at the end.

    Raises
    ------
    ValueError
        A preset that can't carry the head (before anything is encrypted), a token that is none, a server that doesn't
        answer, or an answer that isn't under this key; one sentence.
    """
    check_preset(preset, head.shape)
    with ExitStack() as stack:
        if opened is None:
            server.health()  # a server that has yet to start would count as making keys
        start = perf_counter()
        if opened is None:
            opened = stack.enter_context(open_session(preset, head, server))
            context = opened.client.context_bytes()
            steps = [EncryptStep("keygen", perf_counter() - start, len(context), sent=context)]
        else:
            steps = [EncryptStep("keygen", 0.0)]
        yield steps[0]
        start = perf_counter()
        ciphertext = opened.client.encrypt(token)
        steps.append(EncryptStep("encrypt", perf_counter() - start))
        yield steps[1]
        answer = opened.session.predict(head, ciphertext)
        steps.append(EncryptStep("server", answer.seconds, answer.bytes_up, answer.bytes_down, ciphertext, answer.body))
        yield steps[2]
        start = perf_counter()
        logits = opened.client.decrypt(answer.body)
        last = EncryptStep("decrypt", perf_counter() - start)
        yield last._replace(prediction=_prediction(head.logits(token), logits, opened, [*steps, last]))


def _prediction(
    plain: np.ndarray, encrypted: np.ndarray, opened: PredictionSession, steps: Sequence[EncryptStep]
) -> EncryptedPrediction:
    return EncryptedPrediction(
        plain_logits=plain,
        encrypted_logits=encrypted,
        max_error=float(np.abs(plain - encrypted).max()),
        label_plain=int(plain.argmax()),
        label_encrypted=int(encrypted.argmax()),
        upload_kb=steps[2].bytes_up / 1000,
        download_kb=steps[2].bytes_down / 1000,
        keys_kb=opened.session.keys_bytes / 1000,
        seconds={step.stage: step.seconds for step in steps},
    )
