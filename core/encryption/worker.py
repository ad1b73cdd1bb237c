"""The part of the server that computes, in a process of its own: SEAL holds the interpreter lock while it works.

It holds each session's rotation keys and sums, and plaintext heads. Requests and answers are messages of named parts
over pipes from the front. What comes from outside is opened here alone, so that what it might do to SEAL ends this
process and no more.
"""

import contextlib
import struct
import sys
import time
from collections import OrderedDict
from typing import Any, BinaryIO

import tenseal
import tenseal.sealapi as seal

from core.encryption.heads import Head, head_digest
from core.encryption.packed import PackedHead, rotations
from core.encryption.parameters import Preset, depth_of, find_preset
from core.encryption.sealed import context_of, is_secret_key, question_from, rotation_key_from, to_bytes
from core.encryption.wire import MOST_CHUNKS, pack, unpack

MOST_HEADS = 8
LENGTH = struct.Struct("<I")
READY = b"ready"
FINE, REFUSED, GONE = "fine", "refused", "gone"

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
    """Answers requests: each method returns a body, and raises ValueError in one sentence."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._heads: OrderedDict[tuple[str, str], PackedHead] = OrderedDict()

    def open(self, name: str, context: bytes) -> bytes:
        """Keep a session's public context, once it is known to hold no secret key."""
        parts = _context_parts(context)
        preset = find_preset(dict(parts[:1]).get("preset", b"").decode("ascii", "replace"))
        if any("secret" in part or is_secret_key(preset, data) for part, data in parts[1:]):
            raise ValueError(SECRET)
        self._sessions[name] = _Session(preset, _rotation_keys(preset, parts[1:]))
        return b""

    def predict(self, name: str, head: bytes, question: bytes) -> bytes:
        """The encrypted logits of an encrypted token."""
        session = self._sessions[name]
        packed = self._packed(session.preset, head)
        if missing := [element for element in packed.elements if element not in session.keys]:
            raise ValueError(f"This session sent no rotation key for the element {missing[0]}; make keys for the head.")
        answer = packed.answer(question_from(session.preset, question), session.keys)
        return to_bytes(answer)

    def contribute(self, name: str, body: bytes) -> bytes:
        """Add one client's vector to the session's sums; the answer is how many have been added."""
        session = self._sessions[name]
        parts = [question_from(session.preset, data) for _, data in unpack(body)]
        if not 0 < len(parts) <= MOST_CHUNKS:
            raise ValueError(f"A vector comes as 1 to {MOST_CHUNKS} ciphertexts, not {len(parts)}.")
        if session.count and len(parts) != len(session.sums):
            raise ValueError("This vector is not as long as those before it, so they can't be added up.")
        evaluator = seal.Evaluator(context_of(session.preset.name))
        for total, part in zip(session.sums, parts):
            evaluator.add_inplace(total, part)
        session.sums = session.sums or parts
        session.count += 1
        return str(session.count).encode()

    def mean(self, name: str) -> bytes:
        """The sums, to be read as means, and a fresh start."""
        session = self._sessions[name]
        if not session.count:
            raise ValueError("Nothing has been sent yet, so there is no mean.")
        parts = [("count", str(session.count).encode())]
        parts += [("chunk", to_bytes(total)) for total in session.sums]
        session.sums, session.count = [], 0
        return pack(parts)

    def close(self, name: str) -> bytes:
        """Forget a session."""
        self._sessions.pop(name, None)
        return b""

    def _packed(self, preset: Preset, head: bytes) -> PackedHead:
        key = (preset.name, head_digest(head))
        if key not in self._heads:
            self._heads[key] = PackedHead(preset, Head.from_bytes(head))
        self._heads.move_to_end(key)
        while len(self._heads) > MOST_HEADS:
            self._heads.popitem(last=False)
        return self._heads[key]


def serve() -> None:
    """Answer requests on standard input until the front goes away."""
    worker = Worker()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        write_message(answers, READY)
        while True:
            (action, name), *arguments = unpack(read_message(requests))
            outcome, body, seconds = _answer(worker, action, [name.decode(), *(data for _, data in arguments)])
            write_message(answers, pack([(outcome, body), ("seconds", f"{seconds:.6f}".encode())]))


def read_message(stream: BinaryIO) -> bytes:
    """The next message of a pipe between the front and a worker; EOFError where the other end is gone."""
    head = stream.read(LENGTH.size)
    body = stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
    if not body:
        raise EOFError
    return body


def write_message(stream: BinaryIO, body: bytes) -> None:
    """Send a message, which is never empty."""
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def _answer(worker: Worker, action: str, arguments: list[Any]) -> tuple[str, bytes, float]:
    """How it went; the body, or the sentence that says why not; seconds."""
    start = time.perf_counter()
    try:
        return FINE, getattr(worker, action)(*arguments), time.perf_counter() - start
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
    """TenSEAL's own contexts are not taken at all; that one carries a secret key is said all the same."""
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
