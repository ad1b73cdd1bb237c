"""What one client may take of the server: bytes, time, connections; and what is no request at all."""

import socket
import time
from contextlib import ExitStack

import pytest

from core.encryption.wire import LIMITS
from tests.encryption.raw_requests import connected, received, refused, token


@pytest.mark.parametrize(
    "path, limit", [("/sessions", "sessions"), ("/heads", "heads"), ("/sessions/x/predict/y", "predict")]
)
def test_a_body_too_long_is_refused_before_it_is_read(server, path, limit):
    with connected(server) as client:
        client.sendall(f"POST {path} HTTP/1.0\r\nContent-Length: {LIMITS[limit] + 1}\r\n\r\n".encode())
        status, sentence = received(client)
    assert status == 413 and f"{LIMITS[limit]} bytes at most" in sentence


def test_a_body_of_unknown_length_is_refused(server):
    with connected(server) as client:
        client.sendall(b"POST /heads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        status, sentence = received(client)
    assert status == 413 and "must state how many it has" in sentence


@pytest.mark.parametrize("length", ["-1", "many", "9" * 30, "1e3"])
def test_a_length_that_is_none_is_refused(server, length):
    assert refused(server, "POST", "/heads", b"x", {"Content-Length": length})[0] == 400


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"BREW /sessions HTTP/1.0\r\n\r\n",
        b"POST /sessions HTTP/9\r\n\r\n",
    ],
)
def test_garbage_is_answered_in_one_sentence(server, request_bytes):
    with connected(server) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        assert received(client)[1] == "This is no request that the encryption service knows."
    assert server.health()["alive"]


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/"),
        ("GET", "/sessions"),
        ("GET", "/health/"),
        ("POST", "/"),
        ("POST", "/sessions/x"),
        ("DELETE", "/heads"),
    ],
)
def test_other_paths_hold_nothing(server, method, path):
    assert refused(server, method, path) == (404, "There is nothing at this path.")


def test_clients_that_vanish_are_survived(server, opened, heads):
    for _ in range(20):
        with connected(server) as client:
            client.sendall(b"POST /sessions HTTP/1.0\r\nContent-Length: 100000\r\n\r\nonly so much")
        with connected(server) as client:
            client.sendall(b"GET /health HTTP/1.0\r\n\r\n")  # and doesn't wait for the answer
    assert opened.session.predict(heads["linear"], opened.client.encrypt(token())).body


def test_a_body_that_ends_early_is_refused(server):
    with connected(server) as client:
        client.sendall(b"POST /heads HTTP/1.0\r\nContent-Length: 100\r\n\r\nshort")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == (400, "The body is shorter than the request states; send it again.")


def test_clients_that_are_slow_with_their_headers_block_nobody(server):
    with ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(connected(server)).sendall(b"GET /health HTTP/1.0\r\nX-Slow: ")
        start = time.monotonic()
        assert server.health()["alive"]
        assert time.monotonic() - start < 5
