"""Deadlines and limits, on a server in this process whose limits are small and that has no workers."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from core.encryption import application, connection
from core.encryption.server import serve
from core.encryption.session_store import SessionStore

Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


def with_server(*exchanges: Exchange) -> list[Any]:
    """Return what each exchange made of a connection of its own, one after another, to a server in this process."""

    async def run() -> list[Any]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(serve(listener, SessionStore(workers=0)))
            address = listener.getsockname()
            await asking(b"BREW /\r\n\r\n")(*await asyncio.open_connection(*address))  # until it serves
            connections = [await asyncio.open_connection(*address) for _ in exchanges]
            results = [await exchange(*connection) for exchange, connection in zip(exchanges, connections)]
            for _, writer in connections:
                writer.close()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            return results

    return asyncio.run(run())


def asking(request: bytes) -> Exchange:
    """Return an exchange that sends these bytes and reads until the end."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        with suppress(ConnectionResetError):
            writer.write(request)
            async with asyncio.timeout(30):
                return await reader.read()
        return b""

    return exchange


async def asking_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep a connection open."""


def sentence(answer: bytes) -> str:
    """Return what a refusal says."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nX-Slow: "])
def test_headers_that_dont_come_end_the_connection(monkeypatch, sent):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    assert with_server(asking(sent)) == [b""]


def test_headers_that_trickle_end_the_connection(monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.3)

    async def trickle(reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nX-Slow: ")
        with suppress(ConnectionError):
            for _ in range(200):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
                if reader.at_eof():
                    return True
            return False
        return True

    assert with_server(trickle) == [True]


def test_a_body_that_doesnt_come_is_given_up(monkeypatch):
    monkeypatch.setattr(application, "BODY_SECONDS", 0.2)
    (answer,) = with_server(asking(b"POST /heads HTTP/1.0\r\nContent-Length: 100\r\n\r\nshort"))
    assert sentence(answer) == "The body is shorter than the request states; send it again."


def test_bodies_are_held_up_to_a_number_of_bytes_for_all_together(monkeypatch):
    monkeypatch.setattr(application, "MAX_BYTES_IN_FLIGHT", 1000)
    post = b"POST /sessions/x/contribute HTTP/1.0\r\nContent-Length: %d\r\n\r\n"
    large, small = with_server(asking(post % 2000 + bytes(2000)), asking(post % 900 + bytes(900)))
    assert sentence(large) == "The server has too much to do; try again in a moment."
    assert sentence(small).startswith("This session is gone")  # read whole, as the first's bytes have been let go


def test_one_connection_too_many_is_closed(monkeypatch):
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(connection, "HEADER_SECONDS", 60)
    health = b"GET /health HTTP/1.0\r\n\r\n"
    *_, second, third = with_server(asking_nothing, asking(health), asking(health))
    assert second.startswith(b"HTTP/1.1 200 ") and third == b""


def test_an_answer_that_nobody_takes_ends_the_connection(monkeypatch):
    length = 30 * 10**6
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(SessionStore, "health", lambda self: "x" * length)

    async def ask_and_turn_away(reader, writer):
        ended = asyncio.Event()
        monkeypatch.setattr(connection.BoundedConnection, "connection_lost", lambda *_: ended.set())
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(20):
            await ended.wait()
        with suppress(ConnectionResetError):
            return len(await reader.read())
        return 0

    (taken,) = with_server(ask_and_turn_away)
    assert taken < length


def test_a_failure_of_the_server_is_told_in_one_sentence(monkeypatch):
    def fail(self):
        raise RuntimeError("inside")

    monkeypatch.setattr(SessionStore, "health", fail)
    (answer,) = with_server(asking(b"GET /health HTTP/1.0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 500 ") and sentence(answer) == "The server failed on this request; try again."
