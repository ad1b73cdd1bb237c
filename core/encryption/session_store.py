"""What the server holds: sessions, heads as bytes, and the workers that compute."""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from core.encryption.wire import SESSION_TOKEN_BYTES
from core.encryption.worker_process import SESSION_GONE, RequestError, WorkerProcess

WORKERS = 2
MAX_SESSIONS = 16
MAX_HEADS = 16
IDLE_SECONDS = 15 * 60
IDLE_CHECK_SECONDS = 30.0
# A session that was used within this time isn't given up for a stranger's.
KEPT_SECONDS = 60.0
MAX_REQUESTS = 10_000

FULL = "The encryption server has no place free; try again in a minute."
REPLAYED = "This request has been answered before; nothing was computed."
HEAD_MISSING = "The server has no such head, or dropped it; send the head again."


@dataclass
class _Session:
    token: bytes
    worker: WorkerProcess
    used: float = field(default_factory=time.monotonic)
    nonces: set[str] = field(default_factory=set)


class SessionStore:
    """Sessions, heads and workers. Methods raise `RequestError` where a request can't be answered."""

    def __init__(self, workers: int = WORKERS):
        self._workers = [WorkerProcess() for _ in range(workers)]
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._heads: OrderedDict[str, bytes] = OrderedDict()
        self._opening = 0

    async def start(self) -> None:
        """Start the workers; raise EOFError or TimeoutError where they can't be started."""
        await asyncio.gather(*(worker.start() for worker in self._workers))

    async def stop(self) -> None:
        """End the workers."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    def health(self) -> dict[str, Any]:
        """Return how many sessions there are, and the process ids of the workers."""
        return {"alive": True, "sessions": len(self._sessions), "workers": [worker.pid for worker in self._workers]}

    async def keep_head(self, data: bytes) -> str:
        """Keep a head's bytes, once a worker has found a head in them, and return their SHA-256, hex."""
        worker = next((worker for worker in self._workers if not worker.busy), self._workers[0])
        digest = (await self._ask(worker, "check_head", "", data))[0].decode()
        self._heads[digest] = data
        self._heads.move_to_end(digest)
        while len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)
        return digest

    async def open(self, context: bytes) -> tuple[str, bytes]:
        """Return a new session's name and token; one that was idle for `KEPT_SECONDS` may have to make room."""
        await self._make_room()
        self._opening += 1
        try:
            name, token = secrets.token_hex(16), secrets.token_bytes(SESSION_TOKEN_BYTES)
            load = [sum(session.worker is worker for session in self._sessions.values()) for worker in self._workers]
            worker = self._workers[load.index(min(load))]
            await self._ask(worker, "open", name, context)
            self._sessions[name] = _Session(token, worker)
            return name, token
        finally:
            self._opening -= 1

    async def _make_room(self) -> None:
        if len(self._sessions) + self._opening < MAX_SESSIONS:
            return
        oldest = next(iter(self._sessions), None)
        if oldest is None or time.monotonic() - self._sessions[oldest].used < KEPT_SECONDS:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, FULL)
        await self.close(oldest)

    def token(self, name: str) -> bytes:
        """Return a session's token."""
        return self._session(name).token

    async def spend_nonce(self, name: str, nonce: str) -> None:
        """Take a nonce that a tag has proven to be the client's; each is good for one request of the session."""
        nonces = self._session(name).nonces
        if nonce in nonces:
            raise RequestError(HTTPStatus.FORBIDDEN, REPLAYED)
        nonces.add(nonce)
        if len(nonces) > MAX_REQUESTS:
            # Its client opens another, with a memory of its own.
            await self.close(name)
            raise RequestError(HTTPStatus.NOT_FOUND, SESSION_GONE)

    async def predict(self, name: str, head: str, ciphertext: bytes) -> tuple[bytes, float]:
        """Return the encrypted logits of an encrypted token under the head of this SHA-256, and the seconds."""
        session = self._session(name)
        if head not in self._heads:
            raise RequestError(HTTPStatus.CONFLICT, HEAD_MISSING)
        return await self._ask(session.worker, "predict", name, self._heads[head], ciphertext)

    async def contribute(self, name: str, chunks: bytes) -> tuple[bytes, float]:
        """Add an encrypted vector to the session's sum; return how many have been added, and the seconds."""
        return await self._ask(self._session(name).worker, "contribute", name, chunks)

    async def mean(self, name: str) -> tuple[bytes, float]:
        """Return the session's encrypted sum and its count, to be read as a mean, and the seconds."""
        return await self._ask(self._session(name).worker, "mean", name)

    async def close(self, name: str) -> None:
        """Forget a session, here and in its worker."""
        if session := self._sessions.pop(name, None):
            await self._ask(session.worker, "close", name)

    async def close_idle(self) -> None:
        """Close the sessions that nobody used for `IDLE_SECONDS`."""
        oldest = time.monotonic() - IDLE_SECONDS
        for name in [name for name, session in self._sessions.items() if session.used < oldest]:
            with contextlib.suppress(RequestError):
                await self.close(name)

    async def close_idle_regularly(self) -> None:
        """Close idle sessions every `IDLE_CHECK_SECONDS`, without end."""
        while True:
            await asyncio.sleep(IDLE_CHECK_SECONDS)
            await self.close_idle()

    def _session(self, name: str) -> _Session:
        if name not in self._sessions:
            raise RequestError(HTTPStatus.NOT_FOUND, SESSION_GONE)
        self._sessions.move_to_end(name)
        self._sessions[name].used = time.monotonic()
        return self._sessions[name]

    async def _ask(self, worker: WorkerProcess, action: str, name: str, *bodies: bytes) -> tuple[bytes, float]:
        try:
            return await worker.ask(action, name, *bodies)
        except ConnectionError as error:
            for lost in [old for old, session in self._sessions.items() if session.worker is worker]:
                del self._sessions[lost]
            raise RequestError(HTTPStatus.NOT_FOUND, SESSION_GONE) from error
