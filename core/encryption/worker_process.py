"""A worker process as the server sees it: started, asked, and started again where it died or hangs."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from http import HTTPStatus
from pathlib import Path

from core.encryption.wire import GONE, MESSAGE_LENGTH, REFUSED, pack, unpack

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 20.0
START_SECONDS = 60.0
WORK_SECONDS = 30.0
BUFFER_BYTES = 1 << 20

SESSION_GONE = "This session is gone, as it was idle for long, or the server was started again; send the keys anew."
BUSY = "The server has too much to do; try again in a moment."


class RequestError(Exception):
    """Why a request is refused: an HTTP status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str):
        super().__init__(sentence)
        self.status = status


class WorkerProcess:
    """One process that computes; it answers one request at a time, in the order in which they came."""

    _process: Process

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Return the id of the process that computes."""
        return self._process.pid

    @property
    def busy(self) -> bool:
        """Return whether a request is being answered."""
        return self._turn.locked()

    async def start(self) -> None:
        """Start the process and wait until it is ready; raise EOFError or TimeoutError where it can't be started."""
        # Its standard input closes when this process ends, however it ends, and then it ends as well.
        command = (sys.executable, "-m", "core.encryption.worker")
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=BUFFER_BYTES
        )
        async with asyncio.timeout(START_SECONDS):
            await self._receive()

    async def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        # From Python 3.13 on its pipes may close after that, and complain where the event loop ends first.
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None and answers is not None
        pipe.close()
        with contextlib.suppress(OSError):
            await pipe.wait_closed()
        await answers.read()

    async def ask(self, action: str, session: str, *bodies: bytes) -> tuple[bytes, float]:
        """Return the worker's answer and how many seconds it took.

        Raises
        ------
        RequestError
            The worker refused, or had too much to do for `WAIT_SECONDS`.
        ConnectionError
            It died, or took longer than `WORK_SECONDS`; it has been started again, and its sessions are lost.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, BUSY) from None
        try:
            answer = await self._exchange(pack([(action, session.encode()), *(("body", body) for body in bodies)]))
        finally:
            self._turn.release()
        (outcome, body), (_, seconds) = unpack(answer)
        if outcome == GONE:
            raise RequestError(HTTPStatus.NOT_FOUND, SESSION_GONE)
        if outcome == REFUSED:
            raise RequestError(HTTPStatus.BAD_REQUEST, body.decode())
        return body, float(seconds)

    async def _exchange(self, request: bytes) -> bytes:
        try:
            async with asyncio.timeout(WORK_SECONDS):
                await self._send(request)
                return await self._receive()
        except (EOFError, OSError) as error:  # TimeoutError is an OSError
            await self.stop()
            await self.start()
            raise ConnectionError from error

    async def _send(self, message: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        pipe.writelines([MESSAGE_LENGTH.pack(len(message)), message])
        await pipe.drain()

    async def _receive(self) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        (length,) = MESSAGE_LENGTH.unpack(await pipe.readexactly(MESSAGE_LENGTH.size))
        return await pipe.readexactly(length)
