"""The server as the client's side sees it: started where none is given, asked over HTTP, trusted with nothing."""

import contextlib
import http.client
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from core.encryption.client import UNREADABLE, Client
from core.encryption.exchange import Calls, HeadMissing, NoAnswer, ServiceError, SessionGone, exchange
from core.encryption.heads import Head, head_digest
from core.encryption.own_server import OwnServer
from core.encryption.wire import NONCE_HEADER, SECONDS_HEADER, TAG_HEADER, pack, tag, tag_matches, unpack

ATTEMPTS = 3
NO_SERVER = "What answers at this address is no encryption server; check the address."
SECONDS = re.compile(r"\d{1,6}(\.\d{1,9})?")


class Answer(NamedTuple):
    """What came back: the body, the seconds that the server says it computed, and the bytes of both bodies."""

    body: bytes
    seconds: float
    bytes_up: int
    bytes_down: int


class Server:
    """A server by its address, or our own. Two of these may stand for one process: each ends its own calls only.

    Parameters
    ----------
    address : str or None
        http://host:port of a server that runs. Http crosses in clear, so it is for this machine; give https for any
        other.
    own : OwnServer or None
        Where no address is given: the process that is asked, a new one by default.

    Raises
    ------
    ValueError
        An address that is none; one sentence.
    """

    def __init__(self, address: str | None = None, own: OwnServer | None = None):
        if address is not None:
            _check_address(address)
        self._given, self._own, self._calls = address, own or OwnServer(), Calls()

    @property
    def pid(self) -> int | None:
        """Return the process id of a server of our own, None where none runs."""
        return self._own.pid

    @property
    def running(self) -> bool:
        """Return whether there is one to ask: always where an address was given."""
        return self._given is not None or self.pid is not None

    @property
    def address(self) -> str:
        """Return where it is asked, http://host:port; a server of our own is started first."""
        return self._given or self._own.address

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
        content = self.exchange(method, path, body)[0]
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or key not in answer:
            raise ServiceError(NO_SERVER)
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
        request, trusted = (method, path, body, headers or {}), self._given is None
        try:
            return exchange(self._calls, self.address, *request, trusted)
        except NoAnswer:
            if self._given or not self._own.died():
                raise
        return exchange(self._calls, self.address, *request, trusted)

    def abandon(self) -> None:
        """End what is being asked, from another thread; nothing can be asked through this one after that."""
        self._calls.end()

    def stop(self) -> None:
        """End a server of our own; one given by address is left alone."""
        self._own.stop()


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
            except HeadMissing:
                self._server.send_head(weights)
            except SessionGone:
                self._open()
        raise ServiceError("The encryption server loses what it is sent; try again in a moment.")

    def contribute(self, chunks: list[bytes]) -> Answer:
        """Add one client's encrypted vector to the others'."""
        return self._ask("contribute", pack([("chunk", chunk) for chunk in chunks]))

    def mean(self) -> tuple[list[bytes], int, Answer]:
        """Return the ciphertexts of the mean, of how many vectors it is, and what crossed."""
        answer = self._ask("mean", b"")
        (_, count), *chunks = unpack(answer.body)
        if not count.isdigit():
            raise ServiceError(UNREADABLE)
        return [chunk for _, chunk in chunks], int(count), answer

    def close(self) -> None:
        """Have the server forget the keys; a server that is gone has forgotten them."""
        if self._server.running:
            with contextlib.suppress(ServiceError):
                self._authenticated("DELETE", f"/sessions/{self._name}", b"")

    def _open(self) -> None:
        context = self._client.context_bytes()
        opened = self._server.request_json("POST", "/sessions", context, "token")
        try:
            self._name, self._token = str(opened["session"]), bytes.fromhex(opened["token"])
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceError(NO_SERVER) from error
        self.keys_bytes = len(context)

    def _ask(self, action: str, body: bytes) -> Answer:
        start = time.perf_counter()
        path = f"/sessions/{self._name}/{action}"
        nonce, answer, headers = self._authenticated("POST", path, body)
        if not tag_matches(headers.get(TAG_HEADER), tag(self._token, "answer", path, nonce, answer)):
            raise ServiceError(UNREADABLE)
        # The tag doesn't cover it: whatever else stands there, it is taken for nothing.
        stated = headers.get(SECONDS_HEADER, "")
        seconds = float(stated) if SECONDS.fullmatch(stated) else time.perf_counter() - start
        return Answer(answer, seconds, len(body), len(answer))

    def _authenticated(self, method: str, path: str, body: bytes) -> tuple[str, bytes, http.client.HTTPMessage]:
        nonce = secrets.token_hex(16)
        headers = {NONCE_HEADER: nonce, TAG_HEADER: tag(self._token, "request", path, nonce, body)}
        return nonce, *self._server.exchange(method, path, body, headers)


def shared_server() -> Server:
    """Return the server that this process has for all its visitors; it starts when first asked."""
    return Server(own=_SHARED)


_SHARED = OwnServer()


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/")
        _ = parts.port
    except ValueError:
        whole = False
    if not whole:
        raise ServiceError(f"{address!r} is no address of a server; give one such as http://127.0.0.1:8600.")
