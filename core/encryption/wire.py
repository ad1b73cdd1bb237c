"""What crosses between client, server and workers: named parts in one body, and the tag that authenticates it.

The tag is HMAC-SHA256 (RFC 2104, FIPS 198-1) under the session's token over the request's path, a nonce that the client
draws, and the body. It proves that a body arrived whole, as whoever holds the session's token sent it, in this session
and no other; and, in the other direction, that an answer belongs to this very request. It proves nothing of what the
body holds: that a ciphertext is under the right key shows when its answer is decrypted, by coefficients that must be
zero, and that the server computed the head it was asked for shows nowhere. The token itself crosses in clear: against
somebody who reads the connection it takes TLS.
"""

import hmac
import struct
from collections.abc import Sequence

MEGABYTE = 10**6
LIMITS = {"sessions": 40 * MEGABYTE, "heads": 2 * MEGABYTE, "predict": MEGABYTE, "contribute": 16 * MEGABYTE}
"""Longest body of each request, in bytes; of any other it is 0."""

NONCE_HEADER = "X-Purescan-Nonce"
TAG_HEADER = "X-Purescan-Tag"
SECONDS_HEADER = "X-Purescan-Seconds"
SESSION_TOKEN_BYTES = 32

MESSAGE_LENGTH = struct.Struct("<I")
"""Stands before every message between the server and a worker."""

OK, REFUSED, GONE = "ok", "refused", "gone"
"""How a worker's answer begins: with the body, with the sentence that says why there is none, or without a session."""

MAX_CHUNKS = 1000
"""Ciphertexts that one vector to be added up may take."""

_MAGIC = b"PSC1"
_PART = struct.Struct("<HI")
_MAX_PARTS = 4096
_DAMAGED = "The body is damaged: it holds no parts as this service packs them."


def pack(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Return named parts, in their order, as one body."""
    body = [_MAGIC]
    for name, data in parts:
        encoded = name.encode()
        body += [_PART.pack(len(encoded), len(data)), encoded, data]
    return b"".join(body)


def unpack(body: bytes) -> list[tuple[str, bytes]]:
    """Return the parts of a body; raise ValueError, one sentence, where it is damaged, cut short or too long."""
    if body[: len(_MAGIC)] != _MAGIC:
        raise ValueError(_DAMAGED)
    parts: list[tuple[str, bytes]] = []
    at = len(_MAGIC)
    while at < len(body):
        if at + _PART.size > len(body) or len(parts) == _MAX_PARTS:
            raise ValueError(_DAMAGED)
        name_size, size = _PART.unpack_from(body, at)
        start = at + _PART.size + name_size
        at = start + size
        if at > len(body):
            raise ValueError(_DAMAGED)
        parts.append((_name(body[start - name_size : start]), body[start:at]))
    return parts


def _name(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(_DAMAGED) from error


def tag(token: bytes, direction: str, path: str, nonce: str, body: bytes) -> str:
    """Return a body's tag, hex; `direction` is 'request' or 'answer', so that neither passes for the other."""
    return hmac.new(token, f"{direction}\n{path}\n{nonce}\n".encode() + body, "sha256").hexdigest()


def tag_matches(carried: str | None, expected: str) -> bool:
    """Return whether the tag that a body carried is the expected one, in constant time."""
    return hmac.compare_digest((carried or "").encode("utf-8", "replace"), expected.encode())
