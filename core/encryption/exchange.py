"""One request over HTTP and its answer, by a deadline, and ended at once when nobody wants it any more."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

ANSWER_SECONDS = 120.0
CONNECT_SECONDS = 10.0
LONGEST_ANSWER = 64 * 10**6

_REFUSALS: dict[int, str] = {
    http.client.BAD_REQUEST: "The encryption server can't read what it was sent; check that its version is this one.",
    http.client.FORBIDDEN: "The encryption server refused the request, as its tag doesn't fit; try again.",
    http.client.REQUEST_ENTITY_TOO_LARGE: "The request is larger than the encryption server takes.",
    http.client.SERVICE_UNAVAILABLE: "The encryption server has too much to do; try again in a moment.",
}
_REFUSED = "The encryption server refused the request; check its address and that its version is this one."


class ServiceError(ValueError):
    """One sentence: what the server refused, or why it didn't answer."""


class SessionGone(ServiceError):
    """The server knows no such session, or no longer."""


class HeadMissing(ServiceError):
    """The server doesn't have the head that was asked for."""


class NoAnswer(ServiceError):
    """Nobody answers, or not in time."""


class Calls:
    """The connections that are open to a server, all of which can be ended from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._ended = False

    def end(self) -> None:
        """End what is being asked; nothing can be asked after that."""
        with self._lock:
            self._ended = True
            for line in self._open:
                _cut(line)

    @contextlib.contextmanager
    def connection(self, address: str, seconds: float) -> Iterator[http.client.HTTPConnection]:
        """Give a connection that is closed in the end, and after so many seconds whatever happens on it.

        Raises
        ------
        OSError
            The connection can't be made, or all calls have been ended.
        """
        parts = urlsplit(address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS)
        connection.connect()
        # Kept by itself: the connection lets go of it before the answer's body has been read.
        line = connection.sock
        late = threading.Event()
        clock = threading.Timer(seconds, _end_late, (line, late))
        clock.daemon = True
        try:
            with self._lock:
                if self._ended:
                    raise ConnectionAbortedError
                self._open.add(line)
            line.settimeout(seconds)
            clock.start()
            yield connection
            # What was cut off may look whole: headers end where the connection does.
            if self._ended or late.is_set():
                raise ConnectionAbortedError
        finally:
            clock.cancel()
            with self._lock:
                self._open.discard(line)
            connection.close()


def _end_late(line: socket.socket, late: threading.Event) -> None:
    # Noted first: who reads from the connection goes on as soon as it is cut.
    late.set()
    _cut(line)


def _cut(line: socket.socket) -> None:
    # Closing alone would leave a thread that reads from the socket where it is.
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def exchange(
    calls: Calls, address: str, method: str, path: str, body: bytes, headers: Mapping[str, str], trusted: bool
) -> tuple[bytes, http.client.HTTPMessage]:
    """Return the answer to one request, and its headers, within `ANSWER_SECONDS`.

    Parameters
    ----------
    trusted : bool
        Whether the server is our own, whose reasons are shown. Others' are told by their status alone: nobody may put
        words on our page.

    Raises
    ------
    ServiceError
        What the server refused, or that it doesn't answer; one sentence.
    """
    try:
        with calls.connection(address, ANSWER_SECONDS) as connection:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            answer, status = response.read(LONGEST_ANSWER), response.status
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"The encryption server at {address} doesn't answer; check that it runs.") from error
    if status != http.client.OK:
        raise _refusal(status, answer, trusted)
    if (response.length or 0) > 0:
        raise NoAnswer(f"The encryption server at {address} doesn't answer in full; try again.")
    return answer, response.headers


def _refusal(status: int, answer: bytes, trusted: bool) -> ServiceError:
    sentence = _REFUSALS.get(status, _REFUSED)
    if trusted:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            sentence = str(json.loads(answer)["error"])
    kinds: dict[int, type[ServiceError]] = {http.client.NOT_FOUND: SessionGone, http.client.CONFLICT: HeadMissing}
    return kinds.get(status, ServiceError)(sentence)
