"""The server: a process of its own that answers without seeing. It has no secret key and takes none.

python -m core.encryption.server [--port 0] [--with-parent]

A small HTTP service on loopback. The model is the server's and the data the client's: the app gives heads as plain
weights by a request of their own, named by their SHA-256, so that nobody can put another in a head's place. All else
that comes in is bytes: public contexts and ciphertexts. This front checks sizes, sessions and tags, and hands bodies on
to workers, two processes that compute; a worker that dies or hangs is started again, and its sessions open anew.

    GET    /health                          how many sessions and workers there are
    POST   /heads                           .npz → its SHA-256
    POST   /sessions                        public context → session and token, as JSON
    POST   /sessions/ID/predict/SHA-256     encrypted token → encrypted logits
    POST   /sessions/ID/contribute          encrypted vector → how many were added
    POST   /sessions/ID/mean                → the encrypted mean
    DELETE /sessions/ID

Whatever goes wrong is answered as {"error": one sentence}.
"""

import argparse
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.encryption import worker
from core.encryption.heads import Head, head_digest
from core.encryption.wire import (
    LIMITS,
    NONCE_HEADER,
    SECONDS_HEADER,
    TAG_HEADER,
    TOKEN_BYTES,
    pack,
    tag,
    tag_fits,
    unpack,
)

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
MOST_SESSIONS = 16
MOST_HEADS = 16
MOST_CONNECTIONS = 64
IDLE_SECONDS = 15 * 60
WAIT_SECONDS = 20.0
START_SECONDS = 60.0
WORK_SECONDS = 30.0
READ_SECONDS = 10.0
SWEEP_SECONDS = 30.0

GONE = "This session is gone, as it was idle for long, or the server was started again; send the keys anew."


class Refusal(Exception):
    """What is answered instead: an HTTP status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str):
        super().__init__(sentence)
        self.status = status


class Hand:
    """One worker process. Whoever asks waits until those before have been answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = self._started()

    @property
    def pid(self) -> int:
        """The process that computes."""
        return self._process.pid

    def ask(self, action: str, name: str, *bodies: bytes) -> tuple[bytes, float]:
        """The worker's answer and its seconds; `Refusal` where it has none, `ConnectionError` where it died."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The server has too much to do; try again in a moment.")
        try:
            (outcome, body), (_, seconds) = self._exchange(action, name, bodies)
        finally:
            self._lock.release()
        if outcome == worker.GONE:
            raise Refusal(HTTPStatus.NOT_FOUND, GONE)
        if outcome == worker.REFUSED:
            raise Refusal(HTTPStatus.BAD_REQUEST, body.decode())
        return body, float(seconds)

    def wait(self) -> None:
        """Until the process is ready to work."""
        with self._patience(START_SECONDS):
            worker.read_message(self._process.stdout)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    def _exchange(self, action: str, name: str, bodies: Sequence[bytes]) -> list[tuple[str, bytes]]:
        request = pack([(action, name.encode()), *(("body", body) for body in bodies)])
        try:
            with self._patience(WORK_SECONDS):
                worker.write_message(self._process.stdin, request)
                return unpack(worker.read_message(self._process.stdout))
        except (EOFError, OSError) as error:
            self.stop()
            self._process = self._started()
            self.wait()
            raise ConnectionError from error

    @contextlib.contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        """A process that takes longer is ended, which ends whatever waits for it."""
        alarm = threading.Timer(seconds, self._process.kill)
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()

    @staticmethod
    def _started() -> subprocess.Popen[bytes]:
        # Its standard input closes when this process ends, however it ends, and it with it.
        return subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


@dataclass
class _Session:
    token: bytes
    hand: Hand
    used: float = field(default_factory=time.monotonic)


class Service:
    """Sessions, heads and workers; all that the HTTP service knows."""

    def __init__(self, workers: int = WORKERS):
        self._hands = [Hand() for _ in range(workers)]
        for hand in self._hands:
            hand.wait()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._heads: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def health(self) -> dict[str, Any]:
        """What there is, for whoever asks whether the service lives."""
        return {"alive": True, "sessions": len(self._sessions), "workers": [hand.pid for hand in self._hands]}

    def keep_head(self, data: bytes) -> str:
        """Keep a head's bytes; the SHA-256 by which it is named."""
        Head.from_bytes(data)
        digest = head_digest(data)
        with self._lock:
            self._heads[digest] = data
            self._heads.move_to_end(digest)
            while len(self._heads) > MOST_HEADS:
                self._heads.popitem(last=False)
        return digest

    def open(self, context: bytes) -> tuple[str, bytes]:
        """A new session's name and token; the one that was idle for longest makes room."""
        name, token = secrets.token_hex(16), secrets.token_bytes(TOKEN_BYTES)
        with self._lock:
            load = [sum(session.hand is hand for session in self._sessions.values()) for hand in self._hands]
            hand = self._hands[load.index(min(load))]
        self._ask(hand, "open", name, context)
        with self._lock:
            self._sessions[name] = _Session(token, hand)
            surplus = list(self._sessions)[:-MOST_SESSIONS]
        for old in surplus:
            self.close(old)
        return name, token

    def token(self, name: str) -> bytes:
        """A session's token; `Refusal` where it is gone."""
        return self._session(name).token

    def work(self, name: str, action: str, detail: str, body: bytes) -> tuple[bytes, float]:
        """What a session's worker answers, and its seconds."""
        session = self._session(name)
        if action == "predict":
            with self._lock:
                head = self._heads.get(detail)
            if head is None:
                raise Refusal(HTTPStatus.CONFLICT, "The server has no such head, or dropped it; send the head again.")
            return self._ask(session.hand, "predict", name, head, body)
        return self._ask(session.hand, action, name, *([body] if action == "contribute" else []))

    def close(self, name: str) -> None:
        """Forget a session, here and in its worker."""
        with self._lock:
            session = self._sessions.pop(name, None)
        if session:
            self._ask(session.hand, "close", name)

    def sweep(self) -> None:
        """Close what has been idle for long."""
        with self._lock:
            oldest = time.monotonic() - IDLE_SECONDS
            idle = [name for name, session in self._sessions.items() if session.used < oldest]
        for name in idle:
            with contextlib.suppress(Refusal):
                self.close(name)

    def stop(self) -> None:
        """End the workers."""
        for hand in self._hands:
            hand.stop()

    def _session(self, name: str) -> _Session:
        with self._lock:
            if name not in self._sessions:
                raise Refusal(HTTPStatus.NOT_FOUND, GONE)
            self._sessions.move_to_end(name)
            session = self._sessions[name]
            session.used = time.monotonic()
            return session

    def _ask(self, hand: Hand, action: str, name: str, *bodies: bytes) -> tuple[bytes, float]:
        try:
            return hand.ask(action, name, *bodies)
        except ConnectionError as error:
            with self._lock:
                lost = [old for old, session in self._sessions.items() if session.hand is hand]
                for old in lost:
                    del self._sessions[old]
            raise Refusal(HTTPStatus.NOT_FOUND, GONE) from error


class Handler(BaseHTTPRequestHandler):
    """One request a connection."""

    timeout = READ_SECONDS
    server_version, sys_version = "Purescan", ""
    service: Service

    def do_GET(self) -> None:
        """GET /health."""
        self._respond(self._health)

    def do_POST(self) -> None:
        """Heads, sessions, and work within one."""
        self._respond(self._posted)

    def do_DELETE(self) -> None:
        """The end of a session."""
        self._respond(self._deleted)

    def log_message(self, *_: object) -> None:
        """Say nothing: who asks what is nobody's business."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class calls this for requests that are no HTTP; in our own words."""
        self._send(code, *_json({"error": "This is no request that the encryption service knows."}))

    def _respond(self, work: Any) -> None:
        try:
            status, body, headers = HTTPStatus.OK, *work()
        except Refusal as refusal:
            status, (body, headers) = refusal.status, _json({"error": str(refusal)})
        except ValueError as error:
            status, (body, headers) = HTTPStatus.BAD_REQUEST, _json({"error": str(error)})
        except OSError:
            # The client went away, or said nothing for long; there is nobody to tell.
            self.close_connection = True
            return
        self._send(status, body, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with contextlib.suppress(OSError):
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _health(self) -> tuple[bytes, dict[str, str]]:
        if self.path != "/health":
            raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        return _json(self.service.health())

    def _posted(self) -> tuple[bytes, dict[str, str]]:
        match self.path.split("/")[1:]:
            case ["heads"]:
                return _json({"head": self.service.keep_head(self._body("heads"))})
            case ["sessions"]:
                name, token = self.service.open(self._body("sessions"))
                return _json({"session": name, "token": token.hex()})
            case ["sessions", name, "predict", detail]:
                return self._worked(name, "predict", detail)
            case ["sessions", name, ("contribute" | "mean") as action]:
                return self._worked(name, action, "")
        raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    def _worked(self, name: str, action: str, detail: str) -> tuple[bytes, dict[str, str]]:
        body, token = self._sealed_body(name, action)
        answer, seconds = self.service.work(name, action, detail, body)
        sealed = tag(token, "answer", self.path, self._nonce(), answer)
        return answer, {
            "Content-Type": "application/octet-stream",
            TAG_HEADER: sealed,
            SECONDS_HEADER: f"{seconds:.6f}",
        }

    def _deleted(self) -> tuple[bytes, dict[str, str]]:
        match self.path.split("/")[1:]:
            case ["sessions", name]:
                self._sealed_body(name, "delete")
                self.service.close(name)
                return _json({"closed": True})
        raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    def _sealed_body(self, name: str, action: str) -> tuple[bytes, bytes]:
        body, token = self._body(action), self.service.token(name)
        if not tag_fits(self.headers, token, "request", self.path, self._nonce(), body):
            sentence = (
                "What arrived is not what this session's client sent: its tag doesn't fit, so nothing was computed."
            )
            raise Refusal(HTTPStatus.FORBIDDEN, sentence)
        return body, token

    def _nonce(self) -> str:
        return (self.headers.get(NONCE_HEADER) or "")[:64]

    def _body(self, action: str) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        limit = LIMITS.get(action, 0)
        if not length.isdecimal() or len(length) > 12 or int(length) > limit:
            sentence = f"The body may have {limit} bytes at most, and the request must state how many it has."
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        body = self._read(int(length))
        if len(body) < int(length):
            raise Refusal(HTTPStatus.BAD_REQUEST, "The body is shorter than the request states; send it again.")
        return body

    def _read(self, length: int) -> bytes:
        """As much as comes within `READ_SECONDS` altogether, so that a trickle holds no thread for long."""
        parts, missing, end = [], length, time.monotonic() + READ_SECONDS
        while missing and time.monotonic() < end and (part := self.rfile.read1(min(missing, 1 << 16))):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


class LoopbackServer(ThreadingHTTPServer):
    """Listens on loopback alone, with so many connections at once and no more."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, port: int, service: Service):
        super().__init__(("127.0.0.1", port), type("BoundHandler", (Handler,), {"service": service}))
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Hang up on a connection too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: Any) -> None:
        """Give the place back, however it ended."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""


def _json(answer: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    return json.dumps(answer).encode(), {"Content-Type": "application/json"}


def _end_with_parent() -> None:
    """The parent holds the other end of standard input: it closes when the parent ends, however it ends."""
    sys.stdin.buffer.read()
    os._exit(0)


def _sweep(service: Service) -> None:
    while True:
        time.sleep(SWEEP_SECONDS)
        service.sweep()


def main() -> None:
    """Serve until stopped; the first line on standard output is the address."""
    parser = argparse.ArgumentParser(prog="python -m core.encryption.server", description="Answer without seeing.")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()
    service = Service()
    server = LoopbackServer(arguments.port, service)
    if arguments.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=_sweep, args=(service,), daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    service.stop()


if __name__ == "__main__":
    main()
