"""The server as the client's side sees it: started where none is given, asked over HTTP, trusted with nothing."""

import atexit
import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from core.encryption.client import UNREADABLE, Client
from core.encryption.heads import Head, head_digest
from core.encryption.wire import NONCE_HEADER, SECONDS_HEADER, TAG_HEADER, pack, tag, tag_matches, unpack

ROOT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 120.0
LONGEST_ANSWER = 64 * 10**6
END_SECONDS = 1.0
ATTEMPTS = 3


class ServiceError(ValueError):
    """One sentence: what the server refused, or why it didn't answer."""


class Answer(NamedTuple):
    """What came back: the body, the seconds that the server says it computed, and the bytes of both bodies."""

    body: bytes
    seconds: float
    bytes_up: int
    bytes_down: int


class _SessionGone(ServiceError):
    """The server knows no such session, or no longer."""


class _HeadMissing(ServiceError):
    """The server doesn't have the head that was asked for."""


class _NoResponse(ServiceError):
    """Nobody answers."""


class _OwnProcess(NamedTuple):
    process: subprocess.Popen[bytes]
    address: str


class Server:
    """A server by its address, or one of our own that is started when first needed and again where it died.

    Parameters
    ----------
    address : str or None
        http://host:port of a server that runs; None starts `python -m core.encryption.server`, which ends with this
        process. Http crosses in clear, so it is for this machine; give https for any other.

    Raises
    ------
    ValueError
        An address that is none; one sentence.
    """

    def __init__(self, address: str | None = None):
        if address is not None:
            _check_address(address)
        self._given = address
        self._own: _OwnProcess | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Return the process id of a server of our own, None where none runs."""
        own = self._own
        return own.process.pid if own and own.process.poll() is None else None

    @property
    def running(self) -> bool:
        """Return whether there is one to ask: always where an address was given."""
        return self._given is not None or self.pid is not None

    @property
    def address(self) -> str:
        """Return where it is asked, http://host:port; a server of our own is started first."""
        return self._given or self._running()

    def health(self) -> dict[str, Any]:
        """Return how many sessions and workers it has; raise `ServiceError` where it doesn't answer."""
        return self.request_json("GET", "/health", b"", "alive")

    def open(self, client: Client) -> "Session":
        """Return a session for a client's keys, which cross now."""
        return Session(self, client)

    def send_head(self, head: bytes) -> None:
        """Give the server a head's plain weights."""
        if self.request_json("POST", "/heads", head, "head")["head"] != head_digest(head):
            raise ServiceError("The head was changed on its way to the server; try again.")

    def request_json(self, method: str, path: str, body: bytes, key: str) -> dict[str, Any]:
        """Return a JSON answer that has this key; raise `ServiceError` where there is none."""
        try:
            answer = json.loads(self.exchange(method, path, body)[0])
        except ServiceError:
            raise
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or key not in answer:
            raise ServiceError("What answers at this address is no encryption server; check the address.")
        return answer

    def exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, http.client.HTTPMessage]:
        """Return the answer to one request, and its headers; a server of our own that died is started again first.

        Raises
        ------
        ServiceError
            What the server refused, or that it doesn't answer; one sentence.
        """
        try:
            return _exchange(self.address, method, path, body, headers or {})
        except _NoResponse:
            if not self._died():
                raise
        return _exchange(self.address, method, path, body, headers or {})

    def stop(self) -> None:
        """End a server of our own; one given by address is left alone."""
        with self._lock:
            if self._own is not None:
                self._own.process.kill()
                self._own.process.communicate()
                self._own = None

    def _died(self) -> bool:
        """Return whether a server of our own is no more; a process takes a moment to end."""
        own = self._own
        if own is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            own.process.wait(END_SECONDS)
        return own.process.poll() is not None

    def _running(self) -> str:
        with self._lock:
            if self._own is None or self._own.process.poll() is not None:
                self._own = _start()
            return self._own.address


class Session:
    """A client's place at a server. Where the server lost it, it is opened anew, keys and all."""

    def __init__(self, server: Server, client: Client):
        self._server, self._client = server, client
        self._name, self._token = "", b""
        self.keys_bytes = 0
        self._open()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(self, head: Head, ciphertext: bytes) -> Answer:
        """Return an encrypted token's encrypted logits under a head, which is sent where the server doesn't have it."""
        weights = head.to_bytes()
        action = f"predict/{head_digest(weights)}"
        for _ in range(ATTEMPTS):
            try:
                return self._ask(action, ciphertext)
            except _HeadMissing:
                self._server.send_head(weights)
            except _SessionGone:
                self._open()
        raise ServiceError("The encryption server loses what it is sent; try again in a moment.")

    def contribute(self, chunks: list[bytes]) -> Answer:
        """Add one client's encrypted vector to the others'."""
        return self._ask("contribute", pack([("chunk", chunk) for chunk in chunks]))

    def mean(self) -> tuple[list[bytes], int, Answer]:
        """Return the ciphertexts of the mean, of how many vectors it is, and what crossed."""
        answer = self._ask("mean", b"")
        (_, count), *chunks = unpack(answer.body)
        return [chunk for _, chunk in chunks], int(count), answer

    def close(self) -> None:
        """Have the server forget the keys; a server that is gone has forgotten them."""
        if self._server.running:
            with contextlib.suppress(ServiceError):
                self._authenticated("DELETE", f"/sessions/{self._name}", b"")

    def _open(self) -> None:
        context = self._client.context_bytes()
        opened = self._server.request_json("POST", "/sessions", context, "token")
        self._name, self._token = opened["session"], bytes.fromhex(opened["token"])
        self.keys_bytes = len(context)

    def _ask(self, action: str, body: bytes) -> Answer:
        start = time.perf_counter()
        path = f"/sessions/{self._name}/{action}"
        nonce, answer, headers = self._authenticated("POST", path, body)
        if not tag_matches(headers.get(TAG_HEADER), tag(self._token, "answer", path, nonce, answer)):
            raise ServiceError(UNREADABLE)
        seconds = float(headers.get(SECONDS_HEADER) or time.perf_counter() - start)
        return Answer(answer, seconds, len(body), len(answer))

    def _authenticated(self, method: str, path: str, body: bytes) -> tuple[str, bytes, http.client.HTTPMessage]:
        nonce = secrets.token_hex(16)
        headers = {NONCE_HEADER: nonce, TAG_HEADER: tag(self._token, "request", path, nonce, body)}
        return nonce, *self._server.exchange(method, path, body, headers)


def shared_server() -> Server:
    """Return the one server of this process, for all visitors; it starts when first asked."""
    return _SHARED


_SHARED = Server()
atexit.register(_SHARED.stop)


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/")
        _ = parts.port
    except ValueError:
        whole = False
    if not whole:
        raise ServiceError(f"{address!r} is no address of a server; give one such as http://127.0.0.1:8600.")


def _exchange(
    address: str, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[bytes, http.client.HTTPMessage]:
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer, status = response.read(LONGEST_ANSWER), response.status
    except (OSError, http.client.HTTPException) as error:
        raise _NoResponse(f"The encryption server at {address} doesn't answer; check that it runs.") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise _refusal(status, answer)
    return answer, response.headers


def _refusal(status: int, answer: bytes) -> ServiceError:
    try:
        sentence = str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = "The server refused, and gave no reason that can be read; check the address."
    kinds = {http.client.NOT_FOUND: _SessionGone, http.client.CONFLICT: _HeadMissing}
    return kinds.get(status, ServiceError)(sentence)


def _start() -> _OwnProcess:
    process = subprocess.Popen(
        [sys.executable, "-m", "core.encryption.server", "--with-parent"],
        cwd=ROOT,
        # One thread: SEAL uses no more, and OpenMP's would spin beside the app's own.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    if not address:
        process.kill()
        process.communicate()
        raise ServiceError("The encryption server can't be started on this machine; start one and give its address.")
    return _OwnProcess(process, address)
