"""Requests that no client of ours would make."""

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from core.encryption import PredictionSession, Server
from core.encryption.timing import example_token
from core.encryption.wire import NONCE_HEADER, TAG_HEADER, tag


def token() -> np.ndarray:
    """Return a token, always the same."""
    return example_token(np.random.default_rng(7))


def raw(
    server: Server, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Return the status and the JSON (or bytes) of an answer."""
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    is_json = response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(answer) if is_json else answer


def refused(server: Server, *request: Any) -> tuple[int, str]:
    """Return the status and the sentence of a refusal."""
    return refusal(*raw(server, *request))


def refusal(status: int, answer: Any) -> tuple[int, str]:
    """Return the same, once it is known to be one sentence."""
    assert set(answer) == {"error"} and answer["error"].endswith(".") and "\n" not in answer["error"]
    return status, answer["error"]


def authenticated(opened: PredictionSession, path: str, body: bytes, key: bytes | None = None) -> tuple[Any, ...]:
    """Return a request with its tag, by a session's token or another."""
    nonce = secrets.token_hex(8)
    headers = {NONCE_HEADER: nonce, TAG_HEADER: tag(key or opened.session._token, "request", path, nonce, body)}
    return "POST", path, body, headers


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """Give a bare connection."""
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        yield connection


def received(connection: socket.socket) -> tuple[int, str]:
    """Return the status and the sentence of the refusal on a bare connection that then ends."""
    head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return refusal(int(head.split()[1]), json.loads(body))
