"""Sessions: how many are kept, for how long, and what becomes of them."""

import asyncio
import os
import signal

import pytest

from core.encryption import Client, session_store
from core.encryption.parameters import PRESETS
from core.encryption.session_store import MAX_SESSIONS, SessionStore
from core.encryption.worker_process import RequestError
from tests.encryption.raw_requests import authenticated, refused, token

LINEAR = PRESETS["linear"]


def test_a_closed_session_is_gone_and_opens_anew_for_its_client(server, heads, opened):
    name, before = opened.session._name, server.health()["sessions"]
    opened.session.close()
    assert server.health()["sessions"] == before - 1
    assert refused(server, *authenticated(opened, f"/sessions/{name}/mean", b""))[0] == 404
    assert opened.session.predict(heads["linear"], opened.client.encrypt(token())).body
    assert opened.session._name != name


def test_only_so_many_sessions_are_kept(server, heads, opened):
    with Client(LINEAR, heads["linear"].shape) as client:
        others = [server.open(client) for _ in range(MAX_SESSIONS)]
        assert server.health()["sessions"] == MAX_SESSIONS
        assert refused(server, *authenticated(opened, f"/sessions/{opened.session._name}/mean", b""))[0] == 404
        for other in others:
            other.close()


def test_idle_sessions_are_dropped(heads, monkeypatch):
    async def run() -> None:
        store = SessionStore(workers=1)
        await store.start()
        with Client(LINEAR, heads["linear"].shape) as client:
            name, _ = await store.open(client.context_bytes())
        await store.close_idle()
        assert store.health()["sessions"] == 1 and store.token(name)
        monkeypatch.setattr(session_store, "IDLE_SECONDS", -1)
        await store.close_idle()
        assert store.health()["sessions"] == 0
        with pytest.raises(RequestError, match="This session is gone"):
            store.token(name)
        await store.stop()

    asyncio.run(run())


def test_a_worker_that_hangs_is_started_again(heads, monkeypatch):
    monkeypatch.setattr("core.encryption.worker_process.WORK_SECONDS", 0.3)

    async def run() -> None:
        store = SessionStore(workers=1)
        await store.start()
        (before,) = store.health()["workers"]
        with Client(LINEAR, heads["linear"].shape) as client:
            name, _ = await store.open(client.context_bytes())
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(RequestError, match="This session is gone"):
            await store.mean(name)
        assert store.health()["workers"] != [before] and store.health()["sessions"] == 0
        await store.stop()

    asyncio.run(run())


def test_who_waits_for_long_is_told(heads, monkeypatch):
    monkeypatch.setattr("core.encryption.worker_process.WAIT_SECONDS", 0.1)

    async def run() -> None:
        store = SessionStore(workers=1)
        await store.start()
        await store._workers[0]._turn.acquire()
        with pytest.raises(RequestError, match="too much to do; try again"):
            await store.open(b"")
        await store.stop()

    asyncio.run(run())
