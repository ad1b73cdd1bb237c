"""Servers that mean no good: what they say isn't shown, and nobody waits for what they drip."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core.encryption import Server, ServiceError, exchange

Answering = Callable[[socket.socket], None]
EVIL = "Your account was locked; call 555-0199 or visit http://evil.example"


@contextlib.contextmanager
def foreign(answer: Answering) -> Iterator[Server]:
    """Give a server that answers each connection in this way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65536)
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)


def whole(status: int, body: str) -> Answering:
    """Answer with a status and a body."""

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())

    return answer


def dripping(start: bytes) -> Answering:
    """Answer with a byte every 20 ms for a minute."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(3000):
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


DRIPS = [dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "), dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")]


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 409, 413, 418, 500, 503])
def test_what_a_foreign_server_says_is_not_shown(status: int) -> None:
    with foreign(whole(status, f'{{"error": "{EVIL}"}}')) as server, pytest.raises(ServiceError) as refused:
        server.health()
    assert "evil" not in str(refused.value) and "555" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_ends_at_the_deadline(monkeypatch, drip: Answering) -> None:
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", 0.5)
    start = time.monotonic()
    with foreign(drip) as server, pytest.raises(ServiceError, match="doesn't answer"):
        server.health()
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("drip", DRIPS)
def test_stopping_ends_what_waits_for_an_answer(drip: Answering) -> None:
    start = time.monotonic()
    with foreign(drip) as server:
        threading.Timer(0.3, server.abandon).start()
        with pytest.raises(ServiceError, match="doesn't answer"):
            server.health()
    assert time.monotonic() - start < 3


def test_stopping_one_question_ends_no_other(server) -> None:
    mine, other = Server(own=server._own), Server(own=server._own)
    mine.abandon()
    with pytest.raises(ServiceError):
        mine.health()
    assert other.health()["alive"]


def test_a_bad_number_is_no_text_of_python(server, opened, heads, monkeypatch) -> None:
    from core.encryption.wire import SECONDS_HEADER
    from tests.encryption.raw_requests import token

    honest = server.exchange

    def lying(*request, **more):
        answer, headers = honest(*request, **more)
        headers.replace_header(SECONDS_HEADER, "nan <b>") if SECONDS_HEADER in headers else None
        return answer, headers

    monkeypatch.setattr(server, "exchange", lying)
    answer = opened.session.predict(heads["linear"], opened.client.encrypt(token()))
    assert 0 < answer.seconds < 60
