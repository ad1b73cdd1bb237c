"""Sessions: how many are kept, for how long, and what becomes of them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from core.encryption import Client, ServiceError, session_store
from core.encryption.heads import head_digest
from core.encryption.parameters import PRESETS
from core.encryption.session_store import MAX_SESSIONS, SessionStore
from core.encryption.worker_process import RequestError
from tests.encryption.raw_requests import authenticated, raw, refused, token

LINEAR = PRESETS["linear"]


@contextlib.asynccontextmanager
async def running_store() -> AsyncIterator[SessionStore]:
    """Give a store with one worker, in this process, whose limits can be changed."""
    store = SessionStore(workers=1)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def test_a_closed_session_is_gone_and_opens_anew_for_its_client(server, heads, opened):
    name, before = opened.session._name, server.health()["sessions"]
    opened.session.close()
    assert server.health()["sessions"] == before - 1
    assert refused(server, *authenticated(opened, f"/sessions/{name}/mean", b""))[0] == 404
    assert opened.session.predict(heads["linear"], opened.client.encrypt(token())).body
    assert opened.session._name != name


def test_a_stranger_gets_no_place_that_somebody_uses(server, heads, opened):
    with Client(LINEAR, heads["linear"].shape) as client:
        free = MAX_SESSIONS - server.health()["sessions"]
        others = [server.open(client) for _ in range(free)]
        with pytest.raises(ServiceError, match="has no place free; try again in a minute"):
            server.open(client)
        assert server.health()["sessions"] == MAX_SESSIONS
        assert opened.session.predict(heads["linear"], opened.client.encrypt(token())).body
        for other in others:
            other.close()
        server.open(client).close()


def test_a_session_that_nobody_uses_makes_room(heads, monkeypatch):
    monkeypatch.setattr(session_store, "MAX_SESSIONS", 1)

    async def run() -> None:
        async with running_store() as store:
            with Client(LINEAR, heads["linear"].shape) as client:
                first, _ = await store.open(client.context_bytes())
                with pytest.raises(RequestError, match="no place free"):
                    await store.open(client.context_bytes())
                monkeypatch.setattr(session_store, "KEPT_SECONDS", 0.0)
                second, _ = await store.open(client.context_bytes())
            assert store.token(second)
            with pytest.raises(RequestError, match="This session is gone"):
                store.token(first)

    asyncio.run(run())


def test_a_request_is_answered_once(server, heads, opened):
    server.send_head(heads["linear"].to_bytes())
    path = f"/sessions/{opened.session._name}/predict/{head_digest(heads['linear'].to_bytes())}"
    request = authenticated(opened, path, opened.client.encrypt(token()))
    assert raw(server, *request)[0] == 200
    assert refused(server, *request) == (403, "This request has been answered before; nothing was computed.")
    assert opened.session.predict(heads["linear"], opened.client.encrypt(token())).body


def test_a_session_that_remembers_too_much_is_opened_anew(heads, monkeypatch):
    monkeypatch.setattr(session_store, "MAX_REQUESTS", 2)

    async def run() -> None:
        async with running_store() as store:
            with Client(LINEAR, heads["linear"].shape) as client:
                name, _ = await store.open(client.context_bytes())
            for nonce in "ab":
                await store.spend_nonce(name, nonce)
            with pytest.raises(RequestError, match="This session is gone"):
                await store.spend_nonce(name, "c")

    asyncio.run(run())


def test_idle_sessions_are_dropped(heads, monkeypatch):
    async def run() -> None:
        async with running_store() as store:
            with Client(LINEAR, heads["linear"].shape) as client:
                name, _ = await store.open(client.context_bytes())
            await store.close_idle()
            assert store.health()["sessions"] == 1 and store.token(name)
            monkeypatch.setattr(session_store, "IDLE_SECONDS", -1)
            await store.close_idle()
            assert store.health()["sessions"] == 0
            with pytest.raises(RequestError, match="This session is gone"):
                store.token(name)

    asyncio.run(run())


def test_a_worker_that_hangs_is_started_again(heads, monkeypatch):
    monkeypatch.setattr("core.encryption.worker_process.WORK_SECONDS", 0.3)

    async def run() -> None:
        async with running_store() as store:
            (before,) = store.health()["workers"]
            with Client(LINEAR, heads["linear"].shape) as client:
                name, _ = await store.open(client.context_bytes())
            os.kill(before, signal.SIGSTOP)
            with pytest.raises(RequestError, match="This session is gone"):
                await store.mean(name)
            assert store.health()["workers"] != [before] and store.health()["sessions"] == 0

    asyncio.run(run())


def test_who_waits_for_long_is_told(heads, monkeypatch):
    monkeypatch.setattr("core.encryption.worker_process.WAIT_SECONDS", 0.1)

    async def run() -> None:
        async with running_store() as store:
            await store._workers[0]._turn.acquire()
            with pytest.raises(RequestError, match="too much to do; try again"):
                await store.open(b"")

    asyncio.run(run())
