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
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from core.encryption.client import FOREIGN, Client
from core.encryption.heads import Head, head_digest
from core.encryption.wire import NONCE_HEADER, SECONDS_HEADER, TAG_HEADER, pack, tag, tag_fits, unpack

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


class _Gone(ServiceError):
    """The server knows no such session, or no longer."""


class _NoHead(ServiceError):
    """The server doesn't have the head that was asked for."""


class _Silent(ServiceError):
    """Nobody answers."""


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
        self._given, self._address = address, address
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process of a server of our own, None where none runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether there is one to ask: always where an address was given."""
        return self._given is not None or self.pid is not None

    def health(self) -> dict[str, Any]:
        """Whether it lives, and how many sessions and workers it has; `ServiceError` where it doesn't answer."""
        return self.told("GET", "/health", b"", "alive")

    def open(self, client: Client) -> "Session":
        """A session for a client's keys, which cross now."""
        return Session(self, client)

    def send_head(self, head: bytes) -> None:
        """Give the server a head's plain weights."""
        if self.told("POST", "/heads", head, "head")["head"] != head_digest(head):
            raise ServiceError("The head was changed on its way to the server; try again.")

    def told(self, method: str, path: str, body: bytes, key: str) -> dict[str, Any]:
        """A JSON answer that has this key; `ServiceError` where there is none."""
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
        self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """One request and its answer; a server of our own that died is started again first.

        Raises
        ------
        ServiceError
            What the server refused, or that it doesn't answer; one sentence.
        """
        try:
            return _exchanged(self._given or self._running(), method, path, body, headers or {})
        except _Silent:
            if not self._died():
                raise
        return _exchanged(self._running(), method, path, body, headers or {})

    def stop(self) -> None:
        """End a server of our own; one given by address is left alone."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process.stdin.close()
                self._process.stdout.close()
                self._process = None

    def _died(self) -> bool:
        """Whether a server of our own is no more; a process takes a moment to end."""
        process = self._process
        if process is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        return process.poll() is not None

    def _running(self) -> str:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process, self._address = _started()
            return self._address


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

    def predict(self, head: Head, question: bytes) -> Answer:
        """An encrypted token's encrypted logits under a head, which is sent where the server doesn't have it."""
        weights = head.to_bytes()
        action = f"predict/{head_digest(weights)}"
        for _ in range(ATTEMPTS):
            try:
                return self._ask(action, question)
            except _NoHead:
                self._server.send_head(weights)
            except _Gone:
                self._open()
        raise ServiceError("The encryption server loses what it is sent; try again in a moment.")

    def contribute(self, chunks: list[bytes]) -> Answer:
        """Add one client's encrypted vector to the others'."""
        return self._ask("contribute", pack([("chunk", chunk) for chunk in chunks]))

    def mean(self) -> tuple[list[bytes], int, Answer]:
        """The ciphertexts of the mean, of how many vectors it is, and what crossed."""
        answer = self._ask("mean", b"")
        (_, count), *chunks = unpack(answer.body)
        return [chunk for _, chunk in chunks], int(count), answer

    def close(self) -> None:
        """Have the server forget the keys; a server that is gone has forgotten them."""
        if self._server.running:
            with contextlib.suppress(ServiceError):
                self._sealed("DELETE", f"/sessions/{self._name}", b"")

    def _open(self) -> None:
        context = self._client.context_bytes()
        opened = self._server.told("POST", "/sessions", context, "token")
        self._name, self._token = opened["session"], bytes.fromhex(opened["token"])
        self.keys_bytes = len(context)

    def _ask(self, action: str, body: bytes) -> Answer:
        start = time.perf_counter()
        answer, headers = self._sealed("POST", f"/sessions/{self._name}/{action}", body)
        seconds = float(headers.get(SECONDS_HEADER) or time.perf_counter() - start)
        return Answer(answer, seconds, len(body), len(answer))

    def _sealed(self, method: str, path: str, body: bytes) -> tuple[bytes, dict[str, str]]:
        nonce = secrets.token_hex(16)
        headers = {NONCE_HEADER: nonce, TAG_HEADER: tag(self._token, "request", path, nonce, body)}
        answer, got = self._server.exchange(method, path, body, headers)
        if method == "POST" and not tag_fits(got, self._token, "answer", path, nonce, answer):
            raise ServiceError(FOREIGN)
        return answer, got


def shared_server() -> Server:
    """The one server of this process, for all visitors; it starts when first asked."""
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


def _exchanged(
    address: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[bytes, dict[str, str]]:
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer, status = response.read(LONGEST_ANSWER), response.status
    except (OSError, http.client.HTTPException) as error:
        raise _Silent(f"The encryption server at {address} doesn't answer; check that it runs.") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise _refusal(status, answer)
    return answer, dict(response.headers)


def _refusal(status: int, answer: bytes) -> ServiceError:
    try:
        sentence = str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = "The server refused, and gave no reason that can be read; check the address."
    return {http.client.NOT_FOUND: _Gone, http.client.CONFLICT: _NoHead}.get(status, ServiceError)(sentence)


def _started() -> tuple[subprocess.Popen[bytes], str]:
    # One thread: SEAL uses no more, and OpenMP's would spin beside the app's own.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "core.encryption.server", "--with-parent"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    address = process.stdout.readline().decode().strip()
    if not address:
        process.kill()
        process.wait()
        raise ServiceError("The encryption server can't be started on this machine; start one and give its address.")
    return process, address
