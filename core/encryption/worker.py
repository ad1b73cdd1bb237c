"""The part of the server that computes, in a process of its own: SEAL holds the interpreter lock while it works.

It holds each session's rotation keys and sums, and plaintext heads. Requests and answers are messages of named parts
over pipes. What comes from outside is opened here alone, so that what it might do to SEAL ends this process and no
more.
"""

import contextlib
import sys
import time
from collections import OrderedDict
from typing import Any, BinaryIO

import tenseal
import tenseal.sealapi as seal

from core.encryption.heads import Head, head_digest
from core.encryption.packed import PackedHead, rotations
from core.encryption.parameters import Preset, depth_of, find_preset
from core.encryption.serialization import (
    context_of,
    fresh_ciphertext_from,
    is_secret_key,
    rotation_key_from,
    to_bytes,
)
from core.encryption.wire import GONE, MAX_CHUNKS, MESSAGE_LENGTH, OK, REFUSED, pack, unpack

MAX_HEADS = 8
READY = b"ready"

SECRET = (
    "This context carries a secret key, which a server must never have; nothing of it was kept. Send the public part."
)


class _Session:
    """What a session's client sent: its preset, rotation keys by Galois element, and the sums so far."""

    def __init__(self, preset: Preset, keys: dict[int, seal.GaloisKeys]):
        self.preset, self.keys = preset, keys
        self.sums: list[seal.Ciphertext] = []
        self.count = 0


class Worker:
    """Answers requests: each method returns a body, and raises ValueError with one sentence."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._heads: OrderedDict[tuple[str, str], PackedHead] = OrderedDict()

    def check_head(self, session: str, head: bytes) -> bytes:
        """Return the SHA-256 of a head's bytes, hex, once they are known to hold one."""
        Head.from_bytes(head)
        return head_digest(head).encode()

    def open(self, session: str, context: bytes) -> bytes:
        """Keep a session's public context, once it is known to hold no secret key."""
        parts = _context_parts(context)
        preset = find_preset(dict(parts[:1]).get("preset", b"").decode("ascii", "replace"))
        if any("secret" in part or is_secret_key(preset, data) for part, data in parts[1:]):
            raise ValueError(SECRET)
        self._sessions[session] = _Session(preset, _rotation_keys(preset, parts[1:]))
        return b""

    def predict(self, session: str, head: bytes, ciphertext: bytes) -> bytes:
        """Return the encrypted logits of an encrypted token."""
        own = self._sessions[session]
        packed = self._packed(own.preset, head)
        if missing := [element for element in packed.elements if element not in own.keys]:
            raise ValueError(f"This session sent no rotation key for the element {missing[0]}; make keys for the head.")
        return to_bytes(packed.answer(fresh_ciphertext_from(own.preset, ciphertext), own.keys))

    def contribute(self, session: str, body: bytes) -> bytes:
        """Add one client's vector to the session's sums; return how many have been added."""
        own = self._sessions[session]
        parts = [fresh_ciphertext_from(own.preset, data) for _, data in unpack(body)]
        if not 0 < len(parts) <= MAX_CHUNKS:
            raise ValueError(f"A vector comes as 1 to {MAX_CHUNKS} ciphertexts, not {len(parts)}.")
        if own.count and len(parts) != len(own.sums):
            raise ValueError("This vector is not as long as those before it, so they can't be added up.")
        own.sums = add_vectors(own.preset, own.sums, parts)
        own.count += 1
        return str(own.count).encode()

    def mean(self, session: str) -> bytes:
        """Return the sums and their count, to be read as means, and start afresh."""
        own = self._sessions[session]
        if not own.count:
            raise ValueError("Nothing has been sent yet, so there is no mean.")
        parts = [("count", str(own.count).encode())]
        parts += [("chunk", to_bytes(total)) for total in own.sums]
        own.sums, own.count = [], 0
        return pack(parts)

    def close(self, session: str) -> bytes:
        """Forget a session."""
        self._sessions.pop(session, None)
        return b""

    def _packed(self, preset: Preset, head: bytes) -> PackedHead:
        key = (preset.name, head_digest(head))
        if key not in self._heads:
            self._heads[key] = PackedHead(preset, Head.from_bytes(head))
        self._heads.move_to_end(key)
        while len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)
        return self._heads[key]


def add_vectors(preset: Preset, sums: list[seal.Ciphertext], parts: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
    """Return the sums with one more vector's ciphertexts added; no sums yet are the vector itself."""
    evaluator = seal.Evaluator(context_of(preset.name))
    for total, part in zip(sums, parts):
        evaluator.add_inplace(total, part)
    return sums or parts


def serve() -> None:
    """Answer requests on standard input until the server's process goes away."""
    worker = Worker()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        write_message(answers, READY)
        while True:
            (action, session), *arguments = unpack(read_message(requests))
            outcome, body, seconds = _answer(worker, action, [session.decode(), *(data for _, data in arguments)])
            write_message(answers, pack([(outcome, body), ("seconds", f"{seconds:.6f}".encode())]))


def read_message(stream: BinaryIO) -> bytes:
    """Return the next message of a pipe; raise EOFError where the other end is gone."""
    length = stream.read(MESSAGE_LENGTH.size)
    body = stream.read(MESSAGE_LENGTH.unpack(length)[0]) if len(length) == MESSAGE_LENGTH.size else b""
    if not body:
        raise EOFError
    return body


def write_message(stream: BinaryIO, body: bytes) -> None:
    """Send a message, which is never empty."""
    stream.write(MESSAGE_LENGTH.pack(len(body)) + body)
    stream.flush()


def _answer(worker: Worker, action: str, arguments: list[Any]) -> tuple[str, bytes, float]:
    """Return the outcome, the body or the sentence that says why there is none, and the seconds."""
    start = time.perf_counter()
    try:
        return OK, getattr(worker, action)(*arguments), time.perf_counter() - start
    except ValueError as error:
        return REFUSED, str(error).encode(), 0.0
    except KeyError:
        return GONE, b"", 0.0
    except Exception:
        # SEAL's own errors say nothing to a client, and nothing of the server's inside may reach one.
        return REFUSED, b"The server could not compute with what it was sent; encrypt it again.", 0.0


def _rotation_keys(preset: Preset, parts: list[tuple[str, bytes]]) -> dict[int, seal.GaloisKeys]:
    expected = rotations(preset, "polynomial" if preset.depth == depth_of("polynomial") else "linear")
    names = [name for name, _ in parts]
    if len(set(names)) < len(names) or not set(names) <= {str(element) for element in expected}:
        raise ValueError(f"This context holds parts that the preset {preset.name} has no use for; nothing was kept.")
    return {int(name): rotation_key_from(preset, data, int(name)) for name, data in parts}


def _context_parts(context: bytes) -> list[tuple[str, bytes]]:
    # TenSEAL's own contexts are not taken at all; that one carries a secret key is said all the same.
    try:
        return unpack(context)
    except ValueError:
        if _is_private_tenseal(context):
            raise ValueError(SECRET) from None
        raise


def _is_private_tenseal(context: bytes) -> bool:
    try:
        return tenseal.context_from(context).is_private()
    except Exception:
        return False


if __name__ == "__main__":
    serve()
